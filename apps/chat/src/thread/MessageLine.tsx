import type { MessageRow } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { CircleDashed, Clock, Pin } from "lucide-react"
import { useId, useRef, useState } from "react"
import { useOlderThan } from "../app/hooks"
import { focusThread } from "../app/regions"
import { returnText } from "../composer/returnText"
import { Attachments } from "../files/Attachments"
import { kindOf } from "../files/layout"
import { dirOfText } from "../logic/direction"
import { isLoneEmoji } from "../logic/emoji"
import { clock, moment } from "../logic/time"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { copyText } from "../ui/clipboard"
import { fileReason, reason, showFailure } from "../ui/failure"
import { overlay } from "../ui/overlay"
import { toast } from "../ui/toast"
import { ActionBar } from "./ActionBar"
import { Content } from "./Content"
import type { DeliveryState } from "./delivery-state"
import { Folded, type Hold } from "./Folded"
import { Quote } from "./Quote"
import { Reactions } from "./Reactions"
import { Receipt } from "./Receipt"

const EditFailed = overlay((overlays) => overlays.EditFailed)

/** A shorter wait is over before the user could read its reason. */
const TELL_AFTER_MS = 1_000

/** One message: its content, its time and its delivery state. */
export function MessageLine(props: {
  message: MessageRow
  first: boolean
  last: boolean
  /** The last of the user's own messages: the only one whose delivery state is always visible. */
  newest: boolean
  /** Whether the message before it failed. */
  behindFailed: boolean
  name: string
  delivery: DeliveryState
  /** Whether the server can change messages. */
  canChange: boolean
  /** Whether the actions on it are shown. */
  active: boolean
  menuOpen: boolean
  onMenu: (open: boolean) => void
  hold?: Hold | undefined
}) {
  const { message, first, last, newest, behindFailed, name, delivery } = props
  const { canChange, active, menuOpen, onMenu, hold } = props
  const [editing, setEditing] = useState(false)
  const id = useId()
  const at = new Date(message.createdAt)
  const fullTime = moment(at)
  const isDeleted = message.deletedAt !== null
  const files = message.message ? message.attachments : message.files
  const hasFiles = files.length > 0 && !isDeleted
  const emoji = !message.replyTo && !hasFiles && isLoneEmoji(message.content)
  const article = useRef<HTMLElement>(null)
  const hasActions = canChange && message.state === "sent" && !isDeleted
  const cause = message.waitingFor === "earlier-failed" && !behindFailed ? "earlier" : message.waitingFor
  const waitsFor = message.state === "sending" && cause !== "server" ? cause : null
  const waits = useOlderThan(TELL_AFTER_MS, at, waitsFor !== null)
  const author = message.mine ? words.thread.you : name
  const hasState = message.mine && !isDeleted && !editing && (message.state !== "sent" || delivery !== null)
  const content = (
    <Folded id={message.key} text={message.content} hold={hold}>
      <Content text={message.content} mentions={message.mentions} />
    </Folded>
  )
  return (
    <article
      ref={article}
      className="message"
      data-testid="message"
      data-state={message.state}
      data-seq={message.seq ?? undefined}
      data-key={message.key}
      data-own={message.mine ? "" : undefined}
      data-first={first ? "" : undefined}
      data-last={last ? "" : undefined}
      data-newest={newest ? "" : undefined}
      data-author={author}
      data-time={fullTime}
      aria-labelledby={editing ? `${id}-author` : `${id}-author ${id}-text ${id}-time`}
      aria-describedby={hasState ? `${id}-state` : undefined}
      tabIndex={-1}
    >
      <span id={`${id}-author`} className="sr-only">
        {author}:{" "}
      </span>
      {editing && message.clientMessageId !== null ? (
        <EditFailed
          id={message.clientMessageId}
          content={message.content}
          why={message.error && reason(message.error)}
          onDone={() => {
            setEditing(false)
            focusThread()
          }}
        />
      ) : (
        <div className="bubble-line">
          <div
            id={`${id}-text`}
            className="bubble"
            dir={dirOfText(message.content)}
            data-content=""
            data-emoji={emoji ? "" : undefined}
            data-deleted={isDeleted ? "" : undefined}
            data-files={
              hasFiles ? (files.every((file) => kindOf(file) === "picture") ? "pictures" : "") : undefined
            }
          >
            {message.replyTo && <Quote quote={message.replyTo} />}
            {hasFiles && <Attachments row={message} />}
            {isDeleted ? (
              words.message.deleted
            ) : hasFiles && message.content !== "" ? (
              <div className="bubble-words" dir={dirOfText(message.content)}>
                {content}
              </div>
            ) : (
              content
            )}
            {message.editedAt !== null && (
              <span
                className="edited"
                data-testid="edited"
                data-source=""
                title={words.message.editedAt(moment(new Date(message.editedAt)))}
              >
                {" "}
                {words.message.edited}
              </span>
            )}
          </div>
          {hasActions && (active || menuOpen) && (
            <ActionBar
              row={message}
              open={menuOpen}
              onOpen={onMenu}
              focusMessage={() => article.current?.focus({ preventScroll: true })}
            />
          )}
          <span className="message-side">
            {message.pinnedAt !== null && (
              <span className="pinned-mark" data-testid="pinned" title={words.message.pinned}>
                <Pin size={12} aria-hidden="true" />
                <span className="sr-only">{words.message.pinned}</span>
              </span>
            )}
            <time
              id={`${id}-time`}
              className={waits ? "sr-only" : undefined}
              dateTime={message.createdAt}
              title={fullTime}
            >
              {clock(at)}
            </time>
            {message.mine && message.state === "sent" && !isDeleted && delivery !== null && (
              <Receipt id={`${id}-state`} delivery={delivery} />
            )}
            {waits && waitsFor !== null && (
              <span
                id={`${id}-state`}
                className="message-wait"
                data-testid="waiting"
                data-cause={waitsFor}
                title={words.message.waiting[waitsFor]}
              >
                <Clock size={12} aria-hidden="true" />
                <span className="side-word">{words.message.waiting[waitsFor]}</span>
              </span>
            )}
            {message.state === "sending" && !waits && (
              <span id={`${id}-state`} className="inline-flex items-center gap-1" data-receipt="sending">
                <CircleDashed size={12} aria-hidden="true" />
                <span className="side-word">{words.message.sending}</span>
              </span>
            )}
          </span>
        </div>
      )}
      {message.reactions.length > 0 && <Reactions row={message} canReact={hasActions} />}
      {message.writes.length > 0 && <FailedChanges message={message} />}
      {message.state === "failed" && !editing && (
        <Failed message={message} stateId={`${id}-state`} onEdit={() => setEditing(true)} />
      )}
    </article>
  )
}

