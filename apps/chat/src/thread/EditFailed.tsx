import { isVisible } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { type KeyboardEvent, useId, useRef, useState } from "react"
import { useTouch } from "../app/hooks"
import { toKeyPress } from "../composer/keyPress"
import { useAutoGrow } from "../composer/useAutoGrow"
import { sends } from "../logic/keys"
import { lengthOf, MAX_LENGTH } from "../logic/length"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { showFailure } from "../ui/failure"

/** Edits a refused message in its row: it keeps its place in the order, and the composer is not touched. */
export function EditFailed(props: { id: string; content: string; why: string | null; onDone: () => void }) {
  const { id, content, why, onDone } = props
  const { outbox } = useLamplight()
  const [text, setText] = useState(content)
  const touch = useTouch()
  const field = useAutoGrow(text)
  const composedAt = useRef(Number.NEGATIVE_INFINITY)
  const over = lengthOf(text) - MAX_LENGTH
  const reasonId = useId()

  async function save() {
    if (over > 0 || !isVisible(text)) return
    const result = await outbox.edit(id, text)
    if (result.ok) onDone()
    else showFailure(words.message.failed, result.error)
  }

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>) {
    if (event.key === "Escape") {
      event.preventDefault()
      event.stopPropagation()
      onDone()
    } else if (sends(toKeyPress(event), touch, composedAt.current)) {
      event.preventDefault()
      void save()
    }
  }

  return (
    <div className="edit-failed">
      <textarea
        ref={field}
        rows={1}
        aria-describedby={reasonId}
        // biome-ignore lint/a11y/noAutofocus: it was asked for by the button that this takes the place of
        autoFocus
        className="field"
        aria-label={words.message.edit}
        dir="auto"
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
        onCompositionEnd={(event) => {
          composedAt.current = event.timeStamp
        }}
      />
      <div className="flex items-center justify-end gap-2 pt-1.5">
        {/* The refused text stays visible. */}
        <span id={reasonId} className="edit-why">
          {over > 0 ? words.composer.over(over) : why}
        </span>
        <Button look="quiet" onClick={onDone}>
          {words.message.cancel}
        </Button>
        <Button look="primary" disabled={over > 0 || !isVisible(text)} onClick={() => void save()}>
          {words.composer.send}
        </Button>
      </div>
    </div>
  )
}
