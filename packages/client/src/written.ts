/** Applies unsent changes to messages. */
import type { OutboxItem } from "./types.js"
import type { ChangeEntry } from "./wire.js"

/** The entry that an unsent change will become, as far as it is known; none for a message. */
export function writtenEntry(item: OutboxItem, messageId: string): ChangeEntry[] {
  const { write, clientMessageId, conversationId, createdAt, order, userId } = item
  if (!write) return []
  const place = { id: clientMessageId, conversationId, seq: order, senderId: userId, createdAt }
  return [{ ...place, messageId, messageSeq: 0, ...write.action }]
}
