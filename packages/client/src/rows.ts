/** The rows of a thread: what is settled, then what has been sent but is not settled yet, then what is unsent. */
import type { Log } from "./log.js"
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

  return (log: Log, items: readonly OutboxItem[]): MessageRow[] => {
    const rows: MessageRow[] = []
    const keys = new Set<string>()
    const add = (row: MessageRow) => {
      // Original pages may have used one `tempId` twice: a key is never used twice.
      const own = row.message && keys.has(row.key) ? { ...row, key: `m:${row.message.id}` } : row
      keys.add(own.key)
      rows.push(own)
    }
    for (const message of log.entries) add(rowOf(message))
    if (log.held.size) {
      const own = [...log.held.values()].filter(
        (message) => message.senderId === me() && message.clientMessageId,
      )
      for (const message of own.sort((one, other) => one.seq - other.seq)) add(rowOf(message))
    }
    for (const item of items) if (!keys.has(`c:${item.clientMessageId}`)) add(rowOfItem(item))
    return rows
  }
}
