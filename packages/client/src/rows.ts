/** The rows of a thread: what is settled, then what has been sent but is not settled yet, then what is unsent. */
import type { Log } from "./log.js"
import type { MessageRow, OutboxItem } from "./types.js"
import type { Message } from "./wire.js"

/** Makes rows, and gives the same row for the same message or item. */
export function createRows(me: () => string | null) {
  const sent = new WeakMap<Message, MessageRow>()
  const unsent = new WeakMap<OutboxItem, MessageRow>()

  function rowOf(message: Message): MessageRow {
    let row = sent.get(message)
    if (!row) {
      const mine = message.senderId === me()
      row = {
        // One's own messages go by the id that their optimistic rows had, wherever they come from.
        key: mine && message.clientMessageId ? `c:${message.clientMessageId}` : `m:${message.id}`,
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
      }
      sent.set(message, row)
    }
    return row
  }

  function rowOfItem(item: OutboxItem): MessageRow {
    let row = unsent.get(item)
    if (!row) {
      const { clientMessageId, conversationId, content, createdAt, state, waitingFor, nextTryAt, error } =
        item
      row = {
        key: `c:${clientMessageId}`,
        conversationId,
        senderId: me() ?? "",
        content,
        createdAt,
        mine: true,
        state,
        message: null,
        seq: null,
        clientMessageId,
        waitingFor,
        nextTryAt,
        error,
      }
      unsent.set(item, row)
    }
    return row
  }

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