/** Edits and deletions of a message that were refused. They stay until the user chooses what becomes of them. */
function FailedChanges({ message }: { message: MessageRow }) {
  const { outbox } = useLamplight()
  const failed = message.writes.filter(
    ({ state, write }) =>
      state === "failed" && (write?.action.kind === "edit" || write?.action.kind === "delete"),
  )
  return failed.map(({ clientMessageId, write, error }) => (
    <fieldset
      key={clientMessageId}
      className="message-note"
      data-failed=""
      aria-label={write && words.message.notChanged[write.action.kind]}
      data-testid="change-failed"
    >
      <span>
        <strong>{write && words.message.notChanged[write.action.kind]}.</strong> {error && reason(error)}
      </span>
      <span className="message-actions">
        <Button
          look="text"
          onClick={() => {
            outbox.retry(clientMessageId)
            focusThread()
          }}
        >
          {words.message.retry}
        </Button>
        <Button
          look="text"
          onClick={() => {
            void outbox.discard(clientMessageId)
            focusThread()
          }}
        >
          {words.message.discard}
        </Button>
      </span>
    </fieldset>
  ))
}

/** The actions on a refused message. They stay until the user chooses one. */
function Failed(props: { message: MessageRow; stateId: string; onEdit: () => void }) {
  const { message, stateId, onEdit } = props
  const { outbox, conversation } = useLamplight()
  const id = message.clientMessageId
  if (id === null) return null

  function retry() {
    if (id === null) return
    outbox.retry(id)
    // The button is about to disappear: move the focus first.
    focusThread()
  }

  async function copy() {
    try {
      await copyText(message.content)
      toast(words.message.copied)
    } catch (thrown) {
      showFailure(words.message.copyFailed, thrown)
    }
  }

  function remove() {
    if (id === null) return
    outbox.discard(id).then(
      (text) => {
        if (text === null) return
        toast(words.message.removed, {
          action: {
            label: words.composer.restore,
            onClick: () => returnText(conversation(message.conversationId), text),
          },
        })
      },
      (thrown: unknown) => showFailure(words.errors.generic, thrown),
    )
    focusThread()
  }

  return (
    <fieldset className="message-note" aria-label={words.message.actions}>
      <span id={stateId}>
        <strong>{words.message.failed}.</strong>{" "}
        {message.error && (message.files.length > 0 ? fileReason(message.error) : reason(message.error))}
      </span>
      <span className="message-actions">
        <Button look="text" data-testid="retry" onClick={retry}>
          {words.message.retry}
        </Button>
        <Button look="text" data-testid="edit" onClick={onEdit}>
          {words.message.edit}
        </Button>
        <Button look="text" data-testid="copy" onClick={() => void copy()}>
          {words.message.copy}
        </Button>
        <Button look="text" data-testid="delete" onClick={remove}>
          {words.message.remove}
        </Button>
      </span>
    </fieldset>
  )
}
