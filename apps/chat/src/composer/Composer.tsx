import { isVisible, type MessageRow, type User } from "@lamplight/client"
import { ArrowUp, Smile, X } from "lucide-react"
import { type KeyboardEvent, useCallback, useId, useRef, useState } from "react"
import { flushSync } from "react-dom"
import { enterKey, useChoice } from "../app/choices"
import { useMedia, useTouch } from "../app/hooks"
import { PHONE } from "../design/breakpoints"
import { AttachButton, canRecord, RecordButton } from "../files/AttachButton"
import { describeFiles } from "../files/layout"
import { filesOf, useFiles } from "../files/useFiles"
import { sends } from "../logic/keys"
import { lengthOf, MAX_LENGTH, SHOW_REMAINING_FROM } from "../logic/length"
import { plainStart } from "../logic/plain"
import { keysText } from "../logic/shortcuts"
import { isMac, isShortcut } from "../shortcuts/keyboard"
import { words } from "../strings"
import { later } from "../ui/later"
import { overlay } from "../ui/overlay"
import { toKeyPress } from "./keyPress"
import { useAutoGrow } from "./useAutoGrow"
import { useComposer } from "./useComposer"
import { useMentions } from "./useMentions"

const DropTarget = overlay((overlays) => overlays.DropTarget)
const EmojiPopover = overlay((overlays) => overlays.EmojiPopover)
const MentionList = overlay((overlays) => overlays.MentionList)
const Tray = later(() => import("../files/Tray"), <div className="tray tray-wait" />)
const Recorder = later(() => import("../files/Recorder"), <div className="recorder" />)

/**
 * The field in which the user writes. It is never disabled: a message that cannot be sent waits in the
 * outbox.
 */
