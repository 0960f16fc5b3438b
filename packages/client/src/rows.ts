/** The rows of a thread: what is settled, then what has been sent but is not settled yet, then what is unsent. */
import { held, isMessage, type Log, type Segment, shown } from "./log.js"
import type { MessageRow, OutboxItem } from "./types.js"
import type { LogEntry, Message } from "./wire.js"

/** Makes rows, and gives the same row for the same message or item. */
export function createRows(me: () => string | null) {
  /** The rows made last, each with what it was made of. */
  let made = new Map<string, { of: object; row: MessageRow }>()
  /** Those of before the rows were last gone through: what is not made again is forgotten with the next time. */
  let old = made

  function remember(key: string, of: object, make: () => MessageRow): MessageRow {
    const known = made.get(key) ?? old.get(key)
    const next = known?.of === of ? known : { of, row: make() }
    made.set(key, next)
    return next.row
  }

  function rowOf(message: Message, taken: Set<string>): MessageRow {
    const mine = message.senderId === me()
    // One's own messages go by the id that their optimistic rows had, wherever they come from. Original pages may have
    // used one `tempId` twice: a key is never used twice.
    const own = `c:${message.clientMessageId}`
    const key = mine && message.clientMessageId && !taken.has(own) ? own : `m:${message.id}`
    taken.add(key)
    // Written out: there are many of these, and objects of one shape are made fast.
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

  // Threads are long, and most often one entry is appended: what was settled is not gone through again.
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
    // What is on its way belongs to the end, which is not shown.
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
