/**
 * A name keeps its own direction to itself: one that is written from right to left, or holds a sign that turns what
 * follows, must not reorder the words around it. What it opens is closed and what it closes without having opened is left
 * out, for either would end this isolate too late or too soon.
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
