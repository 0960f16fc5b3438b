import { isVisible, type MessageRow, type User } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { Check, X } from "lucide-react"
import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react"
import { enterKey, useChoice } from "../app/choices"
import { useTouch } from "../app/hooks"
import { sends } from "../logic/keys"
import { lengthOf, MAX_LENGTH } from "../logic/length"
import { keysText } from "../logic/shortcuts"
import { isMac } from "../shortcuts/keyboard"
import { words } from "../strings"
import { showFailure } from "../ui/failure"
import { toKeyPress } from "./keyPress"
import { MentionList } from "./MentionList"
import { useAutoGrow } from "./useAutoGrow"
import { useMentions } from "./useMentions"

/** Edits one of the user's messages in place of the composer, whose draft stays as it is. */
export function EditMessage(props: {
  row: MessageRow
  members: readonly User[]
  selfId: string
  onDone: () => void
}) {
  const { row, members, selfId, onDone } = props
  const conversation = useLamplight().conversation(row.conversationId)
  const [text, setText] = useState(row.content)
  const touch = useTouch()
  const breaks = useChoice(enterKey) === "newline"
  const field = useAutoGrow(text)
  const mentions = useMentions({ field, text, write: setText, members, selfId })
  const composedAt = useRef(Number.NEGATIVE_INFINITY)
  const hint = useId()
  const over = lengthOf(text) - MAX_LENGTH
  const ready = isVisible(text) && over <= 0

  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the edit begins
  useEffect(() => {
    field.current?.focus()
    field.current?.setSelectionRange(text.length, text.length)
  }, [])

  async function save() {
    const id = row.message?.id ?? row.clientMessageId
    if (!ready || id === null) return
    const result = await conversation.edit(id, text, { mentions: mentions.mentions(text) })
    if (result.ok) onDone()
    else showFailure(words.message.notChanged.edit, result.error)
  }

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>) {
    if (mentions.onKey(event)) return
    if (event.key === "Escape" && !event.nativeEvent.isComposing) {
      event.preventDefault()
      onDone()
    } else if (sends(toKeyPress(event), touch || breaks, composedAt.current)) {
      event.preventDefault()
      void save()
    }
  }

  return (
    <form
      className="composer"
      data-testid="edit-message"
      onSubmit={(event) => {
        event.preventDefault()
        void save()
      }}
    >
      {over > 0 && (
        <span className="composer-count" data-over="true">
          {words.composer.over(over)}
        </span>
      )}
      <div className="composer-about">
        <span className="composer-about-name">{words.message.editing}</span>
        <button type="button" className="action" aria-label={words.message.cancel} onClick={onDone}>
          <X size={16} aria-hidden="true" />
        </button>
      </div>
      <MentionList mentions={mentions} />
      <div className="composer-field">
        <textarea
          ref={field}
          rows={1}
          dir="auto"
          data-testid="edit-field"
          data-region-entry=""
          aria-label={words.message.editing}
          aria-describedby={hint}
          aria-invalid={over > 0}
          value={text}
          enterKeyHint={touch || breaks ? "enter" : "done"}
          autoCapitalize="sentences"
          onChange={(event) => {
            setText(event.target.value)
            mentions.look()
          }}
          onSelect={mentions.look}
          onBlur={mentions.look}
          {...mentions.aria}
          onKeyDown={onKeyDown}
          onCompositionEnd={(event) => {
            composedAt.current = event.timeStamp
          }}
        />
        <button
          type="submit"
          className="composer-send"
          data-ready={ready}
          aria-disabled={!ready}
          aria-label={words.message.save}
          onPointerDown={(event) => event.preventDefault()}
        >
          <Check size={20} strokeWidth={2.25} aria-hidden="true" />
        </button>
      </div>
      <span id={hint} className="sr-only">
        {breaks ? words.message.saveHintBreak(keysText("Mod+Enter", isMac)) : words.message.saveHint}
      </span>
    </form>
  )
}
