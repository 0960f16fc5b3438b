import { fold } from "./names"

/** The part of a member that mentions need. */
export interface Mentionable {
  id: string
  name: string
}

/** A mention in a text: `@` and a name, by its UTF-16 offsets. */
export interface Mention {
  start: number
  end: number
  id: string
}

/** The most people to suggest at once. */
const MAX_OFFERED = 8
/** Names may have spaces, so that a query may have some. */
const QUERY = /(?:^|[\s([{"'“‘«>*_~])@([^@\n]{0,32})$/u
const WORD = /[\p{L}\p{N}]/u

/** The mentions in a text, in order: at each `@` the longest name. Of people with one name, the first counts. */
export function mentionsIn(text: string, people: readonly Mentionable[]): Mention[] {
  const found: Mention[] = []
  const byLength = people.filter(({ name }) => name).sort((a, b) => b.name.length - a.name.length)
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    if (at > 0 && WORD.test(text[at - 1] ?? "")) continue
    const person = byLength.find(({ name }) => {
      const end = at + 1 + name.length
      return text.startsWith(name, at + 1) && !goesOn(text, end)
    })
    if (!person) continue
    const end = at + 1 + person.name.length
    found.push({ start: at, end, id: person.id })
  }
  return found
}

/** Whether a word continues here. A trailing underscore may be an emphasis mark. */
function goesOn(text: string, end: number): boolean {
  return WORD.test(text[text[end] === "_" ? end + 1 : end] ?? "")
}

/** The ids of mentioned users, each once. If several have one name, `chosen` ones win. */
export function mentionedIds(
  text: string,
  people: readonly Mentionable[],
  chosen: ReadonlySet<string> = new Set(),
): string[] {
  const sorted = [...people].sort((a, b) => Number(chosen.has(b.id)) - Number(chosen.has(a.id)))
  return [...new Set(mentionsIn(text, sorted).map(({ id }) => id))]
}

/** The text between an `@` and the caret; null if no mention is being written. */
export function mentionQuery(text: string, caret: number): { start: number; query: string } | null {
  const match = QUERY.exec(text.slice(0, caret))
  const query = match?.[1]
  if (query === undefined || query.startsWith(" ")) return null
  return { start: caret - query.length - 1, query }
}

/** The people whose name, or a word of it, begins with the query. */
export function offered<M extends Mentionable>(query: string, people: readonly M[]): M[] {
  const isWhole = query.endsWith(" ")
  const wanted = fold(query) + (isWhole ? " " : "")
  // A whole name and a space: the mention is written.
  if (isWhole && people.some(({ name }) => fold(name) === fold(query))) return []
  const rank = ({ name, id }: M) => {
    const folded = fold(name || id)
    if (folded.startsWith(wanted)) return 0
    return folded.includes(` ${wanted}`) ? 1 : 2
  }
  return people
    .map((person) => ({ person, rank: rank(person) }))
    .filter((one) => one.rank < 2)
    .sort((a, b) => a.rank - b.rank)
    .slice(0, MAX_OFFERED)
    .map(({ person }) => person)
}
