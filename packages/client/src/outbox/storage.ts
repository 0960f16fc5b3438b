/** Keeps the queue and the browser's storage equal, and the user's other tabs informed. */
import type { Core } from "../core.js"
import type { OutboxRecord } from "../options.js"
import type { OutboxEntry, OutboxQueue } from "./queue.js"

export type OutboxStorage = ReturnType<typeof createOutboxStorage>

/** `changed` is called with the conversation of each entry that another tab removed. */
export function createOutboxStorage(
  core: Core,
  queue: OutboxQueue,
  changed: (conversationId: string) => void,
) {
  let lastWrite: Promise<unknown> = Promise.resolve()
  /** Counts changes of records here. */
  let changes = 0
  const notifyTabs = (userId: string) => core.post({ type: "outbox", userId })
  const write = async (record: OutboxRecord) =>
    !!(await core.storage("putOutbox", record)) && core.isPersistent()

  const remove = (id: string, userId: string) =>
    void core.storage("deleteOutbox", id).then(() => notifyTabs(userId))

  return {
    notifyTabs,
    /** Writes a new record. Calls resolve in order, to whether the record outlives the page. */
    async add(record: OutboxRecord): Promise<boolean> {
      const saving = Promise.all([write(record), lastWrite])
      lastWrite = saving
      return (await saving)[0]
    },
    /** Changes an entry's record, at once in the queue and then in the storage. */
    async update(entry: OutboxEntry, change: Partial<OutboxRecord>): Promise<void> {
      const record = { ...entry.record, ...change }
      entry.record = record
      entry.changed = Number.POSITIVE_INFINITY
      entry.saved = await write(record)
      if (entry.record === record) entry.changed = ++changes
      notifyTabs(record.userId)
    },
    remove({ record: { clientMessageId, userId } }: OutboxEntry): void {
      queue.entries.delete(clientMessageId)
      queue.removed.add(clientMessageId)
      remove(clientMessageId, userId)
    },
    /** Applies entries that an earlier page left and changes by other tabs. */
    async load(me: string): Promise<void> {
      const { entries, removed } = queue
      const began = changes
      const missing = new Set([...entries].filter(([, entry]) => entry.saved).map(([id]) => id))
      const stored = await core.storage("outbox", me)
      if (!stored || !core.isUser(me)) return
      for (const record of stored.value) {
        const id = record.clientMessageId
        const known = entries.get(id)
        missing.delete(id)
        // Another tab stored it again before it learned of the removal.
        if (removed.has(id)) remove(id, me)
        else if (known && (known.inFlight || known.changed > began)) continue
        else if (JSON.stringify(known?.record) !== JSON.stringify(record)) queue.put(record, true)
      }
      for (const id of missing) {
        const entry = entries.get(id)
        if (!entry || entry.inFlight) continue
        entries.delete(id)
        changed(entry.record.conversationId)
      }
    },
  }
}