export function Composer(props: {
  id: string
  name: string
  members: readonly User[]
  selfId: string
  /** The message that the next one answers. */
  reply: MessageRow | null
  replyName: string
  onReplyDone: () => void
  /** Arrow Up in the empty field. */
  onEditLast: () => void
  onReplyLast: () => void
  onSent: () => void
  onOut: () => void
}) {
  const { id, name, members, selfId, reply, replyName, onReplyDone, onEditLast, onReplyLast, onOut } = props
  const onSent = useCallback(() => {
    props.onSent()
    onReplyDone()
  }, [props.onSent, onReplyDone])
  const files = useFiles(id)
  const { uploads, attach } = files
  const {
    text,
    write,
    send: sendWith,
    enter,
    leave,
  } = useComposer(id, onSent, reply?.message ?? undefined, files)
  const touch = useTouch()
  const phone = useMedia(PHONE)
  const breaks = useChoice(enterKey) === "newline"
  const field = useAutoGrow(text)
  const mentions = useMentions({ field, text, write, members, selfId })
  const send = () => sendWith(mentions.mentions)
  const composedAt = useRef(Number.NEGATIVE_INFINITY)
  const hint = useId()
  const keyHint = breaks ? words.composer.breakHint(keysText("Mod+Enter", isMac)) : words.composer.keyHint
  const length = lengthOf(text)
  const over = length - MAX_LENGTH
  const ready = (isVisible(text) || uploads.length > 0) && over <= 0
  const [recording, setRecording] = useState(false)

  /** Returns the focus to the field if that opens no keyboard. */
  const back = () => {
    if (!touch) field.current?.focus()
  }

  const opener = useRef<HTMLButtonElement>(null)
  const [picking, setPicking] = useState(false)

  /** Replaces the selection and puts the caret after the inserted text. */
  function insert(emoji: string) {
    const element = field.current
    if (!element) return
    const { selectionStart, selectionEnd } = element
    flushSync(() => {
      write(text.slice(0, selectionStart) + emoji + text.slice(selectionEnd))
      setPicking(false)
    })
    element.focus()
    element.setSelectionRange(selectionStart + emoji.length, selectionStart + emoji.length)
  }

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>) {
    if (mentions.onKey(event)) return
    if (event.key === "Escape" && !event.nativeEvent.isComposing) {
      event.preventDefault()
      if (reply) onReplyDone()
      else onOut()
    } else if (text === "" && isShortcut(event.nativeEvent, "editLast")) {
      event.preventDefault()
      onEditLast()
    } else if (text === "" && isShortcut(event.nativeEvent, "replyLast")) {
      event.preventDefault()
      onReplyLast()
    } else if (sends(toKeyPress(event), touch || breaks, composedAt.current)) {
      event.preventDefault()
      void send()
    }
  }

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault()
        void send()
        // The button took the focus. On touch it did not: the keyboard stays open or closed.
        back()
      }}
    >
      {length >= SHOW_REMAINING_FROM && (
        <span className="composer-count" data-over={over > 0} data-testid="length">
          {over > 0 ? words.composer.over(over) : words.composer.left(MAX_LENGTH - length)}
        </span>
      )}
      {reply && (
        <div className="composer-about" data-testid="replying">
          <span className="composer-about-name">{words.message.replyingTo(replyName)}</span>
          <span className="composer-about-text" dir="auto">
            {plainStart(reply.content, 160) || describeFiles(reply.attachments)}
          </span>
          <button
            type="button"
            className="action"
            aria-label={words.message.cancelReply}
            onClick={() => {
              onReplyDone()
              back()
            }}
          >
            <X size={16} aria-hidden="true" />
          </button>
        </div>
      )}
      <MentionList mentions={mentions} />
      <DropTarget name={name} onFiles={attach} />
      {uploads.length > 0 && <Tray uploads={uploads} onRemoved={back} />}
      {recording && (
        <div className="composer-field">
          <Recorder
            onDone={(file) => attach([file])}
            onClose={() => {
              setRecording(false)
              requestAnimationFrame(back)
            }}
          />
        </div>
      )}
      <div className="composer-field" hidden={recording}>
        <AttachButton onFiles={attach} />
        <textarea
          ref={field}
          rows={1}
          dir="auto"
          data-testid="composer"
          data-region-entry=""
          aria-label={words.composer.label(name)}
          aria-describedby={hint}
          aria-invalid={over > 0}
          placeholder={phone ? words.composer.placeholderShort : words.composer.placeholder(name)}
          value={text}
          enterKeyHint={touch || breaks ? "enter" : "send"}
          autoCapitalize="sentences"
          onChange={(event) => {
            write(event.target.value)
            mentions.look()
          }}
          onSelect={mentions.look}
          {...mentions.aria}
          onPaste={(event) => {
            const pasted = filesOf(event.clipboardData, true)
            if (pasted.length === 0) return
            event.preventDefault()
            attach(pasted)
          }}
          onKeyDown={onKeyDown}
          onCompositionEnd={(event) => {
            composedAt.current = event.timeStamp
          }}
          onFocus={enter}
          onBlur={() => {
            leave()
            mentions.look()
          }}
        />
        <button
          ref={opener}
          type="button"
          className="composer-tool"
          data-testid="open-emoji"
          aria-label={words.emoji.open}
          title={words.emoji.open}
          aria-haspopup="dialog"
          aria-expanded={picking}
          onPointerEnter={EmojiPopover.preload}
          onClick={() => setPicking(!picking)}
        >
          <Smile size={20} aria-hidden="true" />
        </button>
        {canRecord && !ready && <RecordButton onRecord={() => setRecording(true)} />}
        <button
          type="submit"
          className="composer-send"
          data-testid="send"
          data-ready={ready}
          aria-disabled={!ready}
          aria-label={words.composer.send}
          title={touch ? words.composer.send : keyHint}
          // A press must not take the focus from the field, nor end a composition.
          onPointerDown={(event) => event.preventDefault()}
        >
          <ArrowUp size={20} strokeWidth={2.25} aria-hidden="true" />
        </button>
      </div>
      {picking && opener.current && (
        <EmojiPopover
          anchor={opener.current}
          align="end"
          onPick={insert}
          onClose={(isEscape) => {
            setPicking(false)
            if (isEscape) field.current?.focus()
          }}
        />
      )}
      <span id={hint} className="sr-only">
        {touch ? words.composer.touchHint : keyHint}
      </span>
    </form>
  )
}
