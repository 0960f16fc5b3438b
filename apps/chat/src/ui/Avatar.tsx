import { UserRound } from "lucide-react"
import { isNameOfDeleted } from "../logic/members"
import { hueOf, initials } from "../logic/names"
import { safePicture } from "../logic/picture"
import { PresenceIcon, type PresenceIconState } from "../presence/PresenceIcon"
import { useLoad } from "./again"

/**
 * A person's picture, or initials on a colour, with the presence icon at the corner, but for who is offline. The name is always beside
 * it, so screen readers skip the avatar. A deleted account has neither a colour nor initials.
 */
export function Avatar(props: {
  id: string
  name: string
  avatarUrl?: string | null | undefined
  presence?: PresenceIconState | undefined
  size?: "sm" | "md" | "lg" | "xl" | undefined
}) {
  const { id, name, avatarUrl, presence, size = "md" } = props
  const picture = safePicture(avatarUrl)
  const { isFailed, fail } = useLoad(picture)
  const isDeleted = !picture && isNameOfDeleted(name)
  return (
    <span
      className="avatar"
      data-size={size}
      data-hue={hueOf(id)}
      data-deleted={isDeleted ? "" : undefined}
      data-has-presence={presence && presence !== "offline" ? "" : undefined}
    >
      <span className="avatar-face" aria-hidden="true">
        {picture && !isFailed ? (
          <img
            src={picture}
            alt=""
            loading="lazy"
            decoding="async"
            referrerPolicy="no-referrer"
            onError={fail}
          />
        ) : isDeleted ? (
          <UserRound size="55%" />
        ) : (
          initials(name)
        )}
      </span>
      {presence && (
        <span className="avatar-presence" data-testid="presence" data-presence={presence}>
          {presence !== "offline" && <PresenceIcon state={presence} size={12} />}
        </span>
      )}
    </span>
  )
}
