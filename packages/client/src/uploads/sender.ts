/** Sends the bytes of uploads: a few at a time, each by one tab, until the server has them or refuses them permanently. */
import type { Core } from "../core.js"
import type { UploadRecord, UploadStorage } from "../options.js"
import type { ClientTools } from "../tools.js"
import { type Entry, sendLock } from "./entry.js"
import { isGone, type Progress, type Tus } from "./tus.js"

/** The number of concurrent uploads, so that each makes progress. */
const MAX_ACTIVE = 2
/** The bytes of one request: each uses the current token, and the server checks each again. */
const PART_BYTES = 8 * 1024 * 1024
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000
/** How often the server is asked whether a scanner has let a file pass. */
const FIRST_LOOK_MS = 1_000
const LAST_LOOK_MS = 15_000

export interface SenderHooks {
  /** Whether this tab still has it, open and of the current user. */
  isWanted(entry: Entry): boolean
  /** Applies changes by other tabs. Returns whether it is still to be sent. */
  refresh(entry: Entry): Promise<boolean>
  change(entry: Entry, change: Partial<UploadRecord>): void
  /** Its progress, which is not stored, changed. */
  moved(entry: Entry): void
  /** The server has created an upload that was cancelled meanwhile. */
  abandon(fileId: string): void
}

export function createSender(
  core: Core,
  { delayAfter, toError, LamplightError }: ClientTools,
  tus: Tus,
  storage: UploadStorage | null,
  hooks: SenderHooks,
) {
  const { isWanted, change, moved } = hooks
  let active = 0
  const queue: (() => void)[] = []

  async function withSlot(work: () => Promise<void>): Promise<void> {
    if (active >= MAX_ACTIVE) await new Promise<void>((resolve) => queue.push(resolve))
    else active++
    try {
      await work()
    } finally {
      // The next one takes over the slot.
      const next = queue.shift()
      if (next) next()
      else active--
    }
  }

  /** The bytes, readable: a file that was chosen may have been moved or changed on the disk since. */
  async function bytesOf(entry: Entry): Promise<Blob> {
    const { id, size } = entry.record
    const candidates = [async () => entry.bytes, async () => (await storage?.bytes(id)) ?? null]
    for (const candidate of candidates) {
      const bytes = await candidate().catch(() => null)
      if (!bytes || bytes.size !== size) continue
      const isReadable = await bytes
        .slice(0, 1)
        .arrayBuffer()
        .then(
          () => true,
          () => false,
        )
      if (!isReadable) continue
      entry.bytes = bytes
      return bytes
    }
    const message = "The file cannot be read any more."
    throw new LamplightError({ code: "not_found", message, retryable: false })
  }

  /** Sends the missing bytes in parts. */
  async function send(entry: Entry, progress: (offset: number) => void): Promise<void> {
    const { signal } = entry.abort
    const bytes = await bytesOf(entry)
    const { size } = bytes
    let { fileId } = entry.record
    let now: Progress = { offset: 0, state: null }
    if (fileId === null) {
      fileId = await tus.create(entry.record, signal)
      if (!isWanted(entry) && entry.record.state !== "paused") return hooks.abandon(fileId)
      change(entry, { fileId })
      if (size === 0) now = await tus.look(fileId, signal)
    } else {
      now = await tus.look(fileId, signal)
      progress(now.offset)
    }
    while (now.offset < size && isWanted(entry)) {
      const at = now.offset
      const end = Math.min(size, at + PART_BYTES)
      const show = (sent: number) => {
        entry.sent = sent
        entry.live = sent === size ? "processing" : "uploading"
        moved(entry)
      }
      show(at)
      now = await tus.patch(fileId, at, bytes.slice(at, end), signal, (sent) =>
        show(Math.min(end, at + sent)),
      )
      progress(now.offset)
    }
    await examined(entry, fileId, now.state)
    if (!isWanted(entry)) return
    entry.sent = size
    change(entry, { state: "ready" })
  }

  /** Waits until the operator's scanner has looked at the file. */
  async function examined(entry: Entry, fileId: string, first: string | null): Promise<void> {
    let state = first
    for (let tries = 0; state === "processing" && isWanted(entry); tries++) {
      entry.sent = entry.record.size
      entry.live = "processing"
      moved(entry)
      await pause(entry, backoff(tries))
      if (!isWanted(entry)) return
      // A file that the scanner refused may be deleted before this check.
      state = await tus.look(fileId, entry.abort.signal).then(
        (now) => now.state,
        (thrown) => {
          if (isGone(thrown)) return "blocked"
          throw thrown
        },
      )
    }
    if (state !== "blocked" && state !== "failed") return
    const message = "The server does not let this file pass."
    throw new LamplightError({ code: "blocked", message, retryable: false })
  }

  const backoff = (tries: number) => delayAfter(null, tries, FIRST_LOOK_MS, LAST_LOOK_MS, core.random)

  async function work(entry: Entry): Promise<void> {
    let failures = 0
    let most = 0
    while (isWanted(entry)) {
      try {
        await send(entry, (offset) => {
          // An upload over a connection that breaks repeatedly still makes progress.
          if (offset > most) failures = 0
          most = Math.max(most, offset)
        })
      } catch (thrown) {
        if (!isWanted(entry)) return
        entry.live = "waiting"
        const error = toError(thrown)
        // The server does not have it: it expired, or was on the disk of a node that is gone.
        if (isGone(thrown)) {
          entry.sent = most = 0
          change(entry, { fileId: null })
        } else if (!error.retryable && !isOfCaller(error.code)) {
          change(entry, { state: "failed", error: { code: error.code, message: error.message } })
          return
        }
        moved(entry)
        // A lost upload restarts at once; if it is lost again, it waits first.
        if (!isGone(thrown) || failures > 0)
          await pause(entry, delayAfter(error, failures, FIRST_RETRY_MS, LAST_RETRY_MS, core.random))
        failures++
      }
    }
  }

  /** Whether the user or the set-up is refused and not the file: then it waits until that is corrected. */
  const isOfCaller = (code: string) =>
    code === "unauthenticated" || code === "conflict" || code.startsWith("LL-")

  const pause = (entry: Entry, ms: number) =>
    new Promise<void>((resolve) => {
      const end = () => {
        cancel()
        resolve()
      }
      const cancel = core.clock.after(ms, end)
      entry.wake = end
    })

  /** Uploads it once it is first in the queue. */
  return async (entry: Entry): Promise<void> => {
    if (entry.isRunning) return
    entry.isRunning = true
    entry.abort = new AbortController()
    await core
      .withLock(sendLock(core, entry.record.id), async () => {
        if (await hooks.refresh(entry)) await withSlot(() => work(entry))
      })
      .catch(() => {})
    entry.isRunning = false
    entry.live = "waiting"
    // It was continued while the last request was ending.
    if (isWanted(entry)) moved(entry)
  }
}
