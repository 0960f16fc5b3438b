import type { Refusal, RefusalCode, Registration } from "./wire.js"

/**
 * A stable code to branch on: one of the server's; `offline`, `timeout` or `bad_answer` where no answer of the server came; `aborted` by
 * your own signal; or `LL-…`, a mistake in the set-up that docs/troubleshooting.md explains. A later version may have others.
 */
export type ErrorCode =
  | RefusalCode
  | "offline"
  | "timeout"
  | "bad_answer"
  | "aborted"
  | `LL-${number}`
  | (string & Record<never, never>)

/** The fields of a `LamplightError`. */
export interface ErrorDetails {
  code: ErrorCode
  /** A sentence for users. */
  message: string
  /** Whether trying again may help. */
  retryable: boolean
  retryAfterMs?: number
  /** The observed state. */
  saw?: string
  /** The expected state. */
  expected?: string
  /** How to fix it, in one step. */
  fix?: string
  /** Whether anyone may create an account; with `unauthenticated` only. */
  registration?: Registration
}

/** The only error class that this client throws or shows as an `error`. */
export class LamplightError extends Error {
  /** What to branch on. `message` is a sentence for people, in English. */
  declare readonly code: ErrorCode
  /** Whether trying again may help. */
  declare readonly retryable: boolean
  /** How long to wait before a retry, in milliseconds, if the server sent a delay. */
  declare readonly retryAfterMs: number | null
  /** For developers: what was observed. */
  declare readonly saw: string | null
  /** For developers: what was expected. */
  declare readonly expected: string | null
  /** For developers: the one thing to do about it. */
  declare readonly fix: string | null
  /** Whether anyone may create an account; with `unauthenticated` only. */
  declare readonly registration?: Registration

  constructor(details: ErrorDetails) {
    super(details.message)
    const blank = { retryAfterMs: null, saw: null, expected: null, fix: null }
    Object.assign(this, blank, details, { name: "LamplightError" })
  }
}

/** Throw it from `getToken` when no user is signed in: the client then stops trying to connect. */
export class Unauthorized extends LamplightError {
  constructor(message = "You are not signed in.") {
    super({ code: "unauthenticated", message, retryable: false, fix: "Sign in, then connect again." })
  }
}

/** A server's refusal as an error. */
export function fromRefusal({ error, ...rest }: Refusal): LamplightError {
  return new LamplightError({ ...rest, message: error })
}

/** Failures of the transport, before the server has answered. */
const FAILURES = {
  offline: "The server cannot be reached.",
  timeout: "The server took too long to answer.",
  bad_answer: "The answer cannot be understood.",
  "LL-119": "The application gave no token.",
}

/** A transport failed: the request may or may not have reached the server. */
export function transportFailure(code: keyof typeof FAILURES, saw: string, more?: Partial<ErrorDetails>) {
  return new LamplightError({ code, message: FAILURES[code], retryable: true, saw, ...more })
}

/** Whether the transport failed, so that another transport may succeed. */
export const isTransportFailure = (thrown: unknown): boolean => toError(thrown).code in FAILURES

/**
 * An error of this package, converted if another copy of the package made it (`import` and `require` in one
 * application); else null.
 */
export function ownError(thrown: unknown): LamplightError | null {
  if (thrown instanceof LamplightError) return thrown
  const other = thrown as LamplightError | null | undefined
  if (other?.name !== "LamplightError") return null
  const { message, code } = other
  if (code === "unauthenticated") return new Unauthorized(message)
  return new LamplightError({ ...(other as ErrorDetails), message })
}

/** Any thrown value as a `LamplightError`. */
export const toError = (thrown: unknown): LamplightError =>
  ownError(thrown) ?? transportFailure("offline", String(thrown))
