import type { Store } from "./types.js"

/** A store whose state is set. */
export interface Cell<T> extends Store<T> {
  /** Tells the listeners, unless it is the same. */
  set(next: T): void
}

/** A store whose state is worked out from elsewhere when it is next read. */
export interface View<T> extends Store<T> {
  /** What it is worked out from has changed. */
  touch(): void
}

/** Makes a store that is set. */
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
 * Makes a store that is worked out lazily. `compute` is handed what it gave last, and gives it back if nothing changed.
 * `watched` is called with the first listener, and what it returns with the last one's end. While nobody listens, each
 * reading works it out anew, so that nothing need be told.
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
      // A function of its own for each subscription, so that the same listener may be given twice.
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
          // An application's fault, which must be seen, and must not stop what is under way here.
          setTimeout(() => {
            throw thrown
          })
        }
      }
    },
  }
}

/** `next`, or `last` if both hold the same things under the same names, or in the same order. */
export function same<T extends object>(last: T | null | undefined, next: T): T {
  if (!last) return next
  if (Array.isArray(next)) {
    // Threads are long: no list of keys is made.
    const before = last as unknown as unknown[]
    return before.length === next.length && next.every((entry, at) => entry === before[at]) ? last : next
  }
  const keys = Object.keys(next) as (keyof T)[]
  const isSame =
    keys.length === Object.keys(last).length && keys.every((key) => Object.is(last[key], next[key]))
  return isSame ? last : next
}

/** Work of which one runs at a time: who asks while it runs gets the same promise. */
export interface Single {
  (): Promise<void>
  busy(): boolean
  /** Forgets the one that runs: its result is of no use any more. */
  drop(): void
}

/** Makes such a work. `ended` is called after each. */
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

/** Lets work run without anybody waiting for it; its failure shows in a state. */
export const inBackground = (work: Promise<unknown>): void => void work.catch(() => {})
