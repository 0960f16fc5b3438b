/** The browser's implementations of the client's options. Nothing here runs at import. */
import type { BrowserEnvironment, Channel, Clock, WithLock } from "./options.js"

export const systemClock: Clock = {
  now: () => Date.now(),
  uptime: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

/**
 * A UUID of version 7 (RFC 9562, section 5.7). It works on pages without TLS too, where `crypto.randomUUID`
 * is missing, and it starts with the time, so that the server's index grows at one end.
 */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const time = Date.now().toString(16).padStart(12, "0")
  const rest = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
  const variant = "89ab"[(bytes[0] ?? 0) & 3]
  return `${time.slice(0, 8)}-${time.slice(8)}-7${rest.slice(2, 5)}-${variant}${rest.slice(5, 8)}-${rest.slice(8, 20)}`
}

/**
 * A lock that all tabs of this browser share. Without Web Locks (pages without TLS) or where they are refused
 * (sandboxed frames), each tab runs by itself: two may send the same message, with the same id and each in
 * order, so that the server stores it once.
 */
export function browserLock(): WithLock {
  return async (name, work, ifAvailable = false) => {
    let began = false
    try {
      const locks = globalThis.navigator?.locks
      if (locks)
        return await locks.request(name, { ifAvailable }, (lock) => {
          began = true
          return lock ? work() : undefined
        })
    } catch (thrown) {
      if (began) throw thrown
    }
    return ifAvailable && !isFirst(name) ? undefined : work()
  }
}

const CLAIMS = "lamplight:claims"
const CLAIM_LASTS_MS = 5_000

/**
 * Whether no other tab claimed this name within the last seconds: the election where Web Locks are missing.
 */
function isFirst(name: string): boolean {
  try {
    if (typeof document === "undefined") return true
    const now = Date.now()
    const claims = Object.entries<number>(JSON.parse(localStorage.getItem(CLAIMS) ?? "{}"))
    const fresh = claims.filter(([, at]) => Math.abs(now - at) < CLAIM_LASTS_MS)
    if (fresh.some(([claimed]) => claimed === name)) return false
    localStorage.setItem(CLAIMS, JSON.stringify(Object.fromEntries([...fresh, [name, now]])))
  } catch {
    // Without storage each tab elects itself.
  }
  return true
}

/** A channel to the other tabs. A browser may refuse it to a sandboxed frame. */
export function browserChannel(name: string, receive: (message: unknown) => void): Channel {
  try {
    const channel = new BroadcastChannel(name)
    channel.onmessage = (event) => receive(event.data)
    // In Node an open channel would keep the process alive.
    ;(channel as { unref?: () => void }).unref?.()
    return { post: (message) => channel.postMessage(message), close: () => channel.close() }
  } catch {
    return { post() {}, close() {} }
  }
}

/** The person is idle after this long without input. */
const IDLE_AFTER_MS = 60_000

/** Visibility, input and network of the page. Without a document the person always counts as active. */
export function browserEnvironment(clock: Clock): BrowserEnvironment {
  const page = typeof document === "undefined" ? null : document
  let lastInput = clock.now()
  const isVisible = () => page?.visibilityState !== "hidden"
  // A hidden page gets no input, so visibility needs no rule of its own: switching tabs briefly, or a reload,
  // does not make the person idle. The wall clock goes on while the device sleeps; the absolute value keeps a
  // clock that was set back from making the person active for hours.
  const isActive = () => !page || Math.abs(clock.now() - lastInput) < IDLE_AFTER_MS
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
        // Returning to the page counts as input.
        if (isVisible()) lastInput = clock.now()
        listener(isVisible() ? "wake" : "hide")
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
