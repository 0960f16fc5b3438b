import { useSyncExternalStore } from "react"

/** The route is the hash of the address, so that the back button of a phone and a reload work as expected. */
export type Route =
  | { view: "conversations" }
  | { view: "people" }
  | { view: "thread"; conversationId: string }

export function parseRoute(hash: string): Route {
  const thread = /^#\/c\/(.+)$/.exec(hash)
  if (thread?.[1]) {
    try {
      return { view: "thread", conversationId: decodeURIComponent(thread[1]) }
    } catch {
      // A broken escape sequence in an address that was typed by hand.
      return { view: "conversations" }
    }
  }
  return hash === "#/people" ? { view: "people" } : { view: "conversations" }
}

export function hashOf(route: Route): string {
  if (route.view === "thread") return `#/c/${encodeURIComponent(route.conversationId)}`
  return route.view === "people" ? "#/people" : "#/"
}

let seen = ""
let current: Route = { view: "conversations" }

function read(): Route {
  if (location.hash !== seen) {
    seen = location.hash
    current = parseRoute(seen)
  }
  return current
}

const listeners = new Set<() => void>()

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  addEventListener("popstate", listener)
  addEventListener("hashchange", listener)
  return () => {
    listeners.delete(listener)
    removeEventListener("popstate", listener)
    removeEventListener("hashchange", listener)
  }
}

/**
 * Navigates. From one conversation to another the history entry is replaced, so that "back" leads to the
 * list.
 */
export function go(route: Route): void {
  const from = read()
  const hash = hashOf(route)
  if (hash === location.hash) return
  if (from.view === "thread" && route.view === "thread") history.replaceState(history.state, "", hash)
  else history.pushState({ from: from.view }, "", hash)
  for (const listener of listeners) listener()
}

/** Returns to the list, through the history if the user came from there, so that entries do not pile up. */
export function goBack(): void {
  if ((history.state as { from?: Route["view"] } | null)?.from === "conversations") {
    history.back()
    return
  }
  history.replaceState(null, "", "#/")
  for (const listener of listeners) listener()
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, read)
}
