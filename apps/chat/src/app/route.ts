import { useSyncExternalStore } from "react"
import { isBusy, layersHere, layersToLeave, travel, whenArrived } from "./layers"

/** The route is the hash of the address, so that the back button of a phone and a reload work as expected. */
export type Route =
  | { view: "conversations" }
  | { view: "people" }
  /** The user's own status and settings, on a phone. */
  | { view: "you" }
  /** `seq`: the message to show, until it is shown. `details`: the panel about the conversation is open, beside it. */
  | { view: "thread"; conversationId: string; seq?: number; details?: true }

export function parseRoute(hash: string): Route {
  const thread = /^#\/c\/(.+?)(?:\/(\d{1,15}))?(\/details)?$/.exec(hash)
  if (thread?.[1]) {
    try {
      const conversationId = decodeURIComponent(thread[1])
      const seq = Number(thread[2])
      const details = thread[3] !== undefined && { details: true as const }
      return { view: "thread", conversationId, ...(seq > 0 && { seq }), ...details }
    } catch {
      // A broken escape sequence in an address that was typed by hand.
      return { view: "conversations" }
    }
  }
  if (hash === "#/people") return { view: "people" }
  return hash === "#/you" ? { view: "you" } : { view: "conversations" }
}

export function hashOf(route: Route): string {
  if (route.view === "thread") {
    const { conversationId, seq, details } = route
    const place = seq === undefined ? "" : `/${seq}`
    return `#/c/${encodeURIComponent(conversationId)}${place}${details ? "/details" : ""}`
  }
  return route.view === "conversations" ? "#/" : `#/${route.view}`
}

/** The URL of a message, for members of its conversation. */
export function permalink(conversationId: string, seq: number): string {
  return location.origin + location.pathname + hashOf({ view: "thread", conversationId, seq })
}

let seen = ""
let current: Route = { view: "conversations" }
/** Already shown, while the browser is still navigating back to the entry that it replaces. */
let pending: Route | null = null

function read(): Route {
  if (pending) return pending
  if (location.hash !== seen) {
    seen = location.hash
    current = parseRoute(seen)
  }
  return current
}

const listeners = new Set<() => void>()

function notify(): void {
  for (const listener of listeners) listener()
}

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
 * Navigates. From one conversation to another the history entry is replaced, and those of layers and of open details are
 * left first, so that "back" leads to the list.
 */
export function go(route: Route): void {
  const from = read()
  const hash = hashOf(route)
  const leavesDetails = route.view === "thread" && isOverThread(from) && !isSameDetails(from, route)
  if (pending || isBusy() || leavesDetails || layersToLeave() > 0) {
    pending = route
    back(goOn, leavesDetails ? 1 : 0, layersToLeave)
    notify()
    return
  }
  if (hash === location.hash) return
  if (from.view === "thread" && route.view === "thread") history.replaceState(history.state, "", hash)
  else history.pushState({ from: from.view }, "", hash)
  notify()
}

/** Navigates to the user's target once the entries above are left. */
function goOn(): void {
  const next = pending
  pending = null
  if (next) go(next)
  notify()
}

/** Whether the open details stay, beside another message of their conversation. */
const isSameDetails = (from: Route, to: Route) =>
  from.view === "thread" && to.view === "thread" && !!to.details && from.conversationId === to.conversationId

/** The message of the address is shown, or cannot be: a reload begins as usual, and its link can be followed again. */
export function endJump(): void {
  const { seq: _, ...route } = { seq: 0, ...read() }
  if (route.view !== "thread") return
  if (pending) {
    pending = route
    return
  }
  history.replaceState(history.state, "", hashOf(route))
  notify()
}

/** Opens the panel about the conversation: the back button of a phone closes it. */
export function openDetails(conversationId: string): void {
  const from = read()
  const route = { view: "thread", conversationId, details: true } as const
  if (pending) {
    go(route)
    return
  }
  if (belowLayers(() => openDetails(conversationId))) return
  const hash = hashOf(route)
  if (hash === location.hash) return
  history.pushState({ from: from.view === "thread" ? "details" : from.view }, "", hash)
  notify()
}

/** Whether these details were opened from their thread, whose entry is the one before. */
function isOverThread(route: Route): boolean {
  const { from } = (history.state ?? {}) as { from?: string }
  return route.view === "thread" && route.details === true && from === "details"
}

let isGoingBack = false
let afterBack: (() => void) | undefined

/**
 * Goes back by one entry and those of the layers above it, which the browser does a moment later: a second request in between is
 * not another entry.
 */
function back(then?: () => void, entries = 1, layers = layersHere): void {
  afterBack = then ?? afterBack
  if (isGoingBack) return
  isGoingBack = true
  const end = () => {
    const next = afterBack
    isGoingBack = false
    afterBack = undefined
    next?.()
  }
  whenArrived(() => {
    const steps = entries + layers()
    if (steps > 0) travel(steps, end)
    else end()
  })
}

/** Whether layers are open, or about to be left: then `run` runs once their entries are left. */
function belowLayers(run: () => void): boolean {
  if (isGoingBack || (!isBusy() && layersHere() === 0)) return false
  back(run, 0)
  return true
}

/** Closes that panel, through the history if it was opened from the thread. */
export function closeDetails(): void {
  const route = read()
  if (route.view !== "thread" || !route.details) return
  if (isOverThread(route)) {
    back()
    return
  }
  if (belowLayers(closeDetails)) return
  history.replaceState(history.state, "", hashOf({ view: "thread", conversationId: route.conversationId }))
  notify()
}

/** The user left the shown conversation: its address is invalid now, so "back" must not lead there. */
export function leaveThread(): void {
  if (!isGoingBack && !isOverThread(read())) {
    goBack()
    return
  }
  back(() => {
    pending = null
    if (read().view === "thread") goBack()
  })
}

/** Returns to the list, through the history if the user came from there, so that entries do not pile up. */
export function goBack(): void {
  const { from } = (history.state ?? {}) as { from?: Route["view"] }
  if (isGoingBack || from === "conversations") {
    back()
    return
  }
  if (belowLayers(goBack)) return
  history.replaceState(null, "", "#/")
  notify()
}

/** The user's own screen is for phones: in a wide window the view behind it replaces it. */
export function leaveYou(): void {
  if (read().view !== "you") return
  if (belowLayers(leaveYou)) return
  history.replaceState(null, "", "#/")
  notify()
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, read)
}
