import { type ChosenStatus, isVisible } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { Check } from "lucide-react"
import type { FormEvent } from "react"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { showFailure } from "../ui/failure"
import { PresenceIcon } from "./PresenceIcon"
import { useOwnStatus } from "./useOwnStatus"

const statuses = ["online", "away", "busy", "invisible"] as const

const hints = {
  online: "onlineHint",
  away: "awayHint",
  busy: "busyHint",
  invisible: "invisibleHint",
} as const

/** The user's status and status text, which others see. */
export function StatusChoices(props: {
  selfId: string
  /** The unsaved text of the status field; null for none. */
  unsaved: string | null
  onUnsaved: (value: string | null) => void
}) {
  const { selfId, unsaved, onUnsaved } = props
  const client = useLamplight()
  const { chosen, text } = useOwnStatus(selfId)

  const change = (status: ChosenStatus, text: string) => {
    client
      .setStatus(status, text ? { text } : {})
      .catch((thrown: unknown) => showFailure(words.errors.status, thrown))
  }

  return (
    <>
      <fieldset>
        <legend className="menu-label">{words.status.choose}</legend>
        {statuses.map((status) => (
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
              <span className="menu-hint block">{words.status[hints[status]]}</span>
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
    </>
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
    <form className="status-text" onSubmit={submit}>
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
