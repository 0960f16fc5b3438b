/**
 * What is unsent. A message is written down, then shown, then sent: in order within a conversation, one in flight, by
 * the socket or else over HTTP with the same id, until the server has it or refuses it for good.
 */

import { backoff } from "./backoff.js"
import { refusal, refuseContent } from "./content.js"
import type { Core } from "./core.js"
import { deliver } from "./delivery.js"
import { LamplightError, toError } from "./errors.js"
import type { OutboxRecord } from "./outbox-record.js"
import { same, view } from "./store.js"
import type { Outbox, OutboxItem, OutboxState, SendResult, WaitingFor } from "./types.js"
import type { Message } from "./wire.js"

/** The outbox, as the rest of the client uses it. */
export interface OutboxController {
  outbox: Outbox
  add(conversationId: string, content: string): Promise<SendResult>
  /** The unsent messages of a conversation, in order. */
  of(conversationId: string): readonly OutboxItem[]
  /** The server has this one. */
  settled(message: Message): void
  /** Something changed for the better: what waits is tried now. `fresh`: and the delays start small again. */
  kick(fresh?: boolean): void
  /** Takes up what an earlier page left, or another tab changed. */
  load(): void
  /** The storage has been given up: nothing outlives the page from now on. */
  touch(): void
  reset(): void
}

/** What the outbox tells the rest. */
export interface OutboxParts {
  /** It is stored; its optimistic row is gone already, so that its place is taken in one step. */
  delivered(message: Message): void
  /** What the conversation shows as unsent has changed. */
  changed(conversationId: string): void
  /** Why nothing may be sent to a conversation; null if it may. */
  sendError(conversationId: string): LamplightError | null
}

interface Entry {
  record: OutboxRecord
  /** Whether it is written down: then what is written down is the truth, also of other tabs' doing. */
  saved: boolean
  inFlight: boolean
  attempts: number
  /** When the next try comes: as the page is told it, and on the scale of `uptime`, which nobody can set. */
  nextTryAt: number | null
  dueAt: number | null
  /** Not before this, even when kicked: the server said so. On the scale of `uptime`. */
  notBefore: number | null
  signIn: boolean
  item: OutboxItem | null
}

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000
const LOCK_LIMIT_MS = 20_000

