import type { Store } from "@lamplight/client"

/** So many changes are rendered as they come before the browser has had time for anything else; then they are gathered. */
const MOST_TURNS = 20

let turns = 0
let isOpen = false
let isTimed = false
const waiting = new Set<() => void>()

/** Calls the listener now or, in a burst, with all others a moment later. */
function tell(listener: () => void): void {
  if (turns >= MOST_TURNS) {
    waiting.add(listener)
    return
  }
  // What changes together is rendered together, however many stores it is.
  if (!isOpen) {
    isOpen = true
    queueMicrotask(() => {
      isOpen = false
      turns++
      if (!isTimed) setTimeout(rest)
      isTimed = true
    })
  }
  listener()
}

/** The browser had time for something else, and with it React. */
function rest(): void {
  isTimed = false
  turns = 0
  const listeners = [...waiting]
  waiting.clear()
  for (const listener of listeners) tell(listener)
}

const paced = new WeakMap<object, (listener: () => void) => () => void>()

/**
 * The store's `subscribe`, which gathers changes while there is no time for more. React renders each change of a store at once,
 * and puts off what effects have asked for; where messages come one after the other, that is never done, and React gives up
 * ("Maximum update depth exceeded").
 */
export function pacedSubscribe<T>(store: Store<T>): (listener: () => void) => () => void {
  let subscribe = paced.get(store)
  if (!subscribe) {
    subscribe = (listener) => {
      // A function of its own for each subscription.
      const told = () => listener()
      const unsubscribe = store.subscribe(() => tell(told))
      return () => {
        waiting.delete(told)
        unsubscribe()
      }
    }
    paced.set(store, subscribe)
  }
  return subscribe
}
