import type { RefusalCode } from "./wire.js"

/** An unsent message, as it is written down. */
export interface OutboxRecord {
  clientMessageId: string
  userId: string
  conversationId: string
  content: string
  createdAt: string
  /** The place in line: grows by time, within and across tabs. */
  order: number
  /** Written before the first try: from then on it may have arrived. */
  dispatched: boolean
  /** Set when it was refused for good. */
  failed: { code: RefusalCode | string; message: string } | null
}
