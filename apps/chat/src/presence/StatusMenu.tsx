import type { User } from "@lamplight/client"
import { useConnection, useMe, usePresence } from "@lamplight/react"
import { useRef, useState } from "react"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { overlay } from "../ui/overlay"
import { PresenceIcon, type PresenceIconState } from "./PresenceIcon"
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
  const me = useMe()
  const connected = useConnection().status === "connected"
  const seen = usePresence(self.id)
  const chosen = me.chosen.status
  // The server may show the user as away after a while without input: the icon shows what others see.
  const state: PresenceIconState = !connected
    ? "unknown"
    : chosen === "online" && (seen.status === "away" || seen.status === "busy")
      ? seen.status
      : chosen
  const name = self.name || self.id
  // Another tab or device may have changed it.
  const avatarUrl = connected && seen.user ? seen.user.avatarUrl : self.avatarUrl
  const [open, setOpen] = useState(false)
  const [account, setAccount] = useState(false)
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
                {connected ? me.chosen.text || stateWord(state) : words.status.notConnected}
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
