/**
 * The rows of a thread: stored messages, then sent messages that wait for missing earlier ones, then unsent
 * ones. Unsent edits, deletions, reactions and pins are shown as if they were sent.
 */
import { apply } from "./fold.js"
import { held, type Log, type Segment, shown } from "./log.js"
import type { MessageRow, OutboxItem } from "./types.js"
import type { Message } from "./wire.js"
import { writtenEntry } from "./written.js"

const none: readonly never[] = []
const noWrites: readonly OutboxItem[] = none

/** Makes rows; the same message or item always gives the same row object. */
export function createRows(me: () => string | null) {
  /** The rows made last, each with the objects that it was made of. */
  let made = new Map<string, { of: object; writes: readonly OutboxItem[]; row: MessageRow }>()
  /** The rows from before the last full pass: whatever is not used again is dropped by the next one. */
  let old = made

  function remember(
    name: string,
    of: object,
    make: () => MessageRow,
    writes: readonly OutboxItem[] = noWrites,
  ): MessageRow {
    const known = made.get(name) ?? old.get(name)
    const isSame =
      known?.of === of &&
      known.writes.length === writes.length &&
      writes.every((one, at) => one === known.writes[at])
    const next = isSame ? known : { of, writes, row: make() }
    made.set(name, next)
    return next.row
  }

  function rowOf(message: Message, taken: Set<string>): MessageRow {
    const mine = message.senderId === me()
    // The user's own messages keep the key of their optimistic rows, from wherever they come. Original pages
    // may have used one `tempId` twice, so a key that is taken is not used again.
    const own = `c:${message.clientMessageId}`
    const key = mine && message.clientMessageId && !taken.has(own) ? own : `m:${message.id}`
    taken.add(key)
    // Written out, since there are many of these, and objects of one shape are fast.
    return remember(key, message, () => ({
      key,
      conversationId: message.conversationId,
      senderId: message.senderId,
      content: message.content,
      createdAt: message.createdAt,
      mine,
      state: "sent",
      message,
      seq: message.seq,
      clientMessageId: message.clientMessageId ?? null,
      waitingFor: null,
      nextTryAt: null,
      error: null,
      editedAt: message.editedAt ?? null,
      deletedAt: message.deletedAt ?? null,
      pinnedAt: message.pinnedAt ?? null,
      reactions: message.reactions ?? [],
      replyTo: message.replyTo ?? null,
      mentions: message.mentions ?? [],
      attachments: message.attachments ?? none,
      files: none,
      writes: noWrites,
    }))
  }

  /** The row of a message with its unsent changes applied. */
  function withWrites(row: MessageRow, message: Message, writes: readonly OutboxItem[]): MessageRow {
    return remember(
      `w:${row.key}`,
      row,
      () => {
        const waiting = writes.filter(({ state }) => state === "sending")
        const next = apply(
          message,
          waiting.flatMap((item) => writtenEntry(item, message.id)),
          me(),
        )
        return {
          ...row,
          content: next.content,
          editedAt: next.editedAt ?? null,
          deletedAt: next.deletedAt ?? null,
          pinnedAt: next.pinnedAt ?? null,
          reactions: next.reactions ?? [],
          replyTo: next.replyTo ?? null,
          mentions: next.mentions ?? [],
          attachments: next.attachments ?? none,
          writes,
        }
      },
      writes,
    )
  }

  function rowOfItem(item: OutboxItem): MessageRow {
    const { clientMessageId, conversationId, content, createdAt, replyTo, mentions, files } = item
    const key = `c:${clientMessageId}`
    return remember(key, item, () => ({
      key,
      conversationId,
      senderId: me() ?? "",
      content,
      createdAt,
      mine: true,
      state: item.state,
      message: null,
      seq: null,
      clientMessageId,
      waitingFor: item.waitingFor,
      nextTryAt: item.nextTryAt,
      error: item.error,
      editedAt: null,
      deletedAt: null,
      pinnedAt: null,
      reactions: [],
      replyTo: replyTo ?? null,
      mentions: mentions ?? [],
      attachments: none,
      files: files ?? none,
      writes: noWrites,
    }))
  }

  // Threads are long, and most changes append one entry: the rows before it are not made again.
  let done: Segment["messages"] = []
  let edits = 0
  let settled: MessageRow[] = []
  let keys = new Set<string>()

  function settle(log: Log): void {
    const { messages } = shown(log)
    const isAppended =
      log.edits === edits &&
      done.length > 0 &&
      done[0]?.message === messages[0]?.message &&
      done.at(-1)?.message === messages[done.length - 1]?.message
    if (!isAppended) {
      settled = []
      keys = new Set()
      old = made
      made = new Map()
    }
    for (const { message } of isAppended ? messages.slice(done.length) : messages)
      settled.push(rowOf(message, keys))
    done = messages
    edits = log.edits
  }

  /** Applies unsent changes to their rows. */
  function overlay(rows: MessageRow[], items: readonly OutboxItem[]): void {
    const writes = new Map<string, OutboxItem[]>()
    for (const item of items) {
      if (!item.write) continue
      const id = item.write.messageId ?? item.write.waitsFor ?? ""
      writes.set(id, [...(writes.get(id) ?? []), item])
    }
    for (const [id, some] of writes) {
      const at = rows.findLastIndex(
        ({ message, clientMessageId, mine }) => message?.id === id || (mine && clientMessageId === id),
      )
      const row = rows[at]
      if (row) rows[at] = withWrites(row, row.message ?? messageOf(row), some)
    }
  }

  return (log: Log, items: readonly OutboxItem[]): MessageRow[] => {
    settle(log)
    const rows = [...settled]
    // Unsent messages belong to the end, which is not shown.
    if (log.view === null) {
      const unsettled = new Set<string>()
      for (const message of held(log))
        if (message.senderId === me() && message.clientMessageId) rows.push(rowOf(message, unsettled))
      for (const item of items) {
        const key = `c:${item.clientMessageId}`
        if (!item.write && !keys.has(key) && !unsettled.has(key)) rows.push(rowOfItem(item))
      }
    }
    if (items.some(({ write }) => write)) overlay(rows, items)
    return rows
  }
}

/** An unsent message as it will be stored. */
function messageOf({
  key,
  conversationId,
  senderId,
  content,
  createdAt,
  replyTo,
  mentions,
}: MessageRow): Message {
  return {
    id: key,
    kind: "message",
    conversationId,
    seq: 0,
    senderId,
    content,
    createdAt,
    ...(replyTo ? { replyTo } : {}),
    ...(mentions.length ? { mentions: [...mentions] } : {}),
  }
}
