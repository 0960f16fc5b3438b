import type { User } from "@lamplight/client"
import { useRef, useState } from "react"
import type { PageActions } from "../palette/actions"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { overlay } from "../ui/overlay"
import { PresenceIcon } from "./PresenceIcon"
import { useOwnPresence } from "./useOwnPresence"
import { stateLabel } from "./view"

const StatusPanel = overlay((overlays) => overlays.StatusPanel)

/** The user's menu: status, status text, settings, account and sign-out. */
export function StatusMenu({ self, page }: { self: User; page: PageActions }) {
  const { name, state, text, isKnown, lost, avatarUrl } = useOwnPresence(self)
  const [open, setOpen] = useState(false)
  /** The unsaved text of the status field; null for none. It outlives the menu. */
  const [unsaved, setUnsaved] = useState<string | null>(null)
  const trigger = useRef<HTMLButtonElement>(null)
  return (
    <>
      <button
        ref={trigger}
        type="button"
        className="self-card"
        data-testid="status-menu"
        aria-haspopup="dialog"
        aria-expanded={open}
        onPointerEnter={StatusPanel.preload}
        onClick={() => setOpen(!open)}
      >
        <Avatar id={self.id} name={name} avatarUrl={avatarUrl} presence={state} />
        <span className="row-text">
          <span className="sr-only">
            {name}, {words.status.menu(stateLabel(state))}
          </span>
          <span className="row-name block" dir="auto" aria-hidden="true">
            {name}
          </span>
          <span className="row-preview block" dir="auto" aria-hidden="true">
            {isKnown ? text || stateLabel(state) : lost ? words.status.notConnected : words.banner.connecting}
          </span>
        </span>
      </button>
      {open && (
        <StatusPanel
          trigger={trigger}
          selfId={self.id}
          unsaved={unsaved}
          onUnsaved={setUnsaved}
          page={page}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  )
}

/** On a phone: the way to the user's own screen. */
export function YouTab(props: { self: User; isCurrent: boolean; onOpen: () => void }) {
  const { self, isCurrent, onOpen } = props
  const { name, state } = useOwnPresence(self)
  return (
    <button
      type="button"
      className="tab"
      data-testid="status-menu"
      aria-current={isCurrent ? "page" : undefined}
      onClick={onOpen}
    >
      <span className="tab-icon">
        <PresenceIcon state={state} size={20} />
      </span>
      {words.regions.youTab}
      <span className="sr-only">: {words.presence.named(name, stateLabel(state))}</span>
    </button>
  )
}
