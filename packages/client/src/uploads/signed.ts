/** Signed addresses of files, for clients whose browser does not identify the user by itself. */
import type { Core } from "../core.js"
import type { ClientTools } from "../tools.js"

/** How long before the end of an address the next one is fetched. */
const MARGIN_MS = 10 * 60_000
const SHORTEST_MS = 60_000
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000
/** A second refusal within this time has another reason than the age of the address. */
const RENEW_AGAIN_MS = 60_000

interface Signed {
  url: string
  expiresAt: string
}

export function createSigned(
  core: Core,
  { delayAfter, toError }: ClientTools,
  origin: string,
  isPlain: boolean,
) {
  const { clock, events } = core
  const uptime = clock.uptime ?? clock.now
  /** The signature of each file's address, valid until a time of `uptime`. */
  const known = new Map<string, { query: string; until: number }>()
  const asking = new Map<string, Promise<{ query: string; until: number }>>()

  /** For each URL in use: its file, and the functions that renew and set it. */
  const used = new Map<() => void, { fileId: string; set: (address: null) => void }>()
  /** When another address was last requested, by file. */
  const renewed = new Map<string, number>()

  events.on("reset", () => {
    known.clear()
    asking.clear()
    renewed.clear()
    for (const { set } of used.values()) set(null)
  })
  events.on("signedIn", () => {
    for (const renew of used.keys()) renew()
  })

  function ask(fileId: string) {
    let pending = asking.get(fileId)
    if (!pending) {
      const epoch = core.epoch()
      const path = `/api/files/${encodeURIComponent(fileId)}/url`
      pending = core
        .http<Signed>(path, {})
        .then(({ url, expiresAt }) => {
          const left = Math.max(SHORTEST_MS, Date.parse(expiresAt) - clock.now() - MARGIN_MS)
          const signed = { query: url.slice(url.indexOf("?")), until: uptime() + left }
          if (core.isCurrent(epoch)) known.set(fileId, signed)
          return signed
        })
        .finally(() => asking.delete(fileId))
      asking.set(fileId, pending)
    }
    return pending
  }

  function renew(fileId: string): void {
    if (uptime() - (renewed.get(fileId) ?? Number.NEGATIVE_INFINITY) < RENEW_AGAIN_MS) return
    renewed.set(fileId, uptime())
    known.delete(fileId)
    for (const [fetchAgain, one] of used) if (one.fileId === fileId) fetchAgain()
  }

  /** Keeps an address of `path` valid until the returned function is called. */
  function sign(fileId: string, path: string, set: (address: string | null) => void): () => void {
    let isOver = false
    let failures = 0
    let cancel = () => {}

    async function fetchAddress(): Promise<void> {
      cancel()
      const last = known.get(fileId)
      const me = core.me()
      if (me === null) return
      try {
        const signed = last && last.until > uptime() ? last : await ask(fileId)
        if (isOver || !core.isUser(me)) return
        failures = 0
        set(origin + path + signed.query)
        // Timers hold at most 24 days; a day is long enough.
        cancel = clock.after(Math.min(signed.until - uptime(), 86_400_000), start)
      } catch (thrown) {
        if (isOver || !core.isUser(me)) return
        const error = toError(thrown)
        if (!error.retryable) return set(null)
        const delay = delayAfter(error, failures++, FIRST_RETRY_MS, LAST_RETRY_MS, core.random)
        cancel = clock.after(delay, start)
      }
    }
    const start = () => void fetchAddress()
    // The browser identifies the user by itself.
    if (isPlain) return () => {}
    used.set(start, { fileId, set })
    start()
    return () => {
      isOver = true
      used.delete(start)
      cancel()
    }
  }

  return { sign, renew }
}
