import type { Store } from "@lamplight/client"

/**
 * In one turn of the event loop this many changes are rendered at once; further ones are collected for the
 * next turn.
 */
const MAX_CHANGES = 20

let changes = 0
let isOpen = false
let isTimed = false
const waiting = new Set<() => void>()

/** Calls the listener now or, in a burst, with all others in the next turn. */
function call(listener: () => void): void {
  if (changes >= MAX_CHANGES) {
    waiting.add(listener)
    return
  }
  // Changes of several stores in one task count once.
  if (!isOpen) {
    isOpen = true
    queueMicrotask(() => {
      isOpen = false
      changes++
      if (!isTimed) setTimeout(nextTurn)
      isTimed = true
    })
  }
  listener()
}

/** Starts the next turn: the browser, and React with it, had time for other work. */
function nextTurn(): void {
  isTimed = false
  changes = 0
  const listeners = [...waiting]
  waiting.clear()
  for (const listener of listeners) call(listener)
}

const paced = new WeakMap<object, (listener: () => void) => () => void>()

/**
 * A `subscribe` that collects changes in a burst. React renders each change of an external store
 * synchronously and postpones the work of effects; with one message after the other it never does that work,
 * and gives up ("Maximum update depth exceeded").
 */
export function pacedSubscribe<T>(store: Store<T>): (listener: () => void) => () => void {
  let subscribe = paced.get(store)
  if (!subscribe) {
    subscribe = (listener) => {
      // A new function for each subscription.
      const notify = () => listener()
      const unsubscribe = store.subscribe(() => call(notify))
      return () => {
        waiting.delete(notify)
        unsubscribe()
      }
    }
    paced.set(store, subscribe)
  }
  return subscribe
}
