import { type ChosenStatus, isVisible, type User } from "@lamplight/client"
import { useConnection, useLamplight, useMe, usePresence } from "@lamplight/react"
import { Check, LogOut, UserRound } from "lucide-react"
import { Popover } from "radix-ui"
import { type FormEvent, useRef, useState } from "react"
import { toast } from "sonner"
import { chime, notificationsWanted, soundWanted, wantNotifications, wantSound } from "../app/attention"
import { setTheme, type ThemeChoice, useThemeChoice } from "../app/theme"
import { AccountDialog } from "../session/AccountDialog"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { Button } from "../ui/Button"
import { showFailure } from "../ui/failure"
import { PresenceIcon, type PresenceIconState } from "./PresenceIcon"
import { stateWord } from "./view"

const statuses: { status: ChosenStatus; hint: string }[] = [
  { status: "online", hint: words.status.onlineHint },
  { status: "away", hint: words.status.awayHint },
  { status: "busy", hint: words.status.busyHint },
  { status: "invisible", hint: words.status.invisibleHint },
]

const themes: { choice: ThemeChoice; label: string }[] = [
  { choice: "system", label: words.status.themeSystem },
  { choice: "light", label: words.status.themeLight },
  { choice: "dark", label: words.status.themeDark },
]

/** The user's menu: status, status text, theme, account and sign-out. */
export function StatusMenu(props: {
  self: User
  mode: "local" | "open" | "token"
  onLeave: () => void
  look: "card" | "tab"
}) {
  const { self, mode, onLeave, look } = props
  const client = useLamplight()
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

  const change = (status: ChosenStatus, text: string) => {
    client
      .setStatus(status, text ? { text } : {})
      .catch((thrown: unknown) => showFailure(words.errors.status, thrown))
  }

  async function leave() {
    if (mode === "local") {
      try {
        await client.logout()
      } catch (thrown) {
        showFailure(words.errors.signOut, thrown)
        return
      }
    }
    onLeave()
  }

  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger asChild>
        <button
          ref={trigger}
          type="button"
          className={look === "card" ? "self-card" : "tab"}
          data-testid="status-menu"
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
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          className="menu"
          align="start"
          side="top"
          sideOffset={6}
          collisionPadding={12}
          aria-label={words.status.choose}
          onOpenAutoFocus={(event) => {
            // The current choice takes the focus, not the first one.
            event.preventDefault()
            ;(event.target as HTMLElement).querySelector<HTMLElement>('[aria-pressed="true"]')?.focus()
          }}
        >
          <div className="menu-scroller">
            <fieldset>
              <legend className="menu-label">{words.status.choose}</legend>
              {statuses.map(({ status, hint }) => (
                <button
                  key={status}
                  type="button"
                  className="menu-item"
                  data-testid={`status-${status}`}
                  aria-pressed={status === chosen}
                  onClick={() => change(status, me.chosen.text ?? "")}
                >
                  <PresenceIcon state={status} size={18} />
                  <span>
                    <span className="block font-semibold">{words.presence[status]}</span>
                    <span className="menu-hint block">{hint}</span>
                  </span>
                  {status === chosen && <Check size={16} className="menu-check" aria-hidden="true" />}
                </button>
              ))}
            </fieldset>
            <StatusText text={me.chosen.text ?? ""} onSave={(text) => change(chosen, text)} />
            <hr className="menu-line" />
            <AttentionChoices />
            <ThemeChoices />
          </div>
          {/* Outside the scrolling part, so that sign-out stays visible in a low window. */}
          <hr className="menu-line menu-foot" />
          {mode === "local" && (
            <button
              type="button"
              className="menu-item"
              data-testid="account-open"
              onClick={() => {
                setOpen(false)
                setAccount(true)
              }}
            >
              <UserRound size={18} aria-hidden="true" />
              {words.account.open}
            </button>
          )}
          <button type="button" className="menu-item" data-testid="sign-out" onClick={() => void leave()}>
            <LogOut size={18} aria-hidden="true" />
            {mode === "local" ? words.status.signOut : words.status.switchUser}
          </button>
        </Popover.Content>
      </Popover.Portal>
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
    </Popover.Root>
  )
}

/** Switches for the sound and the notifications of new messages. */
function AttentionChoices() {
  const [sound, setSound] = useState(soundWanted)
  const [notify, setNotify] = useState(notificationsWanted)
  return (
    <>
      <label className="menu-item">
        {words.status.sound}
        <input
          type="checkbox"
          className="switch"
          checked={sound}
          onChange={(event) => {
            wantSound(event.target.checked)
            setSound(event.target.checked)
            if (event.target.checked) chime()
          }}
        />
      </label>
      <label className="menu-item">
        {words.status.notifications}
        <input
          type="checkbox"
          className="switch"
          checked={notify}
          onChange={async (event) => {
            const wanted = event.target.checked
            const given = await wantNotifications(wanted)
            setNotify(given)
            if (wanted && !given) toast.error(words.status.notificationsClosed)
          }}
        />
      </label>
    </>
  )
}

function ThemeChoices() {
  const choice = useThemeChoice()
  return (
    <fieldset data-testid="theme-toggle">
      <legend className="menu-label">{words.status.theme}</legend>
      <div className="theme-choices">
        {themes.map(({ choice: value, label }) => (
          <button
            key={value}
            type="button"
            className="theme-choice"
            data-testid={`theme-${value}`}
            aria-pressed={value === choice}
            onClick={() => setTheme(value)}
          >
            {label}
          </button>
        ))}
      </div>
    </fieldset>
  )
}

/** The status text, which others see beside the name. */
function StatusText({ text, onSave }: { text: string; onSave: (text: string) => void }) {
  const [value, setValue] = useState(text)

  function submit(event: FormEvent) {
    event.preventDefault()
    onSave(value.trim())
  }

  return (
    <form className="flex gap-2 p-1.5" onSubmit={submit}>
      <input
        className="field min-w-0 flex-1"
        aria-label={words.status.text}
        placeholder={words.status.text}
        data-testid="status-text"
        value={value}
        dir="auto"
        maxLength={100}
        autoComplete="off"
        onChange={(event) => setValue(event.target.value)}
      />
      {value.trim() !== text && (
        <Button look="line" type="submit">
          {isVisible(value) ? words.status.textSave : words.status.textClear}
        </Button>
      )}
    </form>
  )
}
