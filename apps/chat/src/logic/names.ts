import { graphemes } from "./graphemes"

/** Up to two letters that stand for a name without a picture. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean)
  const first = firstLetter(words[0] ?? "")
  const last = words.length > 1 ? firstLetter(words[words.length - 1] ?? "") : ""
  return (first + last).toLocaleUpperCase() || "?"
}

function firstLetter(word: string): string {
  for (const part of graphemes.segment(word)) {
    if (/[\p{L}\p{N}\p{Emoji_Presentation}]/u.test(part.segment)) return part.segment
  }
  return ""
}

/** One of six hues, always the same for the same person. */
export function hueOf(id: string): number {
  let hash = 0
  for (let i = 0; i < id.length; i += 1) hash = (hash * 31 + id.charCodeAt(i)) >>> 0
  return hash % 6
}

/** Letters of other scripts that look like Latin ones. */
const LIKE: Record<string, string> = Object.fromEntries(
  "аa сc еe һh іi јj оo рp ѕs ԛq υu ѵv ԝw хx уy αa ιi κk νv οo ρp τt χx ɑa ɡg ıi"
    .split(" ")
    .map((pair) => [...pair] as [string, string]),
)

/** The ids of people whose name looks like another one's in the list. */
export function confusable(people: readonly { id: string; name: string }[]): string[] {
  const alike = new Map<string, string[]>()
  for (const { id, name } of people) {
    const look = lookOf(name || id)
    const ids = alike.get(look)
    if (!ids) alike.set(look, [id])
    else if (!ids.includes(id)) ids.push(id)
  }
  return [...alike.values()].filter((ids) => ids.length > 1).flat()
}

const looks = new Map<string, string>()
/** The size of the cache: long lists are compared again with each message. */
const MAX_LOOKS = 5_000

/** The visual skeleton of a name. */
function lookOf(name: string): string {
  let look = looks.get(name)
  if (look === undefined) {
    look = fold(name)
      .replace(/[^ -~]/gu, (sign) => LIKE[sign] ?? sign)
      .replace(/[l1|]/g, "i")
      .replace(/0/g, "o")
    if (looks.size >= MAX_LOOKS) looks.clear()
    looks.set(name, look)
  }
  return look
}

/**
 * A name as a search compares it, like the server's `search_key`: "zoe" finds "Zoë", "inci" finds "İnci".
 * Without case in any language, without the marks of Latin, Greek and Cyrillic letters, without invisible
 * characters, with single spaces.
 */
export function fold(text: string): string {
  return text
    .normalize("NFKD")
    .toUpperCase()
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{DI}/gu, "")
    .replace(/([\p{sc=Latn}\p{sc=Grek}\p{sc=Cyrl}])[\p{Mn}\p{Me}]+/gu, "$1")
    .replace(/ς/g, "σ")
    .replace(/\s+/g, " ")
    .trim()
    .normalize("NFKC")
}
