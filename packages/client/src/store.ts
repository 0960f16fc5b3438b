import type { Store } from "./types.js"

/** A store that is set from outside. */
export interface Cell<T> extends Store<T> {
  /** Calls the listeners, unless the state is the same. */
  set(next: T): void
}

/** A store that is computed from other state when it is read. */
export interface View<T> extends Store<T> {
  /** The other state has changed. */
  touch(): void
}

export function cell<T>(initial: T): Cell<T> {
  let state = initial
  const { touch, ...store } = view(initial, () => state)
  return {
    ...store,
    set(next) {
      if (next === state) return
      state = next
      touch()
    },
  }
}

/**
 * Makes a store that is computed lazily. `compute` receives its last result, and returns it if nothing
 * changed. `watched` is called with the first listener, and its result when the last one ends. Without
 * listeners each read computes anew, so that no notification is needed.
 */
export function view<T>(initial: T, compute: (last: T) => T, watched?: () => () => void): View<T> {
  let state = initial
  let dirty = true
  let unwatched: (() => void) | undefined
  const listeners = new Set<() => void>()
  return {
    get() {
      if (dirty || !listeners.size) {
        dirty = false
        state = compute(state)
      }
      return state
    },
    getServer: () => initial,
    subscribe(listener) {
      // A new function for each subscription, so that the same listener may be given twice.
      const entry = () => listener()
      if (!listeners.size) {
        dirty = true
        unwatched = watched?.()
      }
      listeners.add(entry)
      return () => {
        if (listeners.delete(entry) && !listeners.size) unwatched?.()
      }
    },
    touch() {
      dirty = true
      for (const listener of [...listeners]) {
        try {
          listener()
        } catch (thrown) {
          // An error of the application: it must be seen, and must not stop the client.
          setTimeout(() => {
            throw thrown
          })
        }
      }
    },
  }
}

/** Returns `last` if both have equal properties, or equal elements in the same order; otherwise `next`. */
export function same<T extends object>(last: T | null | undefined, next: T): T {
  if (!last) return next
  if (Array.isArray(next)) {
    // Without a list of keys, since threads are long.
    const before = last as unknown as unknown[]
    return before.length === next.length && next.every((entry, at) => entry === before[at]) ? last : next
  }
  const keys = Object.keys(next) as (keyof T)[]
  const isSame =
    keys.length === Object.keys(last).length && keys.every((key) => Object.is(last[key], next[key]))
  return isSame ? last : next
}

/** Work that runs once at a time: a call while it runs returns the same promise. */
export interface Single {
  (): Promise<void>
  busy(): boolean
  /** Abandons the running work: its result is not needed any more. */
  drop(): void
}

/** `ended` is called after each run. */
export function single(work: () => Promise<void>, ended?: () => void): Single {
  let running: Promise<void> | null = null
  const run = () => {
    if (!running) {
      const mine: Promise<void> = work().finally(() => {
        if (running !== mine) return
        running = null
        ended?.()
      })
      running = mine
    }
    return running
  }
  return Object.assign(run, {
    busy: () => !!running,
    drop() {
      running = null
    },
  })
}

/** Runs work that no caller awaits; a failure shows in a state. */
export const inBackground = (work: Promise<unknown>): void => void work.catch(() => {})
