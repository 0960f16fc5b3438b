import type { Refusal } from "./wire.js"

/** What an error says. */
export interface ErrorDetails {
  /** A stable code: one of the server's, or `offline`, `timeout`, `bad_answer`, `storage`, `LL-…`. */
  code: string
  /** A sentence a person can read. */
  message: string
  /** Whether trying again may help. */
  retryable: boolean
  retryAfterMs?: number
  /** What was seen. */
  saw?: string
  /** What was expected. */
  expected?: string
  /** The one thing to do. */
  fix?: string
}

/** Everything this client throws, or shows as an `error`. */
export class LamplightError extends Error {
  override readonly name: string = "LamplightError"
  readonly code: string
  readonly retryable: boolean
  readonly retryAfterMs: number | null
  readonly saw: string | null
  readonly expected: string | null
  readonly fix: string | null

  constructor(details: ErrorDetails) {
    super(details.message)
    this.code = details.code
    this.retryable = details.retryable
    this.retryAfterMs = details.retryAfterMs ?? null
    this.saw = details.saw ?? null
    this.expected = details.expected ?? null
    this.fix = details.fix ?? null
  }
}

/** Throw it from `getToken` when the person is not signed in: the client then stops trying. */
export class Unauthorized extends LamplightError {
  override readonly name = "Unauthorized"
  constructor(message = "You are not signed in.") {
    super({ code: "unauthenticated", message, retryable: false, fix: "Sign in, then connect again." })
  }
}

/** A refusal of the server's as an error. */
export function fromRefusal(refusal: Refusal): LamplightError {
  return new LamplightError({
    code: refusal.code,
    message: refusal.error,
    retryable: refusal.retryable,
    ...(refusal.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs }),
  })
}

/** Whatever was thrown, as one of ours. */
export function toError(thrown: unknown): LamplightError {
  if (thrown instanceof LamplightError) return thrown
  const saw = thrown instanceof Error ? thrown.message : String(thrown)
  return new LamplightError({
    code: "offline",
    message: "The server cannot be reached.",
    retryable: true,
    saw,
  })
}
