/** The activity of the other members of a conversation: typing, and delivered and read marks. */
import type { Core } from "./core.js"
import { cell, same } from "./store.js"
import type { ReadersState, TypingState } from "./types.js"
import type { Receipt, TypingEvent } from "./wire.js"

/** The user's own notice is sent again at most this often. */
const TYPING_EVERY_MS = 3_000
/** A notice lasts this long, on the server too. */
const TYPING_LASTS_MS = 6_000

export function createTyping(core: Core, conversationId: string) {
  const { clock } = core
  const uptime = clock.uptime ?? clock.now
  const store = cell<TypingState>({ userIds: [] })
  /** Users who are typing, each with the function that cancels its timer. */
  const typists = new Map<string, () => void>()
  let sentAt = Number.NEGATIVE_INFINITY

  function stop(userId: string): void {
    typists.get(userId)?.()
    if (typists.delete(userId)) store.set({ userIds: [...typists.keys()] })
  }

  return {
    store,
    stop,
    received({ userId, isTyping }: TypingEvent) {
      if (userId === core.me()) return
      if (!isTyping) return stop(userId)
      const cancel = typists.get(userId)
      cancel?.()
      // By this device's clock and not until `expiresAt`, since the clocks of two machines differ.
      typists.set(
        userId,
        clock.after(TYPING_LASTS_MS, () => stop(userId)),
      )
      if (!cancel) store.set({ userIds: [...typists.keys()] })
    },
    /** Notifies the other members whether the user is typing. */
    set(isTyping: boolean): void {
      const now = uptime()
      const since = now - sentAt
      // A notice expires by itself: it is only repeated in time, or taken back.
      if (isTyping ? since < TYPING_EVERY_MS : since >= TYPING_LASTS_MS) return
      if (core.connection.emit("typing", { conversationId, isTyping }))
        sentAt = isTyping ? now : Number.NEGATIVE_INFINITY
    },
    /** The user sent a message, which ends the notice at the others. */
    sent(): void {
      sentAt = Number.NEGATIVE_INFINITY
    },
    reset(): void {
      for (const userId of [...typists.keys()]) stop(userId)
    },
  }
}

export function createReaders() {
  const store = cell<ReadersState>({})
  return {
    store,
    /** Marks never move back. */
    put({ userId, deliveredSeq, readSeq }: Receipt): void {
      const last = store.get()[userId]
      const next = same(last, {
        userId,
        deliveredSeq: Math.max(deliveredSeq, readSeq, last?.deliveredSeq ?? 0),
        readSeq: Math.max(readSeq, last?.readSeq ?? 0),
      })
      if (next !== last) store.set({ ...store.get(), [userId]: next })
    },
  }
}
