/**
 * Isolates a name's direction: a right-to-left name, or one with direction marks, must not reorder the words
 * around it. Isolates that the name opens are closed, and a mark that closes none is dropped: either would
 * end this isolate at the wrong place.
 */
export function isolate(name: string): string {
  let open = 0
  let kept = ""
  for (const sign of name) {
    if (sign === "\u2069") {
      if (open === 0) continue
      open -= 1
    } else if (sign >= "\u2066" && sign <= "\u2068") open += 1
    kept += sign
  }
  return `\u2068${kept}${"\u2069".repeat(open + 1)}`
}
