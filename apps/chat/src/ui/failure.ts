import { LamplightError } from "@lamplight/client"
import { locale } from "../languages/locale"
import { words } from "../strings"
import { toast } from "./toast"

/** Failures reported by the client, with the equivalent code of the server. */
const alike: Record<string, string> = { offline: "network", timeout: "network", unsupported_media: "invalid" }

/** The text of a code in a group of texts, which may take the time to wait; null: there is none. */
function textOf(group: object, { code, retryAfterMs }: LamplightError): string | null {
  const key = alike[code] ?? code
  const text: unknown = Object.hasOwn(group, key) ? group[key as keyof typeof group] : null
  if (typeof text === "function") return (text as (ms: number | null) => string)(retryAfterMs)
  return typeof text === "string" ? text : null
}

/** The server's own sentence, where it may say more: it is in English. */
const ownSentence = ({ message }: LamplightError): string | null =>
  (locale().startsWith("en") && message) || null

const isError = (thrown: unknown): thrown is LamplightError => thrown instanceof LamplightError

/** The reason of a failure, in a sentence for the user: what happened, and what to do. */
export function reason(thrown: unknown): string {
  if (!isError(thrown)) return words.errors.generic
  // Only the server knows what is forbidden or invalid, and why.
  const own = /^(forbidden|invalid)$/.test(thrown.code) ? ownSentence(thrown) : null
  return own ?? textOf(words.errors, thrown) ?? ownSentence(thrown) ?? words.errors.generic
}

/** For a part of the page whose texts say more: the server's sentence says most, where the user reads English. */
function reasonIn(group: object, thrown: unknown): string {
  const text = isError(thrown) ? textOf(group, thrown) : null
  return (text && ownSentence(thrown as LamplightError)) ?? text ?? reason(thrown)
}

/**
 * For sign-in and account: which password, which name, how long to wait. `closed`: registration is closed.
 */
export function accountReason(thrown: unknown, closed?: string): string {
  const isClosed = closed !== undefined && isError(thrown) && thrown.code === "forbidden"
  return isClosed ? (ownSentence(thrown) ?? closed) : reasonIn(words.errors.account, thrown)
}

/** For groups and blocks: who may do it, which group is full. */
export const groupReason = (thrown: unknown): string => reasonIn(words.errors.group, thrown)

/** For a file that was not uploaded: too large, or of a kind that may not be sent. */
export const fileReason = (thrown: unknown): string => reasonIn(words.errors.file, thrown)

/** Shows a failure. The same failure again replaces its toast. */
export function showFailure(what: string, thrown: unknown, why = reason(thrown)): void {
  toast.error(what, { id: `${what}|${why}`, description: why })
}
