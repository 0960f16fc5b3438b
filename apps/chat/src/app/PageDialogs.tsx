import type { User } from "@lamplight/client"
import type { ComponentType } from "react"
import type { PageActions } from "../palette/actions"
import type { SignInMode } from "../session/signOut"
import { type Later, later } from "../ui/later"
import { overlay } from "../ui/overlay"
import { focusStatusMenu, focusThread } from "./regions"
import type { Opened } from "./usePage"

type Dialogs = typeof import("./dialogs")

/** A dialog of the shared chunk. */
function dialog<P extends object>(pick: (dialogs: Dialogs) => ComponentType<P>): Later<P> {
  return later(async () => ({ default: pick(await import("./dialogs")) }), null, {
    soon: true,
    failure: "over",
  })
}

const AccountDialog = overlay((overlays) => overlays.AccountDialog)
const Palette = dialog((dialogs) => dialogs.Palette)
const Settings = dialog((dialogs) => dialogs.Settings)
const ShortcutSheet = dialog((dialogs) => dialogs.ShortcutSheet)
export const You = dialog((dialogs) => dialogs.You)

/** The dialog that is open over the page. */
export function PageDialogs(props: {
  opened: Opened | null
  self: User
  mode: SignInMode
  selected: string | null
  page: PageActions
  onSelect: (conversationId: string, focus: boolean) => void
  onShow: (conversationId: string, seq: number) => void
  onLeave: () => void
  onClose: () => void
}) {
  const { opened, self, mode, selected, page, onSelect, onShow, onLeave, onClose } = props
  if (!opened) return null
  const { what, opener } = opened
  const focus = { opener, otherwise: what === "settings" ? focusStatusMenu : focusThread }
  if (what === "palette")
    return (
      <Palette
        self={self}
        selected={selected}
        page={page}
        opener={opener}
        onSelect={onSelect}
        onShow={onShow}
        onClose={onClose}
      />
    )
  if (what === "settings")
    return <Settings self={self} mode={mode} page={page} focus={focus} onClose={onClose} />
  if (what === "shortcuts") return <ShortcutSheet focus={focus} onClose={onClose} />
  return (
    <AccountDialog
      self={self}
      onClose={() => {
        onClose()
        opener?.focus()
      }}
      onLeave={onLeave}
    />
  )
}
