/** The server's limit, in the characters it counts: Unicode scalar values. */
export const MAX_LENGTH = 8_000
/** From here on the composer says how much is left. */
export const TELL_FROM = 7_500

/** How long the server will find this text. A string's own `length` counts an emoji twice. */
export function lengthOf(text: string): number {
  // No character takes more than two units, so short text needs no walk.
  let length = text.length
  if (length < TELL_FROM) return length
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
