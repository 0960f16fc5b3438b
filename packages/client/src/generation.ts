/**
 * The generation of the server's store. It changes when the server loses data, for example when a backup is
 * restored. Everything fetched before is invalid then.
 */
import type { Core } from "./core.js"
import { toError } from "./errors.js"
import { cell } from "./store.js"
import type { RestoredState, Store } from "./types.js"
import type { OfStore } from "./wire.js"

export interface Generation {
  /** The state for the notice that the app shows to the user. */
  state: Store<RestoredState>
  dismiss(): void
  /** The generation of the last answer. */
  now(): string | undefined
  /** Handles the generation in an answer, with the epoch of its request. `isJoin`: the request announced the user on a new socket. */
  update(store: string | undefined, epoch: number, isJoin?: boolean): void
  /** One conversation has lost entries. */
  reset(conversationId: string): void
  /** Sends a request and handles the generation in its answer. `isRead`: it is repeated once if the server asks to wait. */
  observe<T>(request: () => Promise<T>, isRead: boolean, signal?: AbortSignal): Promise<T>
}

/** A request fails at once if the server asks to wait for longer than this. */
const MAX_PAUSE_MS = 5_000

/** The data is fetched again at most this often, however often the generation changes. */
const CHANGE_MS = 10_000

/** `isOther`: whether data of another generation waits to be sent. */
export function createGeneration(core: Core, isOther: (store: string) => boolean): Generation {
  const state = cell<RestoredState>({ since: null, conversationIds: null, dismissed: true })
  let known: string | undefined
  let changedAt = Number.NEGATIVE_INFINITY
  const key = `store:${core.scope}`

  function notify(conversationIds: readonly string[] | null): void {
    state.set({ since: core.clock.now(), conversationIds, dismissed: false })
  }

  /** Compares with the generation that the last page in this browser stored, and stores the current one. */
  async function keep(store: string): Promise<void> {
    const last = (await core.storage("get", key))?.value
    if (last === store || known !== store) return
    if (last && !state.get().since) notify(null)
    void core.storage("set", key, store)
  }

  function update(store: string | undefined, epoch: number, isJoin = false): void {
    // A request from before a change may be answered with the former generation.
    if (!store || store === known || !core.isCurrent(epoch)) return
    const isChange = known !== undefined || isOther(store)
    known = store
    void keep(store)
    if (!isChange) return
    notify(null)
    change(isJoin)
  }

  /** Drops and refetches all fetched data. Unsent data stays. */
  function change(isJoin: boolean): void {
    const { clock, connection, events } = core
    core.nextEpoch()
    events.emit("restored")
    const epoch = core.epoch()
    const begin = () => {
      if (!core.isCurrent(epoch)) return
      // The old socket may still carry events from before the change.
      if (!isJoin && connection.joined()) connection.restart()
      if (core.me()) events.emit("fetch")
    }
    // Two servers with different data behind one address change the generation with each answer: avoid a request storm.
    if (clock.now() - changedAt < CHANGE_MS) clock.after(CHANGE_MS, begin)
    else begin()
    changedAt = clock.now()
  }

  return {
    state,
    dismiss: () => state.set({ ...state.get(), dismissed: true }),
    now: () => known,
    update,
    async observe(request, isRead, signal) {
      const began = core.epoch()
      const answer = await request().catch(async (thrown) => {
        const { retryAfterMs } = toError(thrown)
        if (!isRead || !retryAfterMs || retryAfterMs > MAX_PAUSE_MS) throw thrown
        // Randomised, so that clients do not all return at the same moment.
        await new Promise<void>((resolve) =>
          core.clock.after(retryAfterMs * (1 + core.random() / 2), resolve),
        )
        if (!core.isCurrent(began) || signal?.aborted) throw thrown
        return request()
      })
      update((answer as OfStore).store, began)
      return answer
    },
    reset(conversationId) {
      const { since, conversationIds, dismissed } = state.get()
      // A notice about all conversations includes this one.
      if (since && !dismissed && !conversationIds) return
      notify([...(dismissed ? [] : (conversationIds ?? [])), conversationId])
    },
  }
}
