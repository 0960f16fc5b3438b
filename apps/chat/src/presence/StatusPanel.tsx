import { LogOut, Settings, UserRound } from "lucide-react"
import type { RefObject } from "react"
import type { PageActions } from "../palette/actions"
import { words } from "../strings"
import { Panel } from "../ui/Panel"
import { StatusChoices } from "./StatusChoices"

/** The content of the user's menu, mounted while the menu is open. */
export function StatusPanel(props: {
  trigger: RefObject<HTMLButtonElement | null>
  selfId: string
  /** The unsaved text of the status field. */
  unsaved: string | null
  onUnsaved: (value: string | null) => void
  page: PageActions
  onClose: () => void
}) {
  const { trigger, selfId, unsaved, onUnsaved, page, onClose } = props
  /** The menu gives the focus back to its button, to which the dialog gives it back. */
  const then = (run: () => void) => () => {
    onClose()
    trigger.current?.focus()
    run()
  }
  return (
    <Panel
      trigger={trigger}
      align="start"
      side="top"
      label={words.status.choose}
      // The current choice takes the focus, not the first one.
      entry='[aria-pressed="true"]'
      onClose={onClose}
    >
      <div className="menu-scroller">
        <StatusChoices selfId={selfId} unsaved={unsaved} onUnsaved={onUnsaved} />
      </div>
      {/* Outside the scrolling part, so that sign-out stays visible in a low window. */}
      <hr className="menu-line menu-foot" />
      <button type="button" className="menu-item" data-testid="settings-open" onClick={then(page.settings)}>
        <Settings size={18} aria-hidden="true" />
        {words.preferences.open}
      </button>
      {page.account && (
        <button type="button" className="menu-item" data-testid="account-open" onClick={then(page.account)}>
          <UserRound size={18} aria-hidden="true" />
          {words.account.open}
        </button>
      )}
      <button type="button" className="menu-item" data-testid="sign-out" onClick={page.signOut}>
        <LogOut size={18} aria-hidden="true" />
        {page.account ? words.status.signOut : words.status.switchUser}
      </button>
    </Panel>
  )
}
