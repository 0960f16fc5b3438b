import type { User } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useId, useMemo } from "react"
import { chime } from "../app/attention"
import { enterKey, singleKeys, sound, useChoice } from "../app/choices"
import { useTouch } from "../app/hooks"
import { languageChoices, setLanguage, useLanguageChoice } from "../app/language"
import { setTheme, useThemeChoice } from "../app/theme"
import { keepSettingsOpen } from "../app/usePage"
import { NoticeChoices } from "../device/NoticeChoices"
import type { Person } from "../device/push"
import { keysText } from "../logic/shortcuts"
import type { PageActions } from "../palette/actions"
import { tokenOf } from "../session/auth-mode"
import type { SignInMode } from "../session/signOut"
import { isMac } from "../shortcuts/keyboard"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { showFailure } from "../ui/failure"
import { MutedConversations } from "./MutedConversations"
import { Privacy } from "./Privacy"
import { Section, Toggle } from "./parts"

const themes = ["system", "light", "dark"] as const

/** All settings, by topic. Each applies at once. */
export function Sections({ self, mode, page }: { self: User; mode: SignInMode; page: PageActions }) {
  const text = words.preferences
  const client = useLamplight()
  // On touch devices Enter always starts a new line, and there are no shortcuts.
  const touch = useTouch()
  const person = useMemo<Person>(
    () => ({ userId: self.id, token: tokenOf(client), hasCookie: mode === "local" }),
    [self.id, client, mode],
  )
  const theme = useThemeChoice()
  const enter = useChoice(enterKey)
  return (
    <>
      <Section title={text.look}>
        <Choices
          label={words.status.theme}
          hint={text.themeHint}
          testId="theme-toggle"
          value={theme}
          all={themes.map((one) => ({ value: one, label: text.themes[one], testId: `theme-${one}` }))}
          onChange={setTheme}
        />
        <LanguageChoices />
      </Section>
      {!touch && (
        <Section title={text.writing}>
          <Choices
            label={text.enter}
            hint={
              enter === "send" ? text.enterHints.send : text.enterHints.newline(keysText("Mod+Enter", isMac))
            }
            testId="enter-key"
            value={enter}
            all={(["send", "newline"] as const).map((one) => ({
              value: one,
              label: text.enterKeys[one],
              testId: `enter-${one}`,
            }))}
            onChange={enterKey.set}
          />
        </Section>
      )}
      <Section title={text.notices}>
        <Switch
          label={words.status.sound}
          hint={text.soundHint}
          testId="sound"
          choice={sound}
          onChange={(isOn) => isOn && chime()}
        />
        <NoticeChoices person={person} />
        <MutedConversations selfId={self.id} />
      </Section>
      <Privacy />
      {!touch && (
        <Section title={text.keyboard}>
          <Switch
            label={text.singleKeys}
            hint={text.singleKeysHint}
            testId="single-keys"
            choice={singleKeys}
          />
          <Button look="line" className="self-start" data-testid="open-shortcuts" onClick={page.shortcuts}>
            {words.shortcuts.title}
          </Button>
        </Section>
      )}
    </>
  )
}

/** A row of choices, one of which is selected. */
export function Choices<T extends string>(props: {
  label: string
  hint: string
  testId: string
  value: T
  all: readonly { value: T; label: string; testId: string }[]
  onChange: (value: T) => void
}) {
  const { label, hint, testId, value, all, onChange } = props
  const id = useId()
  return (
    <fieldset data-testid={testId} aria-describedby={id}>
      <legend className="menu-label">{label}</legend>
      <div className="theme-choices" data-columns={all.length === 2 ? 2 : undefined}>
        {all.map((one) => (
          <button
            key={one.value}
            type="button"
            className="theme-choice"
            data-testid={one.testId}
            aria-pressed={one.value === value}
            onClick={() => onChange(one.value)}
          >
            {one.label}
          </button>
        ))}
      </div>
      <p className="menu-note" id={id}>
        {hint}
      </p>
    </fieldset>
  )
}

function LanguageChoices() {
  const choice = useLanguageChoice()
  const id = useId()
  return (
    <fieldset data-testid="language" aria-describedby={id}>
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
              keepSettingsOpen()
              setLanguage(value).then(
                // The page was remounted: the focus returns to the chosen option.
                () =>
                  requestAnimationFrame(() =>
                    document.querySelector<HTMLElement>(`[data-testid="language-${value}"]`)?.focus(),
                  ),
                (thrown: unknown) => showFailure(words.language.failed, thrown),
              )
            }}
          >
            {label}
          </button>
        ))}
      </div>
      <p className="menu-note" id={id}>
        {words.preferences.languageHint}
      </p>
    </fieldset>
  )
}

function Switch(props: {
  label: string
  hint: string
  testId: string
  choice: typeof sound
  onChange?: (isOn: boolean) => void
}) {
  const { choice, onChange, ...rest } = props
  return (
    <Toggle
      {...rest}
      isOn={useChoice(choice) === "on"}
      onChange={(isOn) => {
        choice.set(isOn ? "on" : "off")
        onChange?.(isOn)
      }}
    />
  )
}
