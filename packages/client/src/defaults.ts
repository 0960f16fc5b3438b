/** What a browser offers, in the shapes the client asks for. Nothing here runs before it is called. */
import { io } from "socket.io-client"
import type { Channel, Clock, SocketLike, SocketRequest, Surroundings, WithLock } from "./options.js"

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

/** A random UUID, also on pages without TLS, where `crypto.randomUUID` is missing. */
export function randomId(): string {
  if (crypto.randomUUID) return crypto.randomUUID()
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = ((bytes[6] as number) & 15) | 64
  bytes[8] = ((bytes[8] as number) & 63) | 128
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")
}

/** One socket, once: when it is lost it is lost, for the client owns the tries. */
export function openSocket({ url, ...rest }: SocketRequest): SocketLike {
  const options = {
    ...rest,
    autoConnect: false,
    reconnection: false,
    forceNew: true,
    timeout: 10_000,
    tryAllTransports: true,
  }
  return url ? io(url, options) : io(options)
}

/** A lock of all tabs of this browser, or of this tab where Web Locks are missing (pages without TLS). */
export function browserLock(): WithLock {
  const locks = globalThis.navigator?.locks
  if (locks) {
    return (name, work, ifAvailable) =>
      locks.request(name, { ifAvailable: !!ifAvailable }, (lock) => (lock ? work() : undefined))
  }
  // Two tabs may then send the same item: with the same id, and each in order, so that the server stores it once.
  const tails = new Map<string, Promise<unknown>>()
  return (name, work, ifAvailable) => {
    const tail = tails.get(name)
    if (tail && ifAvailable) return Promise.resolve(undefined)
    const run = (tail ?? Promise.resolve()).then(work)
    const end: Promise<unknown> = run
      .catch(() => {})
      .then(() => {
        if (tails.get(name) === end) tails.delete(name)
      })
    tails.set(name, end)
    return run
  }
}

/** The other tabs of this browser. */
export function browserChannel(name: string, receive: (message: unknown) => void): Channel {
  if (typeof BroadcastChannel === "undefined") return { post() {}, close() {} }
  const channel = new BroadcastChannel(name)
  channel.onmessage = (event) => receive(event.data)
  // In Node an open channel would keep the process.
  ;(channel as { unref?: () => void }).unref?.()
  return { post: (message) => channel.postMessage(message), close: () => channel.close() }
}

/** Without input for this long, the person is idle. */
const IDLE_AFTER_MS = 60_000

/** What the document, and the network, say. Without a document, the person is always there. */
export function browserSurroundings(clock: Clock): Surroundings {
  const page = typeof document === "undefined" ? null : document
  let lastInput = clock.now()
  const isVisible = () => page?.visibilityState !== "hidden"
  const isActive = () => !page || (isVisible() && clock.now() - lastInput < IDLE_AFTER_MS)
  return {
    isVisible,
    isActive,
    isOnline: () => globalThis.navigator?.onLine !== false,
    watch(listener) {
      if (!page) return () => {}
      const off: (() => void)[] = []
      const on = (target: EventTarget, events: string, run: () => void) => {
        for (const event of events.split(" ")) {
          target.addEventListener(event, run, { passive: true, capture: true })
          off.push(() => target.removeEventListener(event, run, { capture: true }))
        }
      }
      on(window, "online pageshow", () => listener("wake"))
      on(window, "pagehide", () => listener("hide"))
      on(page, "visibilitychange", () => {
        // Coming back to the page is using it.
        if (isVisible()) lastInput = clock.now()
        listener(isVisible() ? "wake" : "hide")
        listener("active")
      })
      on(page, "pointerdown pointermove keydown wheel touchstart", () => {
        const was = isActive()
        lastInput = clock.now()
        if (!was) listener("active")
      })
      return () => {
        for (const end of off) end()
      }
    },
  }
}
