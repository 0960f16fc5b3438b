/** Up to two letters that stand for a name where there is no picture. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean)
  const first = firstLetter(words[0] ?? "")
  const last = words.length > 1 ? firstLetter(words[words.length - 1] ?? "") : ""
  return (first + last).toLocaleUpperCase() || "?"
}

function firstLetter(word: string): string {
  for (const part of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(word)) {
    if (/[\p{L}\p{N}\p{Emoji_Presentation}]/u.test(part.segment)) return part.segment
  }
  return ""
}

/** One of six quiet hues, always the same for the same person. */
export function hueOf(id: string): number {
  let hash = 0
  for (let i = 0; i < id.length; i += 1) hash = (hash * 31 + id.charCodeAt(i)) >>> 0
  return hash % 6
}

/** A search that forgives case and accents: "zoe" finds "Zoë". */
export function fold(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase()
}
