/** What a message may be. */
import { LamplightError } from "./errors.js"

/** The most characters that a message may have. */
export const MAX_MESSAGE_LENGTH = 8_000

/** How many characters a text has, as the server counts them: Unicode scalar values, so that an emoji of one is one. */
export function messageLength(content: string): number {
  let length = 0
  for (const _ of content) length++
  return length
}

/**
 * Whether a text has a visible character: the server's rule (`lamplight_domain::text::is_visible`), so that what passes here passes there.
 * U+2800 and U+1D159 are symbols without ink.
 */
export function isVisible(text: string): boolean {
  return /[^\p{Cc}\p{Cf}\p{Cs}\p{Z}\p{Mn}\p{Me}\p{DI}\u2800\u{1d159}]/u.test(text)
}

/** What this client refuses by itself. */
export const refusal = (code: string, message: string, fix: string): LamplightError =>
  new LamplightError({ code, message, retryable: false, fix })

/** Why a text cannot be sent; null if it can. */
export function refuseContent(content: string): LamplightError | null {
  if (!isVisible(content)) {
    return refusal("empty_message", "There is nothing to send.", "Write something first.")
  }
  const length = messageLength(content)
  if (length <= MAX_MESSAGE_LENGTH) return null
  const message = `A message may have ${MAX_MESSAGE_LENGTH} characters; this one has ${length}.`
  return refusal("too_long", message, "Shorten it, or send it in parts.")
}
