/** `@lamplight/client/svelte`: stores in the form that Svelte's `$store` reads. */
import type { Store } from "./types.js"

export interface Readable<T> {
  /** Calls `run` at once and after each change. */
  subscribe(run: (value: T) => void): () => void
}

/**
 * A store for Svelte: `const connection = toSvelte(lamplight.connection)`, then `$connection.status`. It
 * differs from the client's stores, whose `subscribe` does not call the listener at once.
 */
export function toSvelte<T>(store: Store<T>): Readable<T> {
  return {
    subscribe(run) {
      const unsubscribe = store.subscribe(() => run(store.get()))
      run(store.get())
      return unsubscribe
    },
  }
}
