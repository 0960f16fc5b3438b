/** Messages without their marks, where they are shown in a line: previews, search results, notifications. */
import type { Inline } from "./inline"
import { type Block, parseMarkup } from "./markup"

/** A part of the plain text; `at` is where it stands in the message, null where it does not. */
interface Part {
  text: string
  at: number | null
}

/** Whether a text may have marks: most have none. */
const marked = /[*_~`]|^(?:> | {0,8}(?:[-•]|\d+[.)]) )/m

/** A message as it reads without its marks. */
export function plainText(content: string): string {
  if (!marked.test(content)) return content
  return partsOf(content)
    .map(({ text }) => text)
    .join("")
}

/** The beginning of a message without its marks, of at most `length` UTF-16 units. */
export function plainStart(content: string, length: number): string {
  // Marks take some of the length. The cut part might close one, but it is far behind the excerpt.
  return plainText(content.slice(0, length * 4 + 100)).slice(0, length)
}

/** A message without its marks, and where its highlights are in it. They are pairs of UTF-16 offsets, in order. */
export function plainHighlights(
  content: string,
  highlights: readonly (readonly [number, number])[],
): { text: string; highlights: [number, number][] } {
  const parts = marked.test(content) ? partsOf(content) : [{ text: content, at: 0 }]
  const found: [number, number][] = []
  let place = 0
  let first = 0
  for (const { text, at } of parts) {
    const begins = place
    place += text.length
    if (at === null) continue
    const end = at + text.length
    // A highlight may go on in the next part.
    while (first < highlights.length && (highlights[first]?.[1] ?? 0) <= at) first += 1
    for (let i = first; i < highlights.length; i += 1) {
      const [from, to] = highlights[i] ?? [end, end]
      if (from >= end) break
      found.push([begins + Math.max(from, at) - at, begins + Math.min(to, end) - at])
    }
  }
  return { text: parts.map(({ text }) => text).join(""), highlights: found }
}

function partsOf(content: string): Part[] {
  const parts: Part[] = []
  pushBlocks(parts, parseMarkup(content))
  return parts
}

function pushBlocks(parts: Part[], blocks: readonly Block[]): void {
  blocks.forEach((block, i) => {
    if (i > 0) parts.push({ text: "\n", at: null })
    if (block.kind === "quote") pushBlocks(parts, block.blocks)
    else if (block.kind === "code") pushLines(parts, block.lines, (line) => parts.push(line))
    else if (block.kind === "text") pushLines(parts, block.lines, (line) => pushInlines(parts, line))
    else
      pushLines(parts, block.items, ({ number, children }) => {
        parts.push({ text: number === null ? "• " : `${number}. `, at: null })
        pushInlines(parts, children)
      })
  })
}

function pushLines<L>(parts: Part[], lines: readonly L[], push: (line: L) => void): void {
  lines.forEach((line, i) => {
    if (i > 0) parts.push({ text: "\n", at: null })
    push(line)
  })
}

function pushInlines(parts: Part[], nodes: readonly Inline[]): void {
  for (const node of nodes) {
    if ("children" in node) pushInlines(parts, node.children)
    else parts.push(node)
  }
}
