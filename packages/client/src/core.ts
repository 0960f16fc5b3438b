import type { Connection } from "./connection.js"
import { toError } from "./errors.js"
import type { Http } from "./http.js"
import type { BrowserEnvironment, ClientStorage, Clock, WithLock } from "./options.js"

/** What the tabs of one person tell each other. */
export type TabMessage =
  | { type: "read"; userId: string; conversationId: string; seq: number; store: string | undefined }
  | { type: "draft"; userId: string; conversationId: string; text: string }
  | { type: "outbox"; userId: string }
  | { type: "account" }

/** What every room of the client needs. */
export interface Core {
  clock: Clock
  random(): number
  newId(): string
  environment: BrowserEnvironment
  http: Http
  connection: Connection
  storage: SafeStorage
  /** Whether what is kept outlives the page. */
  isPersistent(): boolean
  withLock: WithLock
  /** The namespace of locks and of what is kept: one for each server. */
  scope: string
  /** The user's id; null while nobody is signed in. */
  me(): string | null
  /** Whether the user is still the one of then: what was asked for under another one is dropped. */
  isUser(userId: string | null): boolean
  /**
   * Grows when another user comes and when the server's data went back in time: an answer that was asked for under another
   * number is dropped.
   */
  epoch(): number
  /** Whether it is still the epoch of then. */
  isCurrent(epoch: number): boolean
  /** The generation of the server's store; undefined until it is told. */
  store(): string | undefined
  post(message: TabMessage): void
}

type Method = "outbox" | "putOutbox" | "deleteOutbox" | "get" | "set"

/** Asks the storage for something. Null if it failed or did not answer in time: the client goes on in memory. */
export type SafeStorage = <M extends Method>(
  method: M,
  ...given: Parameters<ClientStorage[M]>
) => Promise<{ value: Awaited<ReturnType<ClientStorage[M]>> } | null>

/** A storage that does not answer within this is gone on without, until the page is left. */
const STORAGE_LIMIT_MS = 2_000

/** Wraps a storage so that its failures do no harm. It is opened when first used. `lost` is called when it is given up. */
export function createSafeStorage(
  storage: () => ClientStorage,
  clock: Clock,
  onLost: () => void,
): SafeStorage {
  let isLost = false
  const waiting = new Set<() => void>()

  /** Waiting for it once is enough: nobody waits for what it will not answer either. */
  function giveUp(): void {
    if (isLost) return
    isLost = true
    for (const end of waiting) end()
    onLost()
  }

  return (method, ...given) =>
    new Promise((resolve) => {
      const end = (result: { value: never } | null) => {
        cancel()
        waiting.delete(fail)
        resolve(result)
      }
      const fail = () => end(null)
      const cancel = isLost ? () => {} : clock.after(STORAGE_LIMIT_MS, giveUp)
      if (isLost) return fail()
      waiting.add(fail)
      // In a promise, since a storage may also throw at once.
      Promise.resolve()
        .then(() => (storage()[method] as (...all: unknown[]) => Promise<never>)(...given))
        .then((value) => end({ value }), fail)
    })
}

/** A map by conversation that survives a reload. */
export function createNotes<T>(core: Core, name: string) {
  const notes = new Map<string, T>()
  const key = () => `${name}:${core.scope}:${core.me()}`
  return {
    notes,
    save: () => void core.storage("set", key(), notes.size ? Object.fromEntries(notes) : undefined),
    /** Hands over what an earlier page left. */
    async load(take: (conversationId: string, note: T) => void): Promise<void> {
      const me = core.me()
      const saved = await core.storage("get", key())
      if (!core.isUser(me)) return
      for (const [id, note] of Object.entries(saved?.value ?? {})) take(id, note as T)
    },
  }
}

/** How long to wait after an attempt in vain: longer and longer, and never less than the server asked for. */
export function delayAfter(
  thrown: unknown,
  attempt: number,
  firstMs: number,
  lastMs: number,
  random: () => number,
): number {
  const asked = (toError(thrown).retryAfterMs ?? 0) * (1 + random() / 4)
  return Math.max(asked, backoff(attempt, firstMs, lastMs, random))
}

/** A growing, jittered delay. */
export function backoff(attempt: number, firstMs: number, lastMs: number, random: () => number): number {
  return Math.min(lastMs, firstMs * 2 ** Math.min(attempt, 16)) * (0.5 + random() / 2)
}
