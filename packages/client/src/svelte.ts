/** `@lamplight/client/svelte`: stores in the form that Svelte's `$store` reads. */
import type { Store } from "./types.js"

/** Svelte's store contract. */
export interface Readable<T> {
  /** Calls `run` at once, and after each change, with the state. */
  subscribe(run: (value: T) => void): () => void
}

/**
 * A store as Svelte reads it: `const connection = toSvelte(lamplight.connection)`, then `$connection.status`. A form of its own, since
 * `subscribe` of the client's stores works out nothing before somebody reads it.
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
