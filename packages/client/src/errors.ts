import type { Refusal, Registration } from "./wire.js"

/** What an error says. */
export interface ErrorDetails {
  /** A stable code: one of the server's, or `offline`, `timeout`, `bad_answer`, `LL-…`. */
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
  /** Whether anyone may make an account, where nobody is signed in. */
  registration?: Registration
}

/** Everything this client throws, or shows as an `error`. */
export class LamplightError extends Error {
  declare readonly code: string
  declare readonly retryable: boolean
  declare readonly retryAfterMs: number | null
  declare readonly saw: string | null
  declare readonly expected: string | null
  declare readonly fix: string | null
  declare readonly registration?: Registration

  constructor(details: ErrorDetails) {
    super(details.message)
    const blank = { retryAfterMs: null, saw: null, expected: null, fix: null }
    Object.assign(this, blank, details, { name: "LamplightError" })
  }
}

/** Throw it from `getToken` when the person is not signed in: the client then stops trying. */
export class Unauthorized extends LamplightError {
  constructor(message = "You are not signed in.") {
    super({ code: "unauthenticated", message, retryable: false, fix: "Sign in, then connect again." })
  }
}

/** A refusal of the server's as an error. */
export function fromRefusal({ error, ...rest }: Refusal): LamplightError {
  return new LamplightError({ ...rest, message: error })
}

/** What fails on the way, before the server has answered. */
const FAILURES = {
  offline: "The server cannot be reached.",
  timeout: "The server took too long to answer.",
  bad_answer: "The answer cannot be understood.",
  "LL-119": "The application gave no token.",
}

/** The wire failed: it is not known whether anything arrived. */
export function transportFailure(code: keyof typeof FAILURES, saw: string, more?: Partial<ErrorDetails>) {
  return new LamplightError({ code, message: FAILURES[code], retryable: true, saw, ...more })
}

/** Whether it was the wire that failed, so that the other wire may do. */
export const isTransportFailure = (thrown: unknown): boolean => toError(thrown).code in FAILURES

/** An error of this package as one of this copy of it, which an application may hold twice (`import` and `require`); else null. */
export function ownError(thrown: unknown): LamplightError | null {
  if (thrown instanceof LamplightError) return thrown
  const other = thrown as LamplightError | null | undefined
  if (other?.name !== "LamplightError") return null
  const { message, code } = other
  if (code === "unauthenticated") return new Unauthorized(message)
  return new LamplightError({ ...(other as ErrorDetails), message })
}

/** Whatever was thrown, as one of ours. */
export const toError = (thrown: unknown): LamplightError =>
  ownError(thrown) ?? transportFailure("offline", String(thrown))
