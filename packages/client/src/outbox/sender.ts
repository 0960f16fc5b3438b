/**
 * Sends the queue: in order within a conversation, one message in flight, by the socket or else over HTTP with the same id, until the
 * server has it or refuses it permanently. Conversations do not wait for each other.
 */
import { backoff } from "../backoff.js"
import type { Core } from "../core.js"
import { type LamplightError, toError } from "../errors.js"
import { isMessage } from "../fold.js"
import { deliver } from "./delivery.js"
import type { OutboxEntry, OutboxQueue } from "./queue.js"
import type { OutboxStorage } from "./storage.js"
import type { OutboxWrites } from "./writes.js"

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000
const LOCK_LIMIT_MS = 20_000

/** Resolves when the user is certain to be the one who wrote the entry, unless another user is signed in by then. */
export type Confirm = (entry: OutboxEntry) => Promise<void>

export function createSender(
  core: Core,
  queue: OutboxQueue,
  storage: OutboxStorage,
  writes: OutboxWrites,
  changed: (conversationId: string) => void,
  /** A message was refused permanently. */
  refused: (entry: OutboxEntry) => Promise<void>,
  confirm: Confirm,
) {
  const { entries } = queue
  /** The conversations whose entries are being sent. */
  const lanes = new Map<string, Promise<void>>()
  let draining = false
  let holdsLock = false
  /** Entries were added while the lock was held or requested. */
  let again = false
  let cancelTimer = () => {}
  const uptime = core.clock.uptime ?? core.clock.now

  /** Sends entries that are ready, under a lock that all tabs share: two tabs do not send the same message. */
  async function drain(): Promise<void> {
    const me = core.me()
    if (!me || !core.isUser(me) || !entries.size) return
    again = true
    if (holdsLock) startLanes(me)
    if (draining) return
    draining = true
    while (again && core.isUser(me)) {
      again = false
      await locked(`lamplight:outbox:${core.scope}:${me}`, async () => {
        await storage.load(me)
        holdsLock = true
        startLanes(me)
        while (lanes.size) await Promise.race(lanes.values())
        holdsLock = false
      })
    }
    draining = false
    schedule()
    // The next user's messages were not loaded while this one's were being sent.
    if (!core.isUser(me)) load()
  }

  /**
   * Runs `work` under the lock. A tab that is frozen while it holds the lock must not block the others: after a timeout they
   * continue without the lock. That is safe, since every tab sends in order and with the same ids.
   */
  function locked(name: string, work: () => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      let started = false
      const run = async () => {
        if (started) return
        started = true
        cancel()
        await work().catch(() => {})
        resolve()
      }
      const cancel = core.clock.after(LOCK_LIMIT_MS, run)
      core.withLock(name, run).catch(run)
    })
  }

  function startLanes(me: string): void {
    for (const { record } of entries.values()) {
      const id = record.conversationId
      if (lanes.has(id)) continue
      const lane = runLane(id, me).finally(() => lanes.delete(id))
      lanes.set(id, lane)
    }
  }

  async function runLane(id: string, me: string): Promise<void> {
    // Yields first: `startLanes` must put the lane into `lanes` before it can end.
    await null
    while (core.isUser(me)) {
      writes.resolveLane(id)
      const entry = queue.next(id)
      if (!entry || entry.signIn) return
      if (entry.dueAt !== null && entry.dueAt > uptime()) return
      if (!(await attempt(entry, me))) return
    }
  }

  /** One attempt. Resolves to whether the next message of the conversation may be sent. */
  async function attempt(entry: OutboxEntry, me: string): Promise<boolean> {
    const { clientMessageId, conversationId } = entry.record
    entry.inFlight = true
    tryAt(entry, null)
    entry.attempts++
    changed(conversationId)
    const isHere = () => core.isUser(me) && entries.get(clientMessageId) === entry
    try {
      await confirm(entry)
      if (!isHere()) throw 0
      const epoch = core.epoch()
      // Stored before it is sent: from now on it may have arrived, even if this page ends.
      if (!entry.record.dispatched) await storage.update(entry, { dispatched: true })
      if (!isHere()) throw 0
      const stored = await deliver(core, entry.record)
      entry.inFlight = false
      if (!core.isUser(me)) return false
      // The server's data went back in time meanwhile and may have lost the message. Sent again with its id, it is stored once.
      if (!core.isCurrent(epoch)) return true
      // First the changes that wait for it, so that they are not orphaned if the page ends.
      if (!entry.record.write && isMessage(stored)) writes.resolve(stored)
      if (isHere()) storage.remove(entry)
      // Also for a message that was discarded while in flight: the server has it, and no event will bring it.
      core.events.emit("delivered", stored)
      changed(conversationId)
      return true
    } catch (thrown) {
      entry.inFlight = false
      if (!isHere()) return true
      const error = toError(thrown)
      if (isOfCaller(error)) entry.signIn = true
      else if (error.retryable) retryLater(entry, error)
      else {
        await storage.update(entry, { failed: { code: error.code, message: error.message } })
        await refused(entry)
        changed(conversationId)
        return true
      }
      changed(conversationId)
      return false
    }
  }

  /** Whether the sender or the set-up is refused and not the message: then the message waits until that is corrected. */
  function isOfCaller(error: LamplightError): boolean {
    const isSetup = error.code.startsWith("LL-") || error === core.connection.state.get().error
    return error.code === "unauthenticated" || (isSetup && !error.retryable)
  }

  function retryLater(entry: OutboxEntry, error: LamplightError): void {
    const now = uptime()
    const delay = backoff(entry.attempts - 1, FIRST_RETRY_MS, LAST_RETRY_MS, core.random)
    if (error.retryAfterMs) entry.notBefore = now + error.retryAfterMs
    tryAt(entry, Math.max(now + delay, entry.notBefore ?? 0))
    schedule()
  }

  function tryAt(entry: OutboxEntry, dueAt: number | null): void {
    entry.dueAt = dueAt
    entry.nextTryAt = dueAt === null ? null : core.clock.now() + dueAt - uptime()
  }

  /** Sets the timer for the earliest next attempt. */
  function schedule(): void {
    cancelTimer()
    if (!core.isUser(core.me())) return
    const ids = new Set([...entries.values()].map(({ record }) => record.conversationId))
    const times = [...ids].flatMap((id) => {
      const { dueAt = null, signIn } = queue.next(id) ?? {}
      return dueAt === null || signIn ? [] : [dueAt]
    })
    if (!times.length) return
    cancelTimer = core.clock.after(Math.max(0, Math.min(...times) - uptime()), () => void drain())
  }

  /** Loads stored entries, then sends them. Also while sending: another tab may change or discard waiting entries. */
  function load(): void {
    const me = core.me()
    if (me) void storage.load(me).then(drain)
  }

  return {
    drain,
    load,
    /** Makes all messages due, except where the server asked to wait. `isFresh` starts their delays anew. */
    wake(isFresh: boolean): void {
      for (const entry of entries.values()) {
        entry.signIn = false
        if (isFresh) entry.attempts = 0
        if (entry.dueAt !== null) tryAt(entry, entry.notBefore)
      }
    },
    stop: () => cancelTimer(),
  }
}
