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

function listeners(watched?: () => () => void) {
  const all = new Set<() => void>()
  let unwatched: (() => void) | undefined
  return {
    subscribe(listener: () => void) {
      // A function of its own for each subscription, so that the same listener may be given twice.
      const entry = () => listener()
      if (all.size === 0) unwatched = watched?.()
      all.add(entry)
      return () => {
        if (all.delete(entry) && all.size === 0) unwatched?.()
      }
    },
    notify() {
      for (const listener of [...all]) listener()
    },
  }
}

/** Makes a store that is set. */
export function cell<T>(initial: T): Cell<T> {
  let state = initial
  const { subscribe, notify } = listeners()
  return {
    get: () => state,
    getServer: () => initial,
    subscribe,
    set(next) {
      if (Object.is(next, state)) return
      state = next
      notify()
    },
  }
}

/**
 * Makes a store that is worked out lazily. `compute` is handed what it gave last, and gives it back if nothing changed.
 * `watched` is called with the first listener, and what it returns with the last one's end.
 */
export function view<T>(initial: T, compute: (last: T) => T, watched?: () => () => void): View<T> {
  let state = initial
  let dirty = true
  const { subscribe, notify } = listeners(watched)
  return {
    get() {
      if (dirty) {
        dirty = false
        state = compute(state)
      }
      return state
    },
    getServer: () => initial,
    subscribe,
    touch() {
      dirty = true
      notify()
    },
  }
}

/** `next`, or `last` if both hold the same things in the same order. */
export function sameList<T>(last: readonly T[], next: readonly T[]): readonly T[] {
  return last.length === next.length && next.every((entry, index) => entry === last[index]) ? last : next
}

/** `next`, or `last` if every property of both is the same. */
export function sameShape<T extends object>(last: T | null | undefined, next: T): T {
  if (!last) return next
  const keys = Object.keys(next) as (keyof T)[]
  return keys.length === Object.keys(last).length && keys.every((key) => Object.is(last[key], next[key]))
    ? last
    : next
}
