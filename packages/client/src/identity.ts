import { LamplightError, ownError, transportFailure, Unauthorized } from "./errors.js"
import { encodeId } from "./http.js"
import type { Clock, LamplightOptions, TokenRequest } from "./options.js"
import type { User } from "./wire.js"

/** What a token says of itself. Never its signature. */
export interface Claims {
  sub?: string | number
  exp?: number
  iat?: number
  nbf?: number
  [claim: string]: unknown
}

/** A JWT's part as an object; null if it is not one. */
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

/** Who is calling, and how they show it. */
export interface Identity {
  readonly cookies: boolean
  /** Headers for HTTP, after those that the server did not take. Null when there is nothing new to say. */
  headers(refused?: Record<string, string>): Promise<Record<string, string> | null>
  /** Socket.IO's `auth`. */
  handshake(): Promise<Record<string, string>>
  /** The server does not take the token that was used: a request may have brought a newer one by now, which stays. */
  reject(reason: "expired" | "refused", used: string | undefined): void
  /** A token in place of one that was used. */
  freshToken(reason: TokenRequest["reason"], used?: string): Promise<string>
  /** Who this is, as far as it can be told without the server. */
  known(): User | null
  /** The last token, for the doctor. */
  lastToken(): string | null
  /** Drops the token, and the one that is being waited for: the next one may be another person's. */
  forget(): void
}

/** `getToken` is waited for this long: a request that hangs would keep everything else waiting. */
const TOKEN_LIMIT_MS = 30_000
/** A token is not used in its last seconds: it would run out on the way. */
const TOKEN_MARGIN_MS = 5_000
const BEARER = "Bearer "

/** Works out from the options how this client shows who it is. `told` is called with each token: whether it may be another person's than the last one. */
export function createIdentity(
  options: LamplightOptions,
  clock: Clock,
  told: (isOther: boolean) => void,
): Identity {
  const { getToken, userId } = options
  const uptime = clock.uptime ?? clock.now
  let token: string | null = null
  let rejected: string | null = null
  let reason: TokenRequest["reason"] = "connect"
  let asking: Promise<string> | null = null
  let controller = new AbortController()
  let abortedFor = ""
  /** Whose the last token was; null where that could not be told. */
  let person: string | null | undefined
  let isReleased = false
  /** Grows when the token is forgotten: what was asked for before is not used any more. */
  let generation = 0
  /**
   * The issuer's clock when `uptime` was 0, as the freshest token tells it: the device's own clock may be minutes off, and a token may
   * have lain in a cache.
   */
  let issuerStart = Number.NEGATIVE_INFINITY
  /** Until when the token is used, on `uptime`'s scale. */
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
      // The issuer's clock was set back since: the newest token knows best.
      if (left <= 0) {
        issuerStart = made - now
        left = end - made
      }
    }
    // What has ended on arrival was measured by a clock that is wrong, or the server will say so; it must not be fetched anew each time.
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
    const { signal } = controller
    const cancel = clock.after(TOKEN_LIMIT_MS, () => abort(`gave nothing within ${TOKEN_LIMIT_MS / 1000} s`))
    const given = await new Promise<unknown>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(tokenRouteFailed(abortedFor)))
      // Not by `resolve(promise)`, after which no `reject` counts.
      Promise.resolve(getToken?.({ reason, signal })).then(resolve, reject)
    })
      .catch((thrown) => {
        throw ownError(thrown) ?? tokenRouteFailed(`threw ${thrown}`)
      })
      .finally(cancel)
    if (mine !== generation) throw transportFailure("offline", "the client was released meanwhile")
    const fresh = readToken(given)
    // One that has not ended may be the same: what is made twice within a second is. What is wrong with it, the server says.
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
    const last = person
    person = subject(fresh)
    // Where it cannot be told, one that comes after everybody had let go may be anybody's.
    const isOther = last !== undefined && (last !== person || (person === null && isReleased))
    isReleased = false
    told(isOther)
    return fresh
  }

  function current(): Promise<string> {
    if (usable()) return Promise.resolve(token as string)
    // One question at a time, however many wait for its answer.
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
    // The application's own `fetch` rejects as it does after each abort.
    abortedFor = why
    last.abort()
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
    forget() {
      generation++
      isReleased = true
      token = rejected = null
      reason = "connect"
      abort()
    },
  }
}

/** The user's id in a token, where it is certain to be read as the server reads it. */
function subject(token: string): string | null {
  const sub = tokenPart(token, 1)?.sub
  if (typeof sub === "string" && sub) return sub
  // Larger numbers lose their last digits here, and none in the server.
  return Number.isSafeInteger(sub) ? String(sub) : null
}

/** What getToken gave, without the line end that a file or a shell puts behind it. */
function readToken(given: unknown): string {
  const text = typeof given === "string" ? given.trim() : given
  if (!text) throw new Unauthorized()
  let saw = ""
  if (typeof text !== "string") saw = "an object"
  else if (text[0] === "<") saw = "an HTML page"
  else if (/^[{["]/.test(text)) saw = "JSON"
  else if (/[^!-~]/.test(text)) saw = "a text with spaces, line ends or letters beyond ASCII"
  else return text
  throw new LamplightError({
    code: "LL-106",
    message: `getToken gave ${saw} in place of a token.`,
    retryable: false,
    saw: `getToken gave ${saw}`,
  })
}

/** It is the application's route that failed, not Lamplight. */
function tokenRouteFailed(what: string): LamplightError {
  return transportFailure("LL-119", `getToken ${what}`)
}
