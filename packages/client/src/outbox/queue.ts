/** The unsent messages of one user, in the order in which they are sent. In memory only. */
import type { OutboxRecord } from "../options.js"
import type { OutboxItem } from "../types.js"

/** An unsent message, or change of a message, and the state of its delivery. */
export interface OutboxEntry {
  record: OutboxRecord
  /** Whether the storage holds it. The storage is then the truth: another tab may change or remove it. */
  saved: boolean
  /** The number of this record's last local change; infinite until that is stored. */
  changed: number
  inFlight: boolean
  attempts: number
  /** When the next attempt starts, in milliseconds since the epoch, for the page. */
  nextTryAt: number | null
  /** The same moment on the scale of `uptime`, which cannot be set. */
  dueAt: number | null
  /** The server asked to wait until then, on the scale of `uptime`: no wake-up shortens that. */
  notBefore: number | null
  /** It waits until the user signs in again, or until the set-up is corrected. */
  signIn: boolean
  /** The item that the page received last. */
  item: OutboxItem | null
}

/** An entry before its first attempt. */
export const untried = { attempts: 0, nextTryAt: null, dueAt: null }

/** Whether a message has files that the server does not have yet. */
export const isUploading = ({ record }: OutboxEntry): boolean => !!record.files?.some(({ fileId }) => !fileId)

export type OutboxQueue = ReturnType<typeof createQueue>

/** `changed` is called with the conversation of each added entry. */
export function createQueue(changed: (conversationId: string) => void) {
  const entries = new Map<string, OutboxEntry>()
  /** Ids that were delivered or discarded here: the storage may still return them for a moment. */
  const removed = new Set<string>()
  let lastOrder = 0

  const sorted = () =>
    [...entries.values()].sort(
      ({ record: one }, { record: other }) =>
        one.order - other.order || (one.clientMessageId < other.clientMessageId ? -1 : 1),
    )

  return {
    entries,
    removed,
    sorted,
    /** The entries of a conversation, in order. */
    lane: (conversationId: string) =>
      sorted().filter(({ record }) => record.conversationId === conversationId),
    /**
     * The entry of a conversation that is sent next. Behind a message that failed, or that waits for its files, no other message is
     * sent; changes of messages hold nothing up, and wait only for the message that they change.
     */
    next(conversationId: string): OutboxEntry | undefined {
      let isBlocked = false
      for (const entry of this.lane(conversationId)) {
        const { failed, write } = entry.record
        if (failed || isUploading(entry)) isBlocked ||= !write
        else if (write ? write.messageId !== undefined : !isBlocked) return entry
      }
    },
    /** The order of a message that is written now: later than all others, even if the clock was set back. */
    nextOrder(now: number): number {
      lastOrder = Math.max(now, lastOrder + 1)
      return lastOrder
    },
    /** Adds a record, or replaces the one with the same id. */
    put(record: OutboxRecord, saved: boolean): void {
      lastOrder = Math.max(lastOrder, record.order)
      const known = entries.get(record.clientMessageId)
      if (known) Object.assign(known, { record, saved })
      else {
        const fresh = { ...untried, changed: 0, inFlight: false, notBefore: null, signIn: false, item: null }
        entries.set(record.clientMessageId, { record, saved, ...fresh })
      }
      changed(record.conversationId)
    },
    reset(): void {
      entries.clear()
      removed.clear()
    },
  }
}
