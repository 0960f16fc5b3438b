import { LamplightError, Unauthorized } from "./errors.js"
import type { LamplightOptions, TokenRequest } from "./options.js"
import type { User } from "./wire.js"

/** What a token says of itself. Never its signature. */
export interface Claims {
  sub?: string
  exp?: number
  iat?: number
  nbf?: number
  [claim: string]: unknown
}

/** A JWT's part as an object; null if it is not one. */
export function tokenPart(token: string, part: 0 | 1): Claims | null {
  try {
    const text = (token.split(".")[part] as string).replace(/-/g, "+").replace(/_/g, "/")
    const read: unknown = JSON.parse(atob(text))
    return read && typeof read === "object" ? (read as Claims) : null
  } catch {
    return null
  }
}

/** Who is calling, and how they show it. */
export interface Identity {
  readonly cookies: boolean
  /** Headers for HTTP. Null when asked again and there is nothing new to say. */
  headers(again: boolean): Promise<Record<string, string> | null>
  /** Socket.IO's `auth`. */
  handshake(): Promise<Record<string, string>>
  /** A token that the server has not seen yet. */
  freshToken(reason: TokenRequest["reason"]): Promise<string>
  /** The server did not take the last token. */
  reject(reason: "expired" | "refused"): void
  /** Who this is, as far as it can be told without the server. */
  known(): User | null
  /** The last token, for the doctor. */
  lastToken(): string | null
  /** Ends what is being waited for. */
  abort(): void
}

/** A token is not used in its last seconds: it would run out on the way. */
const TOKEN_MARGIN_MS = 5_000

/** Works out from the options how this client shows who it is. */
export function createIdentity(options: LamplightOptions, now: () => number): Identity {
  const { getToken, userId } = options
  let token: string | null = null
  let rejected: string | null = null
  let reason: TokenRequest["reason"] = "connect"
  let asking: Promise<string> | null = null
  let controller = new AbortController()

  const hasEnded = (one: string) => (tokenPart(one, 1)?.exp ?? Infinity) * 1000 - TOKEN_MARGIN_MS <= now()

  function usable(): boolean {
    if (!token || token === rejected) return false
    if (!hasEnded(token)) return true
    reason = "expired"
    return false
  }

  async function ask(): Promise<string> {
    const given = await getToken?.({ reason, signal: controller.signal })
    if (!given) throw new Unauthorized()
    // One that has not ended may be the same: what is made twice within a second is. What is wrong with it, the server says.
    if (given === rejected && hasEnded(given)) {
      throw new LamplightError({
        code: "LL-107",
        message: "Signing in did not work.",
        retryable: false,
        saw: "getToken gave the same expired token again",
        expected: "a fresh token",
        fix: "Make getToken fetch a new token each time, without a cache.",
      })
    }
    reason = "connect"
    token = given
    return given
  }

  function current(): Promise<string> {
    if (usable()) return Promise.resolve(token as string)
    // One question at a time, however many wait for its answer.
    asking ??= ask().finally(() => {
      asking = null
    })
    return asking
  }

  function reject(why: "expired" | "refused"): void {
    rejected = token
    reason = why
  }

  return {
    cookies: !getToken && !userId,
    async headers(again) {
      if (getToken) {
        if (again) reject("refused")
        return { authorization: `Bearer ${await current()}` }
      }
      if (again) return null
      return userId ? { "x-user-id": userId } : {}
    },
    async handshake() {
      return getToken ? { token: await current() } : {}
    },
    freshToken(why) {
      reject(why === "connect" ? "refused" : why)
      return current()
    },
    reject,
    known() {
      const id = userId ?? (token && tokenPart(token, 1)?.sub)
      return id
        ? { id: String(id), name: options.name ?? String(id), avatarUrl: options.avatarUrl ?? null }
        : null
    },
    lastToken: () => token,
    abort() {
      controller.abort()
      controller = new AbortController()
      asking = null
    },
  }
}
