import type { Connection } from "./connection.js"
import type { Http } from "./http.js"
import type { ClientStorage, Clock, Surroundings, WithLock } from "./options.js"
import type { OutboxRecord } from "./outbox-record.js"

/** What the tabs of one person tell each other. */
export type TabMessage =
  | { type: "read"; userId: string; conversationId: string; seq: number }
  | { type: "draft"; userId: string; conversationId: string; text: string }
  | { type: "outbox"; userId: string }
  | { type: "account" }

/** What every room of the client needs. */
export interface Core {
  clock: Clock
  random(): number
  newId(): string
  surroundings: Surroundings
  http: Http
  connection: Connection
  kept: Kept
  withLock: WithLock
  /** The namespace of locks: one for each server. */
  scope: string
  /** The user's id; null while nobody is signed in. */
  me(): string | null
  /** Whether the user is still the one of then: what was asked for under another one is dropped. */
  isStill(userId: string): boolean
  post(message: TabMessage): void
}

/** A storage that never rejects and never hangs: the client goes on in memory. */
export interface Kept {
  outbox(userId: string): Promise<OutboxRecord[] | null>
  /** Whether it is written down. */
  putOutbox(record: OutboxRecord): Promise<boolean>
  deleteOutbox(clientMessageId: string): Promise<boolean>
  get(key: string): Promise<unknown>
  set(key: string, value: unknown): Promise<boolean>
}

/** A storage that does not answer within this is gone on without. */
const STORAGE_LIMIT_MS = 2_000

/** Wraps a storage so that its failures do no harm. */
export function keepSafely(storage: ClientStorage, clock: Clock): Kept {
  function safely<T>(work: () => Promise<T>): Promise<T | undefined> {
    return new Promise((resolve) => {
      const cancel = clock.after(STORAGE_LIMIT_MS, () => resolve(undefined))
      const end = (value?: T) => {
        cancel()
        resolve(value)
      }
      // In a promise, since a storage may also throw at once.
      Promise.resolve()
        .then(work)
        .then(end, () => end())
    })
  }
  const done = (work: () => Promise<void>) =>
    safely(() => work().then(() => true)).then((did) => did === true)
  return {
    outbox: (userId) => safely(() => storage.outbox(userId)).then((records) => records ?? null),
    putOutbox: (record) => done(() => storage.putOutbox(record)),
    deleteOutbox: (id) => done(() => storage.deleteOutbox(id)),
    get: (key) => safely(() => storage.get(key)),
    set: (key, value) => done(() => storage.set(key, value)),
  }
}

/** A growing, jittered delay. */
export function backoff(attempt: number, firstMs: number, lastMs: number, random: () => number): number {
  return Math.min(lastMs, firstMs * 2 ** Math.min(attempt, 16)) * (0.5 + random() / 2)
}
