/**
 * The rows of a thread: stored messages, then messages that were sent and wait for missing ones, then unsent
 * ones.
 */
import { held, isMessage, type Log, type Segment, shown } from "./log.js"
import type { MessageRow, OutboxItem } from "./types.js"
import type { LogEntry, Message } from "./wire.js"

/** Makes rows; the same message or item always gives the same row object. */
export function createRows(me: () => string | null) {
  /** The rows made last, each with the object that it was made of. */
  let made = new Map<string, { of: object; row: MessageRow }>()
  /** The rows from before the last full pass: whatever is not used again is dropped by the next one. */
  let old = made

  function remember(key: string, of: object, make: () => MessageRow): MessageRow {
    const known = made.get(key) ?? old.get(key)
    const next = known?.of === of ? known : { of, row: make() }
    made.set(key, next)
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
    }))
  }

  function rowOfItem(item: OutboxItem): MessageRow {
    const key = `c:${item.clientMessageId}`
    return remember(key, item, () => ({
      ...item,
      key,
      senderId: me() ?? "",
      mine: true,
      message: null,
      seq: null,
    }))
  }

  // Threads are long, and most changes append one entry: the rows before it are not made again.
  let done: Segment = []
  let edits = 0
  let settled: MessageRow[] = []
  let keys = new Set<string>()

  function settle(log: Log): void {
    const entries = shown(log)
    const isAppended =
      log.edits === edits &&
      done.length > 0 &&
      done[0] === entries[0] &&
      done.at(-1) === entries[done.length - 1]
    if (!isAppended) {
      settled = []
      keys = new Set()
      old = made
      made = new Map()
    }
    for (let at = isAppended ? done.length : 0; at < entries.length; at++) {
      const entry = entries[at] as LogEntry
      if (isMessage(entry)) settled.push(rowOf(entry, keys))
    }
    done = entries
    edits = log.edits
  }

  return (log: Log, items: readonly OutboxItem[]): MessageRow[] => {
    settle(log)
    const rows = [...settled]
    // Unsent messages belong to the end, which is not shown.
    if (log.view !== null) return rows
    const unsettled = new Set<string>()
    for (const entry of held(log))
      if (isMessage(entry) && entry.senderId === me() && entry.clientMessageId)
        rows.push(rowOf(entry, unsettled))
    for (const item of items) {
      const key = `c:${item.clientMessageId}`
      if (!keys.has(key) && !unsettled.has(key)) rows.push(rowOfItem(item))
    }
    return rows
  }
}
