import { plainHighlights } from "./plain"

/** A piece of a text, and whether a search matched it. */
export interface Piece {
  text: string
  isHit: boolean
}

/** How many characters of the text precede the first match. */
const BEFORE = 28

/**
 * The part of a message around the first match of a search, without the marks of its form, on one line and at most `length` long, in
 * pieces. `found` are pairs of UTF-16 offsets in order; what of them lies outside of the text is left out.
 */
export function excerptOf(
  message: string,
  found: readonly (readonly [number, number])[],
  length = 160,
): Piece[] {
  const { text: content, highlights } = plainHighlights(message, found)
  const first = highlights[0]?.[0] ?? 0
  const start = first > BEFORE + 8 ? wordStart(content, first - BEFORE, first) : 0
  const end = Math.min(content.length, start + length)
  const pieces: Piece[] = []
  const put = (from: number, to: number, isHit: boolean) => {
    const text = content.slice(from, to).replace(/\s+/g, " ")
    if (text) pieces.push({ text, isHit })
  }
  let at = start
  for (const [from, to] of highlights) {
    const begin = Math.max(at, from)
    const stop = Math.min(end, to)
    if (begin >= stop) continue
    put(at, begin, false)
    put(begin, stop, true)
    at = stop
  }
  put(at, whole(content, end), false)
  if (start > 0) pieces.unshift({ text: "…", isHit: false })
  if (end < content.length) pieces.push({ text: "…", isHit: false })
  return pieces
}

/** The start of a word at or after `from`, or `from` where there is none before `to`. */
function wordStart(content: string, from: number, to: number): number {
  const space = content.slice(from, to).search(/\s\S/)
  return space < 0 ? whole(content, from) : from + space + 1
}

/** Not between the halves of a character. */
function whole(content: string, at: number): number {
  const isInside = at > 0 && /^[\uDC00-\uDFFF]$/.test(content[at] ?? "")
  return isInside ? at - 1 : at
}
