import { graphemes } from "./graphemes"

/** Up to this many emoji alone are shown large. */
const LARGE = 3

// `\p{RGI_Emoji}` knows flags, families and skin tones, but needs the `v` flag, which older engines refuse to
// parse: so it is no literal. The replacement for those engines is close enough to choose a size.
const exact = "^\\p{RGI_Emoji}$"
const close =
  "^\\p{Extended_Pictographic}(?:\\p{Emoji_Modifier}|\\u{FE0F}|\\u{200D}\\p{Extended_Pictographic})*$"
const single = (() => {
  try {
    return new RegExp(exact, "v")
  } catch {
    return new RegExp(close, "u")
  }
})()

/** Every emoji has such a character, and most messages have none: each one on the screen is looked at. */
const other = /[^\x20-\x7e]/

/** Whether a message is one to three emoji and nothing else. */
export function isLoneEmoji(content: string): boolean {
  const text = content.trim()
  if (text.length > 60 || !other.test(text)) return false
  const segments = [...graphemes.segment(text)]
    .map((part) => part.segment)
    .filter((part) => part.trim() !== "")
  return segments.length <= LARGE && segments.every((part) => single.test(part))
}
