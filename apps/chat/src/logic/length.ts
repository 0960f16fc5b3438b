/** The server's limit, in Unicode scalar values. */
export const MAX_LENGTH = 8_000
/** From this length on the composer shows how much is left. */
export const SHOW_REMAINING_FROM = 7_500

/** The length as the server counts it. A string's `length` counts an emoji twice. */
export function lengthOf(text: string): number {
  // No character has more than two units, so a short text needs no counting.
  let length = text.length
  if (length < SHOW_REMAINING_FROM) return length
  for (let i = 0; i < text.length - 1; i += 1) {
    const unit = text.charCodeAt(i)
    if (unit >= 0xd800 && unit <= 0xdbff) {
      const next = text.charCodeAt(i + 1)
      if (next >= 0xdc00 && next <= 0xdfff) {
        length -= 1
        i += 1
      }
    }
  }
  return length
}
