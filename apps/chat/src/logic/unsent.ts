import type { MessageRow, OutboxItem } from "@lamplight/client"

/** The parts of an unsent item that decide which one a conversation's row names. */
type Unsent = Pick<OutboxItem, "conversationId" | "state" | "write">

/**
 * By conversation, the unsent message that its row names: the first that failed, since the row says that it failed; else the last that
 * waits. Changes of messages are not named.
 */
export function namedUnsent<T extends Unsent>(items: readonly T[]): Map<string, T> {
  const named = new Map<string, T>()
  for (const item of items) {
    if (item.write) continue
    if (named.get(item.conversationId)?.state !== "failed") named.set(item.conversationId, item)
  }
  return named
}

/** The key of the first row that waits for a failed one: it says so, and those behind it wait for the one before them. */
export function firstBehindFailed(
  rows: readonly Pick<MessageRow, "key" | "seq" | "waitingFor">[],
): string | undefined {
  let first: string | undefined
  // Unsent rows are the last ones.
  for (let i = rows.length - 1; i >= 0; i -= 1) {
    const { key, seq, waitingFor } = rows[i] as (typeof rows)[number]
    if (seq !== null) break
    if (waitingFor === "earlier-failed") first = key
  }
  return first
}
