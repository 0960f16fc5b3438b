/**
 * The form of a message: lists, quotes, code and emphasis, as people type them. It is never HTML, and what is not closed stays as typed.
 * Nothing is lost: the tree holds each character of the message.
 */
import { type Inline, parseLine } from "./inline"
import type { Mentionable } from "./mentions"

/** A line of a message, without its break, and where it begins, in UTF-16 units. */
export interface Line {
  text: string
  at: number
}

export interface Item {
  /** The prefix of a list item: spaces, a dash or a number, and a space. */
  mark: string
  /** The number of a numbered item. */
  number: number | null
  /** How far it is moved in: 0 to 3. */
  level: number
  children: Inline[]
}

/** Whole lines. The blocks of a message, joined by line breaks, are the message. */
export type Block =
  | { kind: "text"; lines: Inline[][] }
  | { kind: "list"; isNumbered: boolean; items: Item[] }
  /** `marks` stand before its lines: `> `, or `>` before an empty one. */
  | { kind: "quote"; marks: string[]; blocks: Block[] }
  /** `open` and `close` are the lines with the fences. */
  | { kind: "code"; open: string; close: string; language: string; lines: Line[] }

const opens = /^```([\w+-]{0,20})[^\S\n]*$/
const closes = /^```[^\S\n]*$/
const quoted = /^>(?: |$)/
const listed = /^( {0,8})([-*•]|(\d{1,9})[.)]) {1,4}(?=\S)/
const MAX_LEVEL = 3
/** A quote in a quote in a quote is shown as typed. */
const MAX_QUOTES = 2

/** `people` are those whose names, after an `@`, are mentions. */
export function parseMarkup(content: string, people: readonly Mentionable[] = []): Block[] {
  const lines: Line[] = []
  let at = 0
  for (const text of content.split("\n")) {
    lines.push({ text, at })
    at += text.length + 1
  }
  return parseBlocks(lines, people, 0)
}

function parseBlocks(lines: readonly Line[], people: readonly Mentionable[], depth: number): Block[] {
  const blocks: Block[] = []
  const textOf = (i: number) => lines[i]?.text ?? ""
  // A fence that opens below this line is never closed.
  const lastClosing = lines.findLastIndex((line) => closes.test(line.text))
  /** The number of consecutive lines of a kind from `from` on. */
  const count = (from: number, isOne: (text: string) => boolean) => {
    let end = from
    while (end < lines.length && isOne(textOf(end))) end += 1
    return end
  }
  for (let i = 0; i < lines.length; ) {
    const { text, at } = lines[i] as Line
    const fence = i < lastClosing ? opens.exec(text) : null
    const item = listed.exec(text)
    if (fence) {
      const end = count(i + 1, (line) => !closes.test(line))
      const inner = lines.slice(i + 1, end)
      blocks.push({ kind: "code", open: text, close: textOf(end), language: fence[1] ?? "", lines: inner })
      i = end + 1
    } else if (depth < MAX_QUOTES && text.startsWith("> ")) {
      const end = count(i, (line) => quoted.test(line))
      const inner = lines.slice(i, end)
      const marks = inner.map((line) => line.text.slice(0, 2))
      const without = inner.map((line) => ({ text: line.text.slice(2), at: line.at + 2 }))
      blocks.push({ kind: "quote", marks, blocks: parseBlocks(without, people, depth + 1) })
      i = end
    } else if (item) {
      const [mark, indent, , digits] = item
      const one: Item = {
        mark,
        number: digits === undefined ? null : Number(digits),
        level: Math.min(MAX_LEVEL, (indent ?? "").length >> 1),
        children: parseLine(text.slice(mark.length), at + mark.length, people),
      }
      const isNumbered = one.number !== null
      const last = blocks.at(-1)
      if (last?.kind === "list" && last.isNumbered === isNumbered) last.items.push(one)
      else blocks.push({ kind: "list", isNumbered, items: [one] })
      i += 1
    } else {
      const children = parseLine(text, at, people)
      const last = blocks.at(-1)
      if (last?.kind === "text") last.lines.push(children)
      else blocks.push({ kind: "text", lines: [children] })
      i += 1
    }
  }
  return blocks
}
