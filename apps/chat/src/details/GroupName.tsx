import type { ConversationInfo } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { PencilLine } from "lucide-react"
import { type FormEvent, useId, useRef, useState } from "react"
import { flushSync } from "react-dom"
import { words } from "../strings"
import { Button, IconButton } from "../ui/Button"
import { groupReason } from "../ui/failure"

export const MAX_GROUP_NAME = 200

/** The name of a group. Its admins can change it in place: Enter saves, Escape ends the edit. */
export function GroupName(props: { item: ConversationInfo; name: string; canEdit: boolean }) {
  const { item, name, canEdit } = props
  const { updateGroup } = useLamplight()
  const [text, setText] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const opener = useRef<HTMLButtonElement>(null)
  const problemId = useId()

  function end() {
    flushSync(() => {
      setText(null)
      setProblem(null)
    })
    opener.current?.focus()
  }

  async function save(event: FormEvent) {
    event.preventDefault()
    const next = text?.trim() ?? ""
    if (busy) return
    if (next === (item.name ?? "")) return end()
    setBusy(true)
    setProblem(null)
    try {
      await updateGroup(item.id, { name: next || null })
      end()
    } catch (thrown) {
      setProblem(groupReason(thrown))
    } finally {
      setBusy(false)
    }
  }

  if (text === null)
    return (
      <p className="details-name" dir="auto" data-testid="details-name">
        {name}
        {canEdit && (
          <IconButton
            ref={opener}
            label={words.details.rename}
            className="details-edit"
            data-testid="rename"
            onClick={() => setText(item.name ?? "")}
          >
            <PencilLine size={16} aria-hidden="true" />
          </IconButton>
        )}
      </p>
    )
  return (
    <form className="details-rename" onSubmit={(event) => void save(event)}>
      <input
        className="field"
        data-testid="rename-field"
        aria-label={words.details.name}
        aria-invalid={problem !== null}
        aria-describedby={problemId}
        placeholder={name}
        dir="auto"
        autoComplete="off"
        maxLength={MAX_GROUP_NAME}
        value={text}
        // biome-ignore lint/a11y/noAutofocus: the user has just asked for it
        autoFocus
        onFocus={(event) => event.currentTarget.select()}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape" || event.nativeEvent.isComposing) return
          event.preventDefault()
          end()
        }}
      />
      <p id={problemId} role="alert" className={problem ? "sign-in-problem" : "sr-only"}>
        {problem}
      </p>
      <div className="details-rename-choice">
        <Button look="quiet" onClick={end}>
          {words.message.cancel}
        </Button>
        <Button look="primary" type="submit" aria-disabled={busy} data-testid="rename-save">
          {words.message.save}
        </Button>
      </div>
    </form>
  )
}
