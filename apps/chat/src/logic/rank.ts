/** How well a query fits a name: both as `fold` gives them. 0: not at all; from 100, the same, down. */
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

/** Whether each begins a word of its own. */
function beginWords(wanted: readonly string[], words: readonly string[]): boolean {
  const left = [...words]
  return wanted.every((one) => {
    const at = left.findIndex((word) => word.startsWith(one))
    if (at >= 0) left.splice(at, 1)
    return at >= 0
  })
}

/** So short, one wrong letter is most of a word. */
const MIN_NEAR = 4

/** Whether a word begins with it but for one letter that is missing, added or wrong, or two that are swapped. */
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

/** Letters in this order from the start of a word on, close together: "bnsm" for "ben smith". Up to 40. */
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

/** The best ones first, those that fit as well in the order that they have. */
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
