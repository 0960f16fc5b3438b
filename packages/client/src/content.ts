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

/** What this client refuses by itself. */
export const refusal = (code: string, message: string, fix: string): LamplightError =>
  new LamplightError({ code, message, retryable: false, fix })

/** Why a text cannot be sent; null if it can. */
export function refuseContent(content: string): LamplightError | null {
  // The same white space as the server's: Unicode's.
  if (/^\p{White_Space}*$/u.test(content)) {
    return refusal("empty_message", "There is nothing to send.", "Write something first.")
  }
  const length = messageLength(content)
  if (length <= MAX_MESSAGE_LENGTH) return null
  const message = `A message may have ${MAX_MESSAGE_LENGTH} characters; this one has ${length}.`
  return refusal("too_long", message, "Shorten it, or send it in parts.")
}
