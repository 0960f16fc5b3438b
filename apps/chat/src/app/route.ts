import { useSyncExternalStore } from "react"

/** The route is the hash of the address, so that the back button of a phone and a reload work as expected. */
export type Route =
  | { view: "conversations" }
  | { view: "people" }
  /** `seq`: the message to show, until it is shown. */
  | { view: "thread"; conversationId: string; seq?: number }

export function parseRoute(hash: string): Route {
  const thread = /^#\/c\/(.+?)(?:\/(\d{1,15}))?$/.exec(hash)
  if (thread?.[1]) {
    try {
      const conversationId = decodeURIComponent(thread[1])
      const seq = Number(thread[2])
      return { view: "thread", conversationId, ...(seq > 0 && { seq }) }
    } catch {
      // A broken escape sequence in an address that was typed by hand.
      return { view: "conversations" }
    }
  }
  return hash === "#/people" ? { view: "people" } : { view: "conversations" }
}

export function hashOf(route: Route): string {
  if (route.view === "thread") {
    const { conversationId, seq } = route
    return `#/c/${encodeURIComponent(conversationId)}${seq === undefined ? "" : `/${seq}`}`
  }
  return route.view === "people" ? "#/people" : "#/"
}

/** The address of a message, for whoever is a member of the conversation. */
export function permalink(conversationId: string, seq: number): string {
  return location.origin + location.pathname + hashOf({ view: "thread", conversationId, seq })
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

/** The message of the address is shown, or cannot be: a reload begins as usual, and its link can be followed again. */
export function endJump(): void {
  const { view, ...rest } = read()
  if (view !== "thread" || !("conversationId" in rest)) return
  history.replaceState(history.state, "", hashOf({ view, conversationId: rest.conversationId }))
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
