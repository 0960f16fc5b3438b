/** What a browser offers, in the shapes the client asks for. Nothing here runs before it is called. */
import type { Channel, Clock, Surroundings, WithLock } from "./options.js"

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

/** A random id, also on pages without TLS, where `crypto.randomUUID` is missing. */
export const randomId = (): string =>
  crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join("-")

/**
 * A lock of all tabs of this browser; none where Web Locks are missing (pages without TLS). Two tabs may then send the same
 * item: with the same id, and each in order, so that the server stores it once.
 */
export function browserLock(): WithLock {
  const locks = globalThis.navigator?.locks
  return (name, work, ifAvailable = false) =>
    locks ? locks.request(name, { ifAvailable }, (lock) => (lock ? work() : undefined)) : work()
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
