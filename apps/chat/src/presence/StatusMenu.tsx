import type { User } from "@lamplight/client"
import { useConnection } from "@lamplight/react"
import { useRef, useState } from "react"
import { useLost } from "../app/hooks"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { overlay } from "../ui/overlay"
import { PresenceIcon, type PresenceIconState } from "./PresenceIcon"
import { useOwnStatus } from "./useOwnStatus"
import { stateWord } from "./view"

const StatusPanel = overlay((overlays) => overlays.StatusPanel)
const AccountDialog = overlay((overlays) => overlays.AccountDialog)

/** The user's menu: status, status text, theme, account and sign-out. */
export function StatusMenu(props: {
  self: User
  mode: "local" | "open" | "token"
  onLeave: () => void
  look: "card" | "tab"
}) {
  const { self, mode, onLeave, look } = props
  const { status: connection, stale } = useConnection()
  const lost = useLost()
  // A short loss changes nothing: what others see is the same when it is over.
  const isKnown = connection === "connected" || (stale && !lost)
  const { state: own, text, user: seen } = useOwnStatus(self.id)
  const state: PresenceIconState = isKnown ? own : "unknown"
  const name = self.name || self.id
  // Another tab or device may have changed it.
  const avatarUrl = isKnown && seen ? seen.avatarUrl : self.avatarUrl
  const [open, setOpen] = useState(false)
  const [account, setAccount] = useState(false)
  /** What is written in the field for the status text and not saved; null: nothing. It outlives the menu. */
  const [unsaved, setUnsaved] = useState<string | null>(null)
  const trigger = useRef<HTMLButtonElement>(null)

  return (
    <>
      <button
        ref={trigger}
        type="button"
        className={look === "card" ? "self-card" : "tab"}
        data-testid="status-menu"
        aria-haspopup="dialog"
        aria-expanded={open}
        onPointerEnter={StatusPanel.preload}
        onClick={() => setOpen(!open)}
      >
        {look === "card" ? (
          <>
            <Avatar id={self.id} name={name} avatarUrl={avatarUrl} presence={state} />
            <span className="row-text">
              <span className="sr-only">
                {name}, {words.status.menu(stateWord(state))}
              </span>
              <span className="row-name block" dir="auto" aria-hidden="true">
                {name}
              </span>
              <span className="row-preview block" dir="auto" aria-hidden="true">
                {isKnown
                  ? text || stateWord(state)
                  : lost
                    ? words.status.notConnected
                    : words.banner.connecting}
              </span>
            </span>
          </>
        ) : (
          <>
            <span className="tab-icon">
              <PresenceIcon state={state} size={20} />
            </span>
            {words.regions.youTab}
            <span className="sr-only">
              : {name}, {words.status.menu(stateWord(state))}
            </span>
          </>
        )}
      </button>
      {open && (
        <StatusPanel
          trigger={trigger}
          selfId={self.id}
          unsaved={unsaved}
          onUnsaved={setUnsaved}
          mode={mode}
          onAccount={() => setAccount(true)}
          onLeave={onLeave}
          onClose={() => setOpen(false)}
        />
      )}
      {account && (
        <AccountDialog
          self={self}
          onClose={() => {
            setAccount(false)
            // The element that opened it is gone with the menu.
            trigger.current?.focus()
          }}
          onLeave={onLeave}
        />
      )}
    </>
  )
}
