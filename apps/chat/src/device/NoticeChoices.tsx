import { useEffect, useId, useRef, useState } from "react"
import { notificationsWanted, wantNotifications } from "../app/attention"
import { words } from "../strings"
import { showFailure } from "../ui/failure"
import { toast } from "../ui/toast"
import type { NoticeChoice } from "./choice"
import { choose, currentChoice, type Obstacle, obstacle, type Person } from "./push"

const text = words.notices

const choices: readonly NoticeChoice[] = ["off", "on", "private"]

/** Notifications on this device: off, on, or on without the text; or why there can be none. */
export function NoticeChoices({ person }: { person: Person }) {
  const { userId } = person
  const [state, setState] = useState<{ choice: NoticeChoice; why: Obstacle } | null>(null)
  const [busy, setBusy] = useState(false)
  const [changes, setChanges] = useState(0)
  useStorageChange(() => setChanges((n) => n + 1))

  // biome-ignore lint/correctness/useExhaustiveDependencies: another tab may have changed it
  useEffect(() => {
    let isMounted = true
    Promise.all([currentChoice(userId), obstacle(person)]).then(
      ([choice, why]) => isMounted && setState({ choice, why }),
      () => isMounted && setState({ choice: "off", why: "unsupported" }),
    )
    return () => {
      isMounted = false
    }
  }, [userId, person, changes])

  async function change(choice: NoticeChoice) {
    if (busy || choice === state?.choice) return
    setBusy(true)
    try {
      const now = await choose(person, choice)
      // Open pages show their own in the same way.
      await wantNotifications(now !== "off")
      setState({ choice: now, why: Notification.permission === "denied" ? "denied" : null })
    } catch (thrown) {
      showFailure(text.failed, thrown)
    } finally {
      setBusy(false)
    }
  }

  if (state?.why === "server" || state?.why === "unsupported") return <OpenPageOnly why={state.why} />
  const isOff = state === null || state.why !== null
  return (
    <fieldset data-testid="notices" aria-busy={state === null || busy}>
      <legend className="menu-label">{text.title}</legend>
      <div className="theme-choices">
        {choices.map((choice) => (
          <button
            key={choice}
            type="button"
            className="theme-choice"
            data-testid={`notices-${choice}`}
            aria-pressed={choice === (state?.choice ?? "off")}
            aria-disabled={isOff}
            onClick={() => {
              if (!isOff) void change(choice)
            }}
          >
            {text[choice]}
          </button>
        ))}
      </div>
      <p className="menu-note" data-testid="notices-note" role="status">
        {state?.why ? text.why[state.why] : text.note[state?.choice ?? "off"]}
      </p>
    </fieldset>
  )
}

/** Calls `look` when another tab has changed what is stored. */
function useStorageChange(look: () => void): void {
  const latest = useRef(look)
  latest.current = look
  useEffect(() => {
    const onStorage = () => latest.current()
    addEventListener("storage", onStorage)
    return () => removeEventListener("storage", onStorage)
  }, [])
}

/** Without pushes, notifications need an open page. */
function OpenPageOnly({ why }: { why: "server" | "unsupported" }) {
  const [notify, setNotify] = useState(notificationsWanted)
  const note = useId()
  useStorageChange(() => setNotify(notificationsWanted()))
  return (
    <label className="set-switch">
      <span>
        <span className="set-label">{words.status.notifications}</span>
        <span className="menu-note" id={note} data-testid="notices-note">
          {text.why[why]}
        </span>
      </span>
      <input
        type="checkbox"
        className="switch"
        aria-label={words.status.notifications}
        aria-describedby={note}
        checked={notify}
        onChange={async (event) => {
          const wanted = event.target.checked
          const given = await wantNotifications(wanted)
          setNotify(given)
          if (wanted && !given) toast.error(words.status.notificationsClosed)
        }}
      />
    </label>
  )
}
