import { LamplightError, ownError, transportFailure, Unauthorized } from "./errors.js"
import { encodeId } from "./http.js"
import type { Clock, LamplightOptions, TokenRequest } from "./options.js"
import type { User } from "./wire.js"

/** The claims of a token. */
export interface Claims {
  sub?: string | number
  exp?: number
  iat?: number
  nbf?: number
  [claim: string]: unknown
}

/** A part of a JWT as an object; null if it is not one. */
export function tokenPart(token: string, part: 0 | 1): Claims | null {
  try {
    const text = (token.split(".")[part] as string).replace(/-/g, "+").replace(/_/g, "/")
    // Base64 holds bytes, and the bytes are UTF-8 (RFC 7519, section 3).
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
    const read: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return read && typeof read === "object" ? (read as Claims) : null
  } catch {
    return null
  }
}

/** How the client identifies its user to the server. */
export interface Identity {
  readonly cookies: boolean
  /** Headers for HTTP. `refused` are those that the server rejected. Null: there are no others to try. */
  headers(refused?: Record<string, string>): Promise<Record<string, string> | null>
  /** Socket.IO's `auth`. */
  handshake(): Promise<Record<string, string>>
  /** The server rejected a token. A newer one stays. */
  reject(reason: "expired" | "refused", used: string | undefined): void
  /** A token that replaces the one that was used. */
  freshToken(reason: TokenRequest["reason"], used?: string): Promise<string>
  /** The user, if the options or the token show it without the server. */
  known(): User | null
  /** Resolves to a token that was requested after that time. */
  requestedAfter(time: number): Promise<string>
  /** The last token, for the doctor. */
  lastToken(): string | null
  /** Drops the token, and the pending request for one: the next token may be another person's. */
  forget(): void
}

/** The limit for `getToken`: all requests wait for it. */
const TOKEN_LIMIT_MS = 30_000
/** A token is not used in its last seconds: it would expire on the way. */
const TOKEN_MARGIN_MS = 5_000
const BEARER = "Bearer "

