import { LamplightError } from "@lamplight/client"
import { locale } from "../languages/locale"
import { words } from "../strings"
import { toast } from "./toast"

/** The texts of errors by their code, as keys: the texts change with the language. */
const byCode: Record<string, Exclude<keyof typeof words.errors, "account">> = {
  offline: "network",
  timeout: "network",
  rate_limited: "rate_limited",
  unavailable: "unavailable",
  unauthenticated: "unauthenticated",
  not_found: "not_found",
  too_long: "too_long",
  empty_message: "empty_message",
}

/** The server's own sentences say more, but are in English: elsewhere `text` says the same in general. */
function sentence({ message }: LamplightError, text: string): string {
  return (locale().startsWith("en") && message) || text
}

/** The reason of a failure, in a sentence for the user. */
export function reason(thrown: unknown): string {
  if (!(thrown instanceof LamplightError)) return words.errors.generic
  const key = byCode[thrown.code]
  return key ? words.errors[key] : sentence(thrown, words.errors.generic)
}

const ofAccounts: Record<string, keyof typeof words.errors.account> = {
  unauthenticated: "unauthenticated",
  forbidden: "forbidden",
  conflict: "conflict",
  invalid: "invalid",
  rate_limited: "rate_limited",
}

/** The server's sentence is best for sign-in and account: which password, which name, how long to wait. */
export function accountReason(thrown: unknown): string {
  const key = thrown instanceof LamplightError ? ofAccounts[thrown.code] : undefined
  return key ? sentence(thrown as LamplightError, words.errors.account[key]) : reason(thrown)
}

const ofTransport = ["offline", "timeout", "rate_limited", "unavailable", "unauthenticated", "internal"]

/** The server's sentence is best for groups and blocks: who may do it, which group is full. */
export function groupReason(thrown: unknown): string {
  const isOwn = thrown instanceof LamplightError && !ofTransport.includes(thrown.code)
  if (!isOwn) return reason(thrown)
  return sentence(thrown, thrown.code === "forbidden" ? words.errors.forbidden : reason(thrown))
}

/** Shows a failure. The same failure again replaces its toast. */
export function showFailure(what: string, thrown: unknown, why = reason(thrown)): void {
  toast.error(what, { id: `${what}|${why}`, description: why })
}
