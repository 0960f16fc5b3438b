import type { User } from "@lamplight/client"
import type { PageActions } from "../palette/actions"
import type { SignInMode } from "../session/signOut"
import { words } from "../strings"
import { type FocusReturn, Modal } from "../ui/Modal"
import { Sections } from "./Sections"

/** The settings over the page. On a phone they are part of the user's own screen. */
export function Settings(props: {
  self: User
  mode: SignInMode
  page: PageActions
  focus: FocusReturn
  onClose: () => void
}) {
  const { self, mode, page, focus, onClose } = props
  return (
    <Modal title={words.preferences.title} testId="settings" focus={focus} wide onClose={onClose}>
      <div className="settings">
        <Sections self={self} mode={mode} page={page} />
      </div>
    </Modal>
  )
}
