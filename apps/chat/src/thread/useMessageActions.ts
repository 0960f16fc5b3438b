import type { MessageRow, SharedFile } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { type RefObject, useCallback, useMemo, useState } from "react"
import { focusComposer, focusThread } from "../app/regions"
import { permalink } from "../app/route"
import type { MenuPlace } from "../conversations/ConversationMenu"
import { describeFiles } from "../files/layout"
import { plainStart, plainText } from "../logic/plain"
import { rememberEmoji } from "../logic/recent-emoji"
import { words } from "../strings"
import { copyText } from "../ui/clipboard"
import { showFailure } from "../ui/failure"
import { toast } from "../ui/toast"
import type { ThreadActions } from "./actions"
import type { LogControl } from "./Log"

/** So much of a message is shown where it is quoted. */
const EXCERPT = 240

/** The user's actions on messages, and the current reply, edit or deletion. */
export function useMessageActions(props: {
  id: string
  selfId: string
  nameOf: (userId: string) => string
  log: RefObject<LogControl | null>
}) {
  const { id, selfId, nameOf, log } = props
  const conversation = useLamplight().conversation(id)
  const [reply, setReply] = useState<MessageRow | null>(null)
  const [editing, setEditing] = useState<MessageRow | null>(null)
  const [deleting, setDeleting] = useState<MessageRow | null>(null)
  const [viewing, setViewing] = useState<{ file: SharedFile; opener: HTMLElement } | null>(null)
  const [dating, setDating] = useState<{ at: MenuPlace; from: Date; anchor: HTMLElement } | null>(null)
  const [reacting, setReacting] = useState<{ row: MessageRow; anchor: HTMLElement } | null>(null)

  const actions = useMemo<ThreadActions>(
    () => ({
      reply(row) {
        setEditing(null)
        setReply(row)
        focusComposer()
      },
      edit: setEditing,
      react(row, emoji) {
        const messageId = row.message?.id
        if (messageId === undefined) return
        rememberEmoji(emoji)
        void conversation.react(messageId, emoji).then((result) => {
          if (!result.ok) showFailure(words.message.notChanged.reaction, result.error)
        })
      },
      pickEmoji: (row, anchor) => setReacting({ row, anchor }),
      pin(row) {
        const messageId = row.message?.id
        if (messageId === undefined) return
        void conversation.pin(messageId, row.pinnedAt === null).then((result) => {
          if (!result.ok) showFailure(words.message.notChanged.pin, result.error)
        })
      },
      copyLink(row) {
        if (row.seq === null) return
        copyText(permalink(id, row.seq)).then(
          () => toast(words.message.linkCopied),
          (thrown: unknown) => showFailure(words.message.copyFailed, thrown),
        )
      },
      remove: setDeleting,
      copy(row) {
        copyText(row.content).then(
          () => toast(words.message.copied),
          (thrown: unknown) => showFailure(words.message.copyFailed, thrown),
        )
      },
      openPicture: (file, opener) => setViewing({ file, opener }),
      excerptOf({ id: quoted, excerpt }) {
        const { rows } = conversation.messages.get()
        const row = rows.find(({ message }) => message?.id === quoted)
        // The server's excerpt is one line, which hides the marks at the beginnings of lines.
        if (row?.content) return plainStart(row.content, EXCERPT)
        if (excerpt && !row?.deletedAt) return plainText(excerpt)
        // A message that brought files only has no text either.
        // Not loaded: it may be deleted, have files only, or be older than what this member may see.
        if (!row) return words.message.quotedElsewhere
        return row.deletedAt === null ? describeFiles(row.attachments) : ""
      },
      selfId,
      memberName: nameOf,
      jump: (seq) => log.current?.show(seq),
      pickDate(anchor, from) {
        const { left, bottom } = anchor.getBoundingClientRect()
        setDating({ at: { x: left, y: bottom }, from, anchor })
      },
      nameOf: (userId) => (userId === selfId ? words.thread.you : nameOf(userId)),
    }),
    [conversation, id, selfId, nameOf, log],
  )

  const endReply = useCallback(() => setReply(null), [])
  const endEdit = useCallback(() => {
    setEditing(null)
    focusThread()
  }, [])
  /** Edits the user's last message. */
  const editLast = useCallback(() => {
    const { rows, canChange } = conversation.messages.get()
    const last = rows.findLast((row) => row.mine && row.state === "sent" && row.deletedAt === null)
    if (canChange && last) setEditing(last)
  }, [conversation])

  /** Answers the last message of another member. */
  const replyLast = useCallback(() => {
    const { rows, canChange } = conversation.messages.get()
    const last = rows.findLast((row) => !row.mine && row.deletedAt === null && row.message)
    if (canChange && last) actions.reply(last)
  }, [conversation, actions])

  function remove(row: MessageRow) {
    const messageId = row.message?.id
    if (messageId === undefined) return
    void conversation.remove(messageId).then((result) => {
      if (!result.ok) showFailure(words.message.notChanged.delete, result.error)
    })
  }

  /** Shows the first message of a day, or else the next one. */
  function toDay(day: Date) {
    conversation.seqAt(day).then(
      (seq) => seq > 0 && log.current?.show(seq, true),
      (thrown: unknown) => showFailure(words.thread.dateFailed, thrown),
    )
  }

  function endDating(picked: boolean) {
    if (!picked) dating?.anchor.focus({ preventScroll: true })
    setDating(null)
  }

  function endReacting(hasFocus: boolean) {
    if (hasFocus) reacting?.anchor.closest<HTMLElement>(".message")?.focus({ preventScroll: true })
    setReacting(null)
  }

  return {
    actions,
    reply,
    editing,
    deleting,
    reacting,
    viewing,
    endViewing: () => setViewing(null),
    dating,
    toDay,
    endDating,
    endReply,
    endEdit,
    endReacting,
    editLast,
    replyLast,
    setDeleting,
    remove,
  }
}
