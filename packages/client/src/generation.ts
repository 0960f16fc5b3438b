/**
 * The generation of the server's store. It changes when the server's data went back in time, as a restored backup does: then
 * nothing that was fetched before holds any more.
 */
import type { Core } from "./core.js"
import { cell } from "./store.js"
import type { RestoredState, Store } from "./types.js"

export interface Generation {
  /** What the person is to be told. */
  state: Store<RestoredState>
  dismiss(): void
  /** The generation that was told last. */
  now(): string | undefined
  /** What an answer told, and the epoch in which it was asked for. `joining`: it announced the user on a new socket. */
  told(store: string | undefined, epoch: number, joining?: boolean): void
  /** One conversation went back in time. */
  reset(conversationId: string): void
}

/** `changed` drops what is known and fetches it anew. `isOther`: whether something of another generation waits to be sent. */
export function createGeneration(
  core: Core,
  isOther: (store: string) => boolean,
  changed: (joining: boolean) => void,
): Generation {
  const state = cell<RestoredState>({ since: null, conversationIds: null, dismissed: true })
  let known: string | undefined
  const key = `store:${core.scope}`

  function tell(conversationIds: readonly string[] | null): void {
    state.set({ since: core.clock.now(), conversationIds, dismissed: false })
  }

  /** Compares with what the last page in this browser was told, and writes down what holds now. */
  async function keep(store: string): Promise<void> {
    const last = (await core.storage("get", key))?.value
    if (last === store || known !== store) return
    if (last && !state.get().since) tell(null)
    void core.storage("set", key, store)
  }

  return {
    state,
    dismiss: () => state.set({ ...state.get(), dismissed: true }),
    now: () => known,
    told(store, epoch, joining = false) {
      // What was asked for before a change may tell of the time before it.
      if (!store || store === known || !core.isCurrent(epoch)) return
      const isChange = known !== undefined || isOther(store)
      known = store
      void keep(store)
      if (!isChange) return
      tell(null)
      changed(joining)
    },
    reset(conversationId) {
      const { since, conversationIds, dismissed } = state.get()
      // All of them is more than this one.
      if (since && !dismissed && !conversationIds) return
      tell([...(dismissed ? [] : (conversationIds ?? [])), conversationId])
    },
  }
}