/** `onToken` is called with each new token: true if it may belong to another person than the last one. */
export function createIdentity(
  options: LamplightOptions,
  clock: Clock,
  onToken: (isOther: boolean) => void,
): Identity {
  const { getToken, userId } = options
  const uptime = clock.uptime ?? clock.now
  let token: string | null = null
  let rejected: string | null = null
  let reason: TokenRequest["reason"] = "connect"
  let asking: Promise<string> | null = null
  let controller = new AbortController()
  let abortedFor = ""
  /** The user of the last token; null if its `sub` could not be read. */
  let person: string | null | undefined
  let isReleased = false
  /** When the last token was requested. */
  let requestedAt = 0
  /** Grows when the token is dropped. An answer of `getToken` from before is not used. */
  let generation = 0
  /**
   * The issuer's time when `uptime` was 0, by the newest token. The device's clock may be minutes off, and a
   * token may come from a cache.
   */
  let issuerStart = Number.NEGATIVE_INFINITY
  /** When the token ends, on the scale of `uptime`. */
  let endsAt = 0

  function take(fresh: string): void {
    const { exp, iat, nbf } = tokenPart(fresh, 1) ?? {}
    const now = uptime()
    const end = (exp ?? Number.POSITIVE_INFINITY) * 1000
    const made = Number(iat ?? nbf) * 1000
    let left = end - clock.now()
    if (made) {
      issuerStart = Math.max(issuerStart, made - now)
      left = end - issuerStart - now
      // The issuer's clock was set back: trust the newest token.
      if (left <= 0) {
        issuerStart = made - now
        left = end - made
      }
    }
    // A token that has already ended means a wrong clock, or the server will refuse it. It must not be
    // fetched again for each request.
    endsAt = left > 0 ? now + left - Math.min(TOKEN_MARGIN_MS, left / 2) : Number.POSITIVE_INFINITY
    token = fresh
    reason = "connect"
  }

  function usable(): boolean {
    if (!token || token === rejected) return false
    if (uptime() < endsAt) return true
    reason = "expired"
    return false
  }

  async function ask(): Promise<string> {
    const mine = generation
    const time = clock.now()
    const { signal } = controller
    const cancel = clock.after(TOKEN_LIMIT_MS, () => abort(`gave nothing within ${TOKEN_LIMIT_MS / 1000} s`))
    const given = await new Promise<unknown>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(tokenRouteFailed(abortedFor)))
      // A promise resolved with a promise could not be rejected by the abort any more.
      Promise.resolve(getToken?.({ reason, signal })).then(resolve, reject)
    })
      .catch((thrown) => {
        throw ownError(thrown) ?? tokenRouteFailed(`threw ${thrown}`)
      })
      .finally(cancel)
    if (mine !== generation) throw transportFailure("offline", "the client was released meanwhile")
    const fresh = readToken(given)
    // A token that has not expired may be the same one: two that are signed within a second are equal. The server's
    // error then has the reason.
    if (fresh === rejected && (tokenPart(fresh, 1)?.exp ?? Number.POSITIVE_INFINITY) * 1000 <= clock.now()) {
      throw new LamplightError({
        code: "LL-107",
        message: "Signing in did not work.",
        retryable: false,
        saw: "getToken gave the same expired token again",
        expected: "a fresh token",
        fix: "Make getToken fetch a new token each time, without a cache.",
      })
    }
    take(fresh)
    requestedAt = time
    const last = person
    person = subject(fresh)
    // Without a readable `sub`, the first token after a release may be another person's.
    const isOther = last !== undefined && (last !== person || (person === null && isReleased))
    isReleased = false
    onToken(isOther)
    return fresh
  }

  function current(): Promise<string> {
    if (usable()) return Promise.resolve(token as string)
    // At most one call of `getToken` runs at a time; all waiters share its result.
    if (!asking) {
      const mine: Promise<string> = ask().finally(() => {
        if (asking === mine) asking = null
      })
      asking = mine
    }
    return asking
  }

  function reject(why: "expired" | "refused", used: string | null = token): void {
    if (used !== token) return
    rejected = token
    reason = why
  }

  function abort(why = "was given up"): void {
    asking = null
    const last = controller
    controller = new AbortController()
    // Kept here, since the application's `fetch` rejects in the same way after each abort.
    abortedFor = why
    last.abort()
  }

  function forget(): void {
    generation++
    isReleased = true
    token = rejected = null
    reason = "connect"
    abort()
  }

  return {
    cookies: !getToken && !userId,
    async headers(refused) {
      if (getToken) {
        if (refused) reject("refused", refused.authorization?.slice(BEARER.length))
        return { authorization: BEARER + (await current()) }
      }
      if (refused) return null
      return userId ? { "x-user-id": encodeId(userId) } : {}
    },
    async handshake() {
      return getToken ? { token: await current() } : {}
    },
    freshToken(why, used) {
      reject(why === "connect" ? "refused" : why, used)
      return current()
    },
    reject,
    known() {
      const id = userId ?? (token ? subject(token) : null)
      return id === null
        ? null
        : { id: String(id), name: options.name ?? String(id), avatarUrl: options.avatarUrl ?? null }
    },
    lastToken: () => token,
    requestedAfter(time) {
      if (requestedAt <= time) forget()
      return current()
    },
    forget,
  }
}

/** The user's id in a token, if this client is certain to read it as the server does. */
function subject(token: string): string | null {
  const sub = tokenPart(token, 1)?.sub
  if (typeof sub === "string" && sub) return sub
  // JavaScript rounds larger numbers and the server does not.
  return Number.isSafeInteger(sub) ? String(sub) : null
}

/**
 * The token that `getToken` returned, without a line end from a file or a shell. Undefined is a mistake: a `return` is missing, or
 * the field of an answer has another name.
 */
function readToken(given: unknown): string {
  const text = typeof given === "string" ? given.trim() : given
  let saw = "nothing (undefined)"
  if (text !== undefined) {
    // Sign-in libraries return null if nobody is signed in.
    if (!text) throw new Unauthorized()
    if (typeof text !== "string") saw = "an object"
    else if (text[0] === "<") saw = "an HTML page"
    else if (/^[{["]/.test(text)) saw = "JSON"
    else if (/^bearer /i.test(text)) saw = 'a token with "Bearer" before it'
    else if (/[^!-~]/.test(text)) saw = "a text with spaces, line ends or letters beyond ASCII"
    else return text
  }
  throw new LamplightError({
    code: "LL-106",
    message: `getToken gave ${saw} in place of a token.`,
    retryable: false,
    saw: `getToken gave ${saw}`,
  })
}

/** The application's own route failed, and not Lamplight. */
function tokenRouteFailed(what: string): LamplightError {
  return transportFailure("LL-119", `getToken ${what}`)
}
