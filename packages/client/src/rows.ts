/** The rows of a thread: what is settled, then what has been sent but is not settled yet, then what is unsent. */
import { emptyLog, type Log } from "./log.js"
import type { MessageRow, OutboxItem } from "./types.js"
import type { Message } from "./wire.js"

/** Makes rows, and gives the same row for the same message or item. */
export function createRows(me: () => string | null) {
  /** The rows made last, each with what it was made of. */
  const made = new Map<string, { of: object; row: MessageRow }>()

  function remember(key: string, of: object, make: () => MessageRow): MessageRow {
    const known = made.get(key)
    if (known?.of === of) return known.row
    const row = make()
    made.set(key, { of, row })
    return row
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
  let done = emptyLog
  let settled: MessageRow[] = []
  let keys = new Set<string>()

  function settle(log: Log): void {
    const { entries } = done
    const isAppended =
      log.edits === done.edits &&
      entries.length > 0 &&
      entries[0] === log.entries[0] &&
      entries.at(-1) === log.entries[entries.length - 1]
    if (!isAppended) {
      settled = []
      keys = new Set()
    }
    for (let at = settled.length; at < log.entries.length; at++) {
      settled.push(rowOf(log.entries[at] as Message, keys))
    }
    done = log
  }

  return (log: Log, items: readonly OutboxItem[]): MessageRow[] => {
    settle(log)
    const rows = [...settled]
    const own = [...log.held.values()].filter(
      (message) => message.senderId === me() && message.clientMessageId,
    )
    const unsettled = new Set<string>()
    for (const message of own.sort((one, other) => one.seq - other.seq)) rows.push(rowOf(message, unsettled))
    for (const item of items) {
      const key = `c:${item.clientMessageId}`
      if (!keys.has(key) && !unsettled.has(key)) rows.push(rowOfItem(item))
    }
    return rows
  }
}
