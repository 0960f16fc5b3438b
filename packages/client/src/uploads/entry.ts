/** An upload in this tab, and how it is shown. */
import type { Core } from "../core.js"
import type { LamplightError } from "../errors.js"
import type { UploadRecord, UploadStorage } from "../options.js"
import type { ClientTools } from "../tools.js"
import type { Upload } from "../types.js"

export interface Entry {
  record: UploadRecord
  /** Null: not in this tab's memory. */
  bytes: Blob | null
  /** Whether the storage has it, with its bytes. */
  durable: boolean
  /** Its activity while the record is open. */
  live: "waiting" | "uploading" | "processing"
  sent: number
  /** Ends its request. */
  abort: AbortController
  /** Whether this tab uploads it, or has it queued. */
  isRunning: boolean
  /** Ends its wait for the next attempt. */
  wake: () => void
  /**
   * Releases the lock that announces the bytes to other tabs, once they are stored or no longer needed.
   */
  release: () => void
  /** The last write to the storage. */
  saving: Promise<unknown>
  /** Writes that are not done: the storage has an older record until then. */
  writes: number
  /** The state that the page received last. */
  item: Upload | null
}

export const newEntry = (record: UploadRecord, bytes: Blob | null, durable: boolean): Entry => ({
  record,
  bytes,
  durable,
  live: "waiting",
  sent: record.state === "ready" ? record.size : 0,
  abort: new AbortController(),
  isRunning: false,
  wake() {},
  release() {},
  saving: Promise.resolve(),
  writes: 0,
  item: null,
})

/** An upload as the page shows it: the same object until it changes. */
export function itemOf(entry: Entry, { same, LamplightError }: ClientTools): Upload {
  const { id, conversationId, name, type, size, state, error, clientMessageId } = entry.record
  const last = entry.item?.error
  const isSameError = last && error && last.code === error.code
  const fix = "Try again, or choose the file again."
  const shown: LamplightError | null = error
    ? isSameError
      ? last
      : new LamplightError({ ...error, retryable: false, fix })
    : null
  const next: Upload = {
    id,
    conversationId,
    name,
    type,
    size,
    sent: Math.min(size, entry.sent),
    state: state === "open" ? entry.live : state,
    error: shown,
    bytes: entry.bytes,
    durable: entry.durable,
    clientMessageId,
  }
  entry.item = same(entry.item, next)
  return entry.item
}

/** Writes an entry's record, after the writes before it; nothing if the storage does not have the upload. */
export function save(entry: Entry, storage: UploadStorage | null): Promise<void> {
  entry.writes++
  const done = entry.saving
    .then(async () => {
      if (entry.durable) await storage?.put(entry.record)
    })
    .catch(() => {})
    .then(() => {
      entry.writes--
    })
  entry.saving = done
  return done
}

/** The lock of the tab that sends the bytes of an upload. */
export const sendLock = (core: Core, id: string) => `lamplight:upload:${core.scope}:${id}`
/** The lock of the tab that alone has the bytes of an upload. */
export const bytesLock = (core: Core, id: string) => `lamplight:bytes:${core.scope}:${id}`

/** Whether two records say the same. */
export const isEqual = (one: UploadRecord, other: UploadRecord) =>
  Object.keys({ ...one, ...other }).every((key) => {
    const [mine, theirs] = [one, other].map((record) => record[key as keyof UploadRecord])
    return mine === theirs || JSON.stringify(mine) === JSON.stringify(theirs)
  })
