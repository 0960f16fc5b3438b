import { LamplightError } from "@lamplight/client"
import { words } from "../strings"
import { toast } from "./toast"

/** The texts of errors by their code, as keys: the texts change with the language. */
const byCode: Record<string, keyof typeof words.errors> = {
  offline: "network",
  timeout: "network",
  rate_limited: "rate_limited",
  unavailable: "unavailable",
  unauthenticated: "unauthenticated",
  not_found: "not_found",
  too_long: "too_long",
  empty_message: "empty_message",
}

/** The reason of a failure, in a sentence for the user. */
export function reason(thrown: unknown): string {
  if (thrown instanceof LamplightError) {
    // The server's own sentence, where the page has none.
    const key = byCode[thrown.code]
    return key ? words.errors[key] : thrown.message || words.errors.generic
  }
  return words.errors.generic
}

/** The server's sentence is best for sign-in and account: which password, which name, how long to wait. */
export function accountReason(thrown: unknown): string {
  const own = ["unauthenticated", "forbidden", "conflict", "invalid", "rate_limited"]
  const isOwn = thrown instanceof LamplightError && own.includes(thrown.code)
  return (isOwn && thrown.message) || reason(thrown)
}

const ofTransport = ["offline", "timeout", "rate_limited", "unavailable", "unauthenticated", "internal"]

/** The server's sentence is best for groups and blocks: who may do it, which group is full. */
export function groupReason(thrown: unknown): string {
  const isOwn = thrown instanceof LamplightError && !ofTransport.includes(thrown.code)
  return (isOwn && thrown.message) || reason(thrown)
}

/** Shows a failure. The same failure again replaces its toast. */
export function showFailure(what: string, thrown: unknown, why = reason(thrown)): void {
  toast.error(what, { id: `${what}|${why}`, description: why })
}
