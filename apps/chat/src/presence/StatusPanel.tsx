import { type ChosenStatus, isVisible } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { Check, LogOut, UserRound } from "lucide-react"
import { type FormEvent, type RefObject, useMemo, useState } from "react"
import { chime, soundWanted, wantSound } from "../app/attention"
import { languageChoices, setLanguage, useLanguageChoice } from "../app/language"
import { setTheme, type ThemeChoice, useThemeChoice } from "../app/theme"
import { NoticeChoices } from "../device/NoticeChoices"
import { leaveDevice, type Person } from "../device/push"
import { tokenOf } from "../session/auth-mode"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { showFailure } from "../ui/failure"
import { Panel } from "../ui/Panel"
import { PresenceIcon } from "./PresenceIcon"
import { useOwnStatus } from "./useOwnStatus"

const statuses: { status: ChosenStatus; hint: `${ChosenStatus}Hint` }[] = [
  { status: "online", hint: "onlineHint" },
  { status: "away", hint: "awayHint" },
  { status: "busy", hint: "busyHint" },
  { status: "invisible", hint: "invisibleHint" },
]

const themes: { choice: ThemeChoice; label: "themeSystem" | "themeLight" | "themeDark" }[] = [
  { choice: "system", label: "themeSystem" },
  { choice: "light", label: "themeLight" },
  { choice: "dark", label: "themeDark" },
]

/** What the user's menu offers. It is open for as long as it is mounted. */
export function StatusPanel(props: {
  trigger: RefObject<HTMLButtonElement | null>
  selfId: string
  /** What is written in the field for the status text and not saved. */
  unsaved: string | null
  onUnsaved: (value: string | null) => void
  mode: "local" | "open" | "token"
  onAccount: () => void
  onLeave: () => void
  onClose: () => void
}) {
  const { trigger, selfId, unsaved, onUnsaved, mode, onAccount, onLeave, onClose } = props
  const client = useLamplight()
  const { chosen, text } = useOwnStatus(selfId)
  const person = useMemo<Person>(
    () => ({ userId: selfId, token: tokenOf(client), hasCookie: mode === "local" }),
    [selfId, client, mode],
  )

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
    void leaveDevice(person).catch(() => {})
    onLeave()
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
        <fieldset>
          <legend className="menu-label">{words.status.choose}</legend>
          {statuses.map(({ status, hint }) => (
            <button
              key={status}
              type="button"
              className="menu-item"
              data-testid={`status-${status}`}
              aria-pressed={status === chosen}
              onClick={() => change(status, text)}
            >
              <PresenceIcon state={status} size={18} />
              <span>
                <span className="block font-semibold">{words.presence[status]}</span>
                <span className="menu-hint block">{words.status[hint]}</span>
              </span>
              {status === chosen && <Check size={16} className="menu-check" aria-hidden="true" />}
            </button>
          ))}
        </fieldset>
        <StatusText
          text={text}
          value={unsaved ?? text}
          onChange={onUnsaved}
          onSave={(next) => {
            onUnsaved(null)
            change(chosen, next)
          }}
        />
        <hr className="menu-line" />
        <SoundChoice />
        <NoticeChoices person={person} />
        <ThemeChoices />
        <LanguageChoices />
      </div>
      {/* Outside the scrolling part, so that sign-out stays visible in a low window. */}
      <hr className="menu-line menu-foot" />
      {mode === "local" && (
        <button
          type="button"
          className="menu-item"
          data-testid="account-open"
          onClick={() => {
            onClose()
            onAccount()
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
    </Panel>
  )
}

/** The switch for the sound of new messages. */
function SoundChoice() {
  const [sound, setSound] = useState(soundWanted)
  return (
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
            {words.status[label]}
          </button>
        ))}
      </div>
    </fieldset>
  )
}

/** The page was drawn anew, without this menu: the focus goes to what opened it. */
function focusStatusMenu() {
  requestAnimationFrame(() => {
    const buttons = document.querySelectorAll<HTMLElement>('[data-testid="status-menu"]')
    for (const button of buttons) if (button.checkVisibility()) button.focus()
  })
}

function LanguageChoices() {
  const choice = useLanguageChoice()
  return (
    <fieldset data-testid="language">
      <legend className="menu-label">{words.language.title}</legend>
      <div className="theme-choices" data-columns="2">
        {languageChoices().map(({ value, label, lang }) => (
          <button
            key={value}
            type="button"
            className="theme-choice"
            data-testid={`language-${value}`}
            lang={lang}
            aria-pressed={value === choice}
            onClick={() => {
              setLanguage(value).then(focusStatusMenu, (thrown: unknown) =>
                showFailure(words.language.failed, thrown),
              )
            }}
          >
            {label}
          </button>
        ))}
      </div>
    </fieldset>
  )
}

/** The status text, which others see beside the name. */
function StatusText(props: {
  text: string
  value: string
  onChange: (value: string) => void
  onSave: (text: string) => void
}) {
  const { text, value, onChange, onSave } = props

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
        onChange={(event) => onChange(event.target.value)}
      />
      {value.trim() !== text && (
        <Button look="line" type="submit">
          {isVisible(value) ? words.status.textSave : words.status.textClear}
        </Button>
      )}
    </form>
  )
}
