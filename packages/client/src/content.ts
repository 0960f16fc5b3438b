/** Limits of a message's content. */
import { LamplightError } from "./errors.js"

/** The limit for a message, in Unicode scalar values. */
export const MAX_MESSAGE_LENGTH = 8_000

/**
 * The length of a text as the server counts it, in Unicode scalar values: an emoji of one code point has
 * length 1.
 */
export function messageLength(content: string): number {
  let length = 0
  for (const _ of content) length++
  return length
}

/**
 * Whether a text has a visible character, by the same rule as the server
 * (`lamplight_domain::text::is_visible`). U+2800 and U+1D159 are symbols that show nothing.
 */
export function isVisible(text: string): boolean {
  return /[^\p{Cc}\p{Cf}\p{Cs}\p{Z}\p{Mn}\p{Me}\p{DI}\u2800\u{1d159}]/u.test(text)
}

/** An error for a request that the client refuses without asking the server. */
export const refusal = (code: string, message: string, fix: string): LamplightError =>
  new LamplightError({ code, message, retryable: false, fix })

/** The reason why a text cannot be sent; null if it can. A message with files needs none. */
export function refuseContent(content: string, hasFiles = false): LamplightError | null {
  if (!isVisible(content) && !hasFiles) {
    return refusal("empty_message", "There is nothing to send.", "Write something first.")
  }
  const length = messageLength(content)
  if (length <= MAX_MESSAGE_LENGTH) return null
  const message = `A message may have ${MAX_MESSAGE_LENGTH} characters; this one has ${length}.`
  return refusal("too_long", message, "Shorten it, or send it in parts.")
}
