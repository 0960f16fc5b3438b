/** The rows of a thread: what is settled, then what has been sent but is not settled yet, then what is unsent. */
import { emptyLog, type Log } from "./log.js"
import type { MessageRow, OutboxItem } from "./types.js"
import type { Message } from "./wire.js"

/** Makes rows, and gives the same row for the same message or item. */
export function createRows(me: () => string | null) {
  const sent = new WeakMap<Message, MessageRow>()
  const unsent = new WeakMap<OutboxItem, MessageRow>()

  /** What a row says while there is nothing to say. */
  const plain = {
    message: null,
    seq: null,
    clientMessageId: null,
    waitingFor: null,
    nextTryAt: null,
    error: null,
  }

  function remember<K extends object>(
    rows: WeakMap<K, MessageRow>,
    of: K,
    make: () => MessageRow,
  ): MessageRow {
    const row = rows.get(of) ?? make()
    rows.set(of, row)
    return row
  }

  const rowOf = (message: Message) =>
    remember(sent, message, () => {
      const mine = message.senderId === me()
      const id = message.clientMessageId
      // One's own messages go by the id that their optimistic rows had, wherever they come from.
      return {
        ...plain,
        ...message,
        key: mine && id ? `c:${id}` : `m:${message.id}`,
        mine,
        state: "sent",
        message,
      }
    })

  const rowOfItem = (item: OutboxItem) =>
    remember(unsent, item, () => ({
      ...plain,
      ...item,
      key: `c:${item.clientMessageId}`,
      senderId: me() ?? "",
      mine: true,
    }))

  // Threads are long, and most often one entry is appended: what was settled is not gone through again.
  let done = emptyLog
  let settled: MessageRow[] = []
  let keys = new Set<string>()

  function add(rows: MessageRow[], taken: Set<string>, row: MessageRow): void {
    // Original pages may have used one `tempId` twice: a key is never used twice.
    const own = row.message && taken.has(row.key) ? { ...row, key: `m:${row.message.id}` } : row
    taken.add(own.key)
    rows.push(own)
  }

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
    for (let at = settled.length; at < log.entries.length; at++)
      add(settled, keys, rowOf(log.entries[at] as Message))
    done = log
  }

  return (log: Log, items: readonly OutboxItem[]): MessageRow[] => {
    settle(log)
    const rows = [...settled]
    const own = [...log.held.values()].filter(
      (message) => message.senderId === me() && message.clientMessageId,
    )
    const unsettled = new Set<string>()
    for (const message of own.sort((one, other) => one.seq - other.seq)) {
      const row = rowOf(message)
      unsettled.add(row.key)
      rows.push(row)
    }
    for (const item of items) {
      const key = `c:${item.clientMessageId}`
      if (!keys.has(key) && !unsettled.has(key)) rows.push(rowOfItem(item))
    }
    return rows
  }
}
