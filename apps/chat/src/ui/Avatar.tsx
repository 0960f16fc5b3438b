import { useState } from "react"
import { hueOf, initials } from "../logic/names"
import { PresenceIcon, type PresenceIconState } from "../presence/PresenceIcon"

/** Pictures may come from anywhere the application keeps them, but only over https or from this server. */
function safePicture(url: string | null | undefined): string | null {
  if (!url) return null
  if (url.startsWith("/") && !url.startsWith("//")) return url
  return /^https:\/\//i.test(url) || /^data:image\//i.test(url) ? url : null
}

/**
 * A person's picture, or their initials on a quiet hue of their own, with the lamp at its corner. The name
 * stands beside it wherever it is used, so the whole is decoration to a screen reader.
 */
export function Avatar(props: {
  id: string
  name: string
  avatarUrl?: string | null | undefined
  presence?: PresenceIconState | undefined
  size?: "sm" | "md" | "lg"
}) {
  const { id, name, avatarUrl, presence, size = "md" } = props
  const picture = safePicture(avatarUrl)
  const [broken, setBroken] = useState<string | null>(null)
  return (
    <span
      className="avatar"
      data-size={size}
      data-hue={hueOf(id)}
      data-has-presence={presence ? "" : undefined}
    >
      <span className="avatar-face" aria-hidden="true">
        {picture && broken !== picture ? (
          <img
            src={picture}
            alt=""
            loading="lazy"
            decoding="async"
            referrerPolicy="no-referrer"
            onError={() => setBroken(picture)}
          />
        ) : (
          initials(name)
        )}
      </span>
      {presence && (
        <span className="avatar-presence" data-testid="presence" data-presence={presence}>
          <PresenceIcon state={presence} size={size === "lg" ? 18 : 16} />
        </span>
      )}
    </span>
  )
}
