/** How well a query matches a name, both from `fold`: from 100 (equal) down to 0 (no match). */
export function rank(query: string, name: string): number {
  if (!query || !name) return 0
  if (name === query) return 100
  if (name.startsWith(query)) return 90
  const words = wordsOf(name)
  const wanted = wordsOf(query)
  if (wanted.length > 0 && beginWords(wanted, words)) return wanted.length > 1 ? 85 : 80
  if (name.includes(query)) return 60
  const letters = [...query.replace(/ /g, "")]
  if (letters.length < 2) return 0
  if (
    words
      .map((word) => [...word][0])
      .join("")
      .startsWith(letters.join(""))
  )
    return 55
  if (wanted.length > 0 && wanted.every((one) => words.some((word) => isNear(one, word)))) return 45
  return scattered(letters, name, words)
}

const wordsOf = (text: string): string[] => text.match(/[\p{L}\p{N}\p{M}]+/gu) ?? []

/** Whether each part of the query starts a different word. */
function beginWords(wanted: readonly string[], words: readonly string[]): boolean {
  const left = [...words]
  return wanted.every((one) => {
    const at = left.findIndex((word) => word.startsWith(one))
    if (at >= 0) left.splice(at, 1)
    return at >= 0
  })
}

/** In shorter words a wrong letter is too large a part to tolerate. */
const MIN_NEAR = 4

/** Whether a word starts with the query, allowing one missing, extra or wrong letter, or two swapped ones. */
function isNear(typed: string, word: string): boolean {
  if (typed.length < MIN_NEAR) return word.startsWith(typed)
  let at = 0
  while (at < typed.length && typed[at] === word[at]) at += 1
  if (at === typed.length) return true
  const [rest, of] = [typed.slice(at), word.slice(at)]
  return (
    of.slice(1).startsWith(rest.slice(1)) ||
    of.slice(1).startsWith(rest) ||
    of.startsWith(rest.slice(1)) ||
    (rest.length > 1 && of[0] === rest[1] && of[1] === rest[0] && of.slice(2).startsWith(rest.slice(2)))
  )
}

/** A score up to 40 for letters in order and close together, from the start of a word: "bnsm" for "ben smith". */
function scattered(letters: readonly string[], name: string, words: readonly string[]): number {
  let best = 0
  let from = 0
  for (const word of words) {
    const start = name.indexOf(word, from)
    from = start + word.length
    if (!word.startsWith(letters[0] ?? "")) continue
    let at = start
    let isWhole = true
    for (const letter of letters) {
      const next = name.indexOf(letter, at)
      if (next < 0) {
        isWhole = false
        break
      }
      at = next + letter.length
    }
    const length = at - start
    if (isWhole && length <= letters.length * 3) best = Math.max(best, (40 * letters.length) / length)
  }
  return best
}

/** Sorts the best matches first; equal ones keep their order. */
export function ranked<T>(
  all: readonly T[],
  score: (one: T) => number,
  most: number,
): { one: T; score: number }[] {
  return all
    .map((one) => ({ one, score: score(one) }))
    .filter((it) => it.score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, most)
}
