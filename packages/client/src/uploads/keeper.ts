/** Stores the bytes of uploads, to continue after a reload. */
import type { Core } from "../core.js"
import type { LamplightOptions, UploadStorage } from "../options.js"
import { type Entry, save } from "./entry.js"

/** How many bytes are stored by default. */
const KEEP_BYTES = 500_000_000
/** The longest wait for the storage: it may never answer, and an upload does not need it. */
const KEEP_LIMIT_MS = 10_000

/**
 * Returns a function that stores an upload with its bytes, if there is space. It resolves when they are stored or a timeout ends. `kept` is
 * called once they are stored.
 */
export function createKeeper(
  core: Core,
  storage: UploadStorage | null,
  options: LamplightOptions,
  entries: ReadonlyMap<string, Entry>,
  kept: (entry: Entry) => void,
) {
  const hasDatabase = !options.storage && typeof indexedDB !== "undefined"
  const isHere = (entry: Entry) => entries.get(entry.record.id) === entry

  /** Whether that many more bytes can be stored. */
  async function hasSpace(size: number): Promise<boolean> {
    let sum = size
    for (const { durable, record } of entries.values()) if (durable) sum += record.size
    if (sum > (options.keepBytes ?? KEEP_BYTES)) return false
    const estimate = hasDatabase ? await globalThis.navigator?.storage?.estimate?.().catch(() => null) : null
    const { quota, usage } = estimate ?? {}
    return quota === undefined || usage === undefined || quota - usage > size * 1.1
  }

  async function keep(entry: Entry, bytes: Blob): Promise<void> {
    const { userId, size } = entry.record
    if (!storage || !(await hasSpace(size)) || !isHere(entry)) return
    const saved = storage.put(entry.record, bytes)
    entry.saving = saved.catch(() => {})
    await saved
    if (!isHere(entry)) return
    entry.durable = true
    // Changes made meanwhile.
    await save(entry, storage)
    void core.storage("set", `uploads:${userId}`, true)
    entry.release()
    kept(entry)
  }

  return (entry: Entry, bytes: Blob) =>
    new Promise<void>((resolve) => {
      const end = () => {
        cancel()
        resolve()
      }
      const cancel = core.clock.after(KEEP_LIMIT_MS, end)
      keep(entry, bytes).then(end, end)
    })
}
