import { LamplightError } from "@lamplight/client"
import { toast } from "sonner"
import { words } from "../strings"

const byCode: Record<string, string> = {
  offline: words.errors.network,
  timeout: words.errors.network,
  rate_limited: words.errors.rate_limited,
  unavailable: words.errors.unavailable,
  unauthenticated: words.errors.unauthenticated,
  not_found: words.errors.not_found,
  too_long: words.errors.too_long,
  empty_message: words.errors.empty_message,
}

/** Why something failed, in a sentence for the person in front of the page. */
export function reason(thrown: unknown): string {
  if (thrown instanceof LamplightError) {
    // The server's own sentence is the most exact one where we have none of our own.
    return byCode[thrown.code] ?? (thrown.message || words.errors.generic)
  }
  return words.errors.generic
}

/** At the door and in one's account the server says best what is wrong: which password, which name, how long to wait. */
export function accountReason(thrown: unknown): string {
  const own = ["unauthenticated", "forbidden", "conflict", "invalid", "rate_limited"]
  const isOwn = thrown instanceof LamplightError && own.includes(thrown.code)
  return (isOwn && thrown.message) || reason(thrown)
}

/** Says that something failed; the same failure again replaces its toast rather than piling up. */
export function tellFailure(what: string, thrown: unknown): void {
  const why = reason(thrown)
  toast.error(what, { id: `${what}|${why}`, description: why })
}