export function createOutbox(core: Core, parts: OutboxParts): OutboxController {
  const entries = new Map<string, Entry>()
  /** Delivered or discarded here: not taken up again from a storage that is slow to forget. */
  const done = new Set<string>()
  const lanes = new Map<string, Promise<void>>()
  let lastOrder = 0
  let draining = false
  let passing = false
  let again = false
  let written: Promise<unknown> = Promise.resolve()
  let cancelTimer = () => {}
  const uptime = core.clock.uptime ?? core.clock.now

  const inOrder = () =>
    [...entries.values()].sort(
      ({ record: one }, { record: other }) =>
        one.order - other.order || (one.clientMessageId < other.clientMessageId ? -1 : 1),
    )
  const laneOf = (id: string) => inOrder().filter(({ record }) => record.conversationId === id)

  /** The items of a conversation, each saying what it waits for. */
  function itemsOf(lane: readonly Entry[]): OutboxItem[] {
    let before: WaitingFor | null = null
    return lane.map((entry) => {
      const { record, attempts, nextTryAt } = entry
      const { failed } = record
      // It goes at once if there is a line: that it waits for one must not be said for a moment.
      const goes = entry.inFlight || (attempts === 0 && core.connection.joined())
      const own: WaitingFor = entry.signIn ? "sign-in" : (before ?? (goes ? "server" : "connection"))
      entry.item = same<OutboxItem>(entry.item, {
        ...record,
        state: failed ? "failed" : "sending",
        attempts,
        waitingFor: failed ? null : own,
        nextTryAt: failed || before ? null : nextTryAt,
        error: failed ? errorOf(entry, failed) : null,
      })
      if (before !== "earlier-failed") before = failed ? "earlier-failed" : "earlier"
      return entry.item
    })
  }

  function errorOf(entry: Entry, failed: { code: string; message: string }): LamplightError {
    const last = entry.item?.error
    if (last?.code === failed.code) return last
    return new LamplightError({ ...failed, retryable: false, fix: "Edit it, try again, or discard it." })
  }

  const store = view<OutboxState>({ items: [], waiting: 0, failed: 0, durable: true }, (last) => {
    const ids = new Set([...entries.values()].map(({ record }) => record.conversationId))
    const items = [...ids].flatMap((id) => itemsOf(laneOf(id)))
    const failed = items.filter((item) => item.state === "failed").length
    return same(last, {
      items: same(last.items, items),
      failed,
      waiting: items.length - failed,
      durable: core.isPersistent() && [...entries.values()].every(({ saved }) => saved),
    })
  })

  function touch(conversationId: string): void {
    parts.changed(conversationId)
    store.touch()
  }

  function take(record: OutboxRecord, saved: boolean): void {
    lastOrder = Math.max(lastOrder, record.order)
    const known = entries.get(record.clientMessageId)
    if (known) Object.assign(known, { record, saved })
    else {
      const fresh = {
        inFlight: false,
        attempts: 0,
        nextTryAt: null,
        dueAt: null,
        notBefore: null,
        signIn: false,
        item: null,
      }
      entries.set(record.clientMessageId, { record, saved, ...fresh })
    }
    touch(record.conversationId)
  }

  async function put(entry: Entry, change: Partial<OutboxRecord>): Promise<void> {
    entry.record = { ...entry.record, ...change }
    entry.saved = !!(await core.storage("putOutbox", entry.record)) && core.isPersistent()
    core.post({ type: "outbox", userId: entry.record.userId })
  }

  function remove(entry: Entry): void {
    const { clientMessageId, userId } = entry.record
    entries.delete(clientMessageId)
    done.add(clientMessageId)
    void core.storage("deleteOutbox", clientMessageId).then(() => core.post({ type: "outbox", userId }))
  }

  function check(conversationId: string, content: string): LamplightError | null {
    if (!core.me()) return refusal("unauthenticated", "You are not signed in.", "Sign in and send it again.")
    if (!conversationId)
      return refusal("invalid", "No conversation is chosen.", "Choose a conversation first.")
    return refuseContent(content) ?? parts.sendError(conversationId)
  }

  async function add(conversationId: string, content: string): Promise<SendResult> {
    const error = check(conversationId, content)
    if (error) return { ok: false, error, content }
    const userId = core.me() as string
    const now = core.clock.now()
    lastOrder = Math.max(now, lastOrder + 1)
    const record: OutboxRecord = {
      clientMessageId: core.newId(),
      userId,
      conversationId,
      content,
      createdAt: new Date(now).toISOString(),
      order: lastOrder,
      dispatched: false,
      failed: null,
    }
    // Written down before it is shown, and shown in the order in which it was sent.
    const saving = Promise.all([core.storage("putOutbox", record), written])
    written = saving
    const saved = !!(await saving)[0] && core.isPersistent()
    if (core.isUser(userId)) {
      take(record, saved)
      core.post({ type: "outbox", userId })
      void drain()
    }
    return { ok: true, clientMessageId: record.clientMessageId }
  }

  /** Sends what can be sent, while holding the lock: two tabs do not send the same item. */
  async function drain(): Promise<void> {
    const me = core.me()
    if (!me || !core.isUser(me) || !entries.size) return
    again = true
    if (passing) startLanes(me)
    if (draining) return
    draining = true
    while (again && core.isUser(me)) {
      again = false
      await locked(`lamplight:outbox:${core.scope}:${me}`, async () => {
        await reload(me)
        passing = true
        startLanes(me)
        while (lanes.size) await Promise.race(lanes.values())
        passing = false
      })
    }
    draining = false
    schedule()
    // What somebody else has left was not taken up meanwhile.
    if (!core.isUser(me)) load()
  }

  /**
   * Holds the lock if it can be had. A tab that is frozen while holding it must not keep the others from sending: they go on
   * without it after a while, which is safe, since every tab sends in order and with the same ids.
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
    // Not within `startLanes`: the lane is to be known before it ends.
    await null
    while (core.isUser(me)) {
      const entry = laneOf(id)[0]
      if (!entry || entry.record.failed || entry.signIn) return
      if (entry.dueAt !== null && entry.dueAt > uptime()) return
      if (!(await attempt(entry, me))) return
    }
  }

  /** Tries once. Whether the next in line may go. */
  async function attempt(entry: Entry, me: string): Promise<boolean> {
    const { clientMessageId, conversationId } = entry.record
    entry.inFlight = true
    tryAt(entry, null)
    entry.attempts++
    // From here on it may have arrived, also if this page ends now.
    if (!entry.record.dispatched) await put(entry, { dispatched: true })
    touch(conversationId)
    const isCurrent = () => core.isUser(me) && entries.get(clientMessageId) === entry
    const epoch = core.epoch()
    try {
      const { message } = await deliver(core, entry.record)
      entry.inFlight = false
      if (!core.isUser(me)) return false
      // The server's data went back in time meanwhile: it may not be there any more. Under the same id it is stored once.
      if (!core.isCurrent(epoch)) return true
      if (isCurrent()) remove(entry)
      // Also what was discarded on its way: it is there now, and no event will tell.
      parts.delivered(message)
      touch(conversationId)
      return true
    } catch (thrown) {
      entry.inFlight = false
      if (!isCurrent()) return true
      const error = toError(thrown)
      if (isOfCaller(error)) entry.signIn = true
      else if (error.retryable) wait(entry, error)
      else await put(entry, { failed: { code: error.code, message: error.message } })
      touch(conversationId)
      return false
    }
  }

  /** Whether it is not the message that is refused, but whoever sends it or the set-up: that is mended elsewhere. */
  function isOfCaller(error: LamplightError): boolean {
    const isSetup = error.code.startsWith("LL-") || error === core.connection.state.get().error
    return error.code === "unauthenticated" || (isSetup && !error.retryable)
  }

  function wait(entry: Entry, error: LamplightError): void {
    const now = uptime()
    const delay = backoff(entry.attempts - 1, FIRST_RETRY_MS, LAST_RETRY_MS, core.random)
    if (error.retryAfterMs) entry.notBefore = now + error.retryAfterMs
    tryAt(entry, Math.max(now + delay, entry.notBefore ?? 0))
    schedule()
  }

  function tryAt(entry: Entry, dueAt: number | null): void {
    entry.dueAt = dueAt
    entry.nextTryAt = dueAt === null ? null : core.clock.now() + dueAt - uptime()
  }

  /** Wakes for the earliest next try. */
  function schedule(): void {
    cancelTimer()
    if (!core.isUser(core.me())) return
    // Only what is first in its conversation can go.
    const firsts = new Map(
      inOrder()
        .reverse()
        .map((entry) => [entry.record.conversationId, entry]),
    )
    const times = [...firsts.values()].flatMap(({ dueAt, signIn, record }) =>
      dueAt === null || signIn || record.failed ? [] : [dueAt],
    )
    if (!times.length) return
    cancelTimer = core.clock.after(Math.max(0, Math.min(...times) - uptime()), () => void drain())
  }

  /** Takes in what is written down: what an earlier page or another tab left, changed or finished. */
  async function reload(me: string): Promise<void> {
    const saved = new Set([...entries].filter(([, entry]) => entry.saved).map(([id]) => id))
    const kept = await core.storage("outbox", me)
    if (!kept || !core.isUser(me)) return
    for (const record of kept.value) {
      const id = record.clientMessageId
      const known = entries.get(id)
      saved.delete(id)
      if (done.has(id)) void core.storage("deleteOutbox", id)
      else if (!known?.inFlight && JSON.stringify(known?.record) !== JSON.stringify(record))
        take(record, true)
    }
    for (const id of saved) {
      const entry = entries.get(id)
      if (!entry || entry.inFlight) continue
      entries.delete(id)
      touch(entry.record.conversationId)
    }
  }

  function load(): void {
    const me = core.me()
    if (me && !passing) void reload(me).then(drain)
  }

  function kick(fresh = false): void {
    for (const entry of entries.values()) {
      entry.signIn = false
      if (fresh) entry.attempts = 0
      if (entry.dueAt !== null) tryAt(entry, entry.notBefore)
    }
    store.touch()
    void drain()
  }

  return {
    outbox: {
      ...store,
      retry(id) {
        for (const entry of entries.values()) {
          if (id !== undefined && entry.record.clientMessageId !== id) continue
          Object.assign(entry, { attempts: 0, nextTryAt: null, dueAt: null, signIn: false })
          if (entry.record.failed) void put(entry, { failed: null }).then(drain)
          touch(entry.record.conversationId)
        }
        void drain()
      },
      async edit(id, content) {
        const entry = entries.get(id)
        const refuse = (error: LamplightError): SendResult => ({ ok: false, error, content })
        if (!entry) return refuse(refusal("not_found", "That message was sent already.", "Write a new one."))
        const { record } = entry
        const error = check(record.conversationId, content)
        if (error) return refuse(error)
        if (entry.inFlight || (record.dispatched && !record.failed)) {
          return refuse(
            refusal("conflict", "That message may have arrived already.", "Wait until it is clear."),
          )
        }
        // What was refused was not stored, so its id is free; but after a conflict it belongs to another text.
        const clientMessageId = record.failed?.code === "conflict" ? core.newId() : id
        if (clientMessageId !== id) remove(entry)
        take({ ...record, clientMessageId, content, dispatched: false, failed: null }, entry.saved)
        const edited = entries.get(clientMessageId) as Entry
        Object.assign(edited, { attempts: 0, nextTryAt: null, dueAt: null })
        await put(edited, {})
        touch(record.conversationId)
        void drain()
        return { ok: true, clientMessageId }
      },
      async discard(id) {
        const entry = entries.get(id)
        if (!entry) return null
        remove(entry)
        touch(entry.record.conversationId)
        void drain()
        return entry.record.content
      },
    },
    add,
    of: (id) => (entries.size ? itemsOf(laneOf(id)) : []),
    settled({ clientMessageId, senderId, conversationId }) {
      const entry = clientMessageId && senderId === core.me() ? entries.get(clientMessageId) : undefined
      if (!entry || entry.record.conversationId !== conversationId) return
      remove(entry)
      touch(conversationId)
      void drain()
    },
    kick,
    load,
    touch() {
      for (const entry of entries.values()) entry.saved = false
      store.touch()
    },
    reset() {
      cancelTimer()
      entries.clear()
      done.clear()
      store.touch()
    },
  }
}
