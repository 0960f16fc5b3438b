/** Inline markup of a message: emphasis, inline code, links and mentions. */
import { splitLinks } from "./links"
import { type Mentionable, mentionsIn } from "./mentions"

/** `at` is where a text begins in the message, in UTF-16 units. */
export type Inline =
  | { kind: "text"; text: string; at: number }
  | { kind: "link"; text: string; at: number; href: string }
  | { kind: "mention"; text: string; at: number; id: string }
  /** `before` and `after` are its backticks, and a space beside each where both have one. */
  | { kind: "code"; text: string; at: number; before: string; after: string }
  | { kind: Emphasis; mark: Mark; children: Inline[] }

type Emphasis = "strong" | "em" | "strike"
type Mark = "**" | "*" | "_" | "~~"

const kinds: Record<Mark, Emphasis> = { "**": "strong", "*": "em", _: "em", "~~": "strike" }

/** Runs of signs that can be marks. */
const runs = /\*+|_+|~+/g
const word = /[\p{L}\p{N}]/u
/** Scripts that put no space between words: a mark may stand between two letters. */
const unspaced = /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}]/u
/** Between two marks: `*.*` and `**` are no emphasis. */
const content = /[\p{L}\p{N}\p{Extended_Pictographic}]/u

/**
 * Reads one line. A mark that is not closed on it stays as typed, and so does one between two letters or beside a space. Of each mark
 * one is open at a time, so that the depth is bounded and the time grows with the length alone.
 */
export function parseLine(line: string, at: number, people: readonly Mentionable[]): Inline[] {
  const out: Inline[] = []
  /** Where the opening mark stands in `out`. */
  const open = new Map<Mark, number>()

  const text = (from: number, to: number) => {
    if (to > from) out.push({ kind: "text", text: line.slice(from, to), at: at + from })
  }

  /** Moves the nodes after the opening mark into it. Marks opened since then stay as typed. */
  function close(mark: Mark, end: number): boolean {
    const index = open.get(mark)
    const opening = index === undefined ? undefined : out[index]
    if (index === undefined || opening?.kind !== "text") return false
    // Forgotten, or else a text with many closing marks would be read from here again and again.
    if (!content.test(line.slice(opening.at - at + mark.length, end))) return !open.delete(mark)
    const children = joinTexts(out.splice(index + 1))
    out.pop()
    out.push({ kind: kinds[mark], mark, children })
    for (const [other, place] of open) if (place >= index) open.delete(other)
    return true
  }

  const all = [...line.matchAll(runs)]
  /** The first run that was not read. */
  let run = 0

  /** Reads the marks between two places that hold no code, link or mention. */
  function marks(from: number, to: number) {
    let done = from
    for (; (all[run]?.index ?? to) < to; run += 1) {
      const { 0: signs, index } = all[run] as RegExpExecArray
      const found = marksOf(signs)
      const next = index + signs.length
      if (!found || index < from || line[index - 1] === "\\") continue
      const mayClose = !isSpace(line[index - 1]) && !isWord(after(line, next), signs)
      const mayOpen = !isSpace(line[next]) && !isWord(before(line, index), signs)
      text(done, index)
      let place = index
      if (mayClose) {
        const nearest = [...found].sort((one, other) => (open.get(other) ?? -1) - (open.get(one) ?? -1))
        for (const mark of nearest) if (close(mark, place)) place += mark.length
      }
      if (place === index && mayOpen) {
        for (const mark of found) {
          open.set(mark, out.length)
          text(place, place + mark.length)
          place += mark.length
        }
      }
      text(place, next)
      done = next
    }
    text(done, to)
  }

  let done = 0
  const plain = (to: number) => {
    let place = done
    for (const piece of splitLinks(line.slice(done, to))) {
      const end = place + piece.text.length
      if (piece.href) out.push({ kind: "link", text: piece.text, at: at + place, href: piece.href })
      else marks(place, end)
      place = end
    }
  }
  for (const { start, end, node } of atomsOf(line, at, people)) {
    if (start < done) continue
    plain(start)
    out.push(node)
    done = end
  }
  plain(line.length)
  return joinTexts(out)
}

/** The marks of a run, the outer one first; null: it is none. */
function marksOf(run: string): Mark[] | null {
  if (run === "***") return ["**", "*"]
  return run in kinds ? [run as Mark] : null
}

const isSpace = (sign: string | undefined) => sign === undefined || /\s/.test(sign)

/** Whether a mark beside this letter would be inside of a word. */
function isWord(sign: string, mark: string): boolean {
  return word.test(sign) && (mark === "_" || !unspaced.test(sign))
}

/** The whole character after a place, and before it. */
const after = (line: string, at: number) => String.fromCodePoint(line.codePointAt(at) ?? 32)
function before(line: string, at: number): string {
  const isPair = at > 1 && /[\uDC00-\uDFFF]/.test(line[at - 1] as string)
  return isPair ? after(line, at - 2) : (line[at - 1] ?? " ")
}

interface Atom {
  start: number
  end: number
  node: Inline
}

/** Code and mentions in order, in which no mark counts. They may overlap: the first one does. */
function atomsOf(line: string, at: number, people: readonly Mentionable[]): Atom[] {
  const atoms = codeIn(line, at)
  if (people.length === 0) return atoms
  for (const { start, end, id } of mentionsIn(line, people))
    atoms.push({ start, end, node: { kind: "mention", text: line.slice(start, end), at: at + start, id } })
  return atoms.sort((one, other) => one.start - other.start)
}

/** Code: what stands between two runs of as many backticks. */
function codeIn(line: string, at: number): Atom[] {
  const ticks = [...line.matchAll(/`+/g)]
  /** Of each run the next one of its length. */
  const closing: (number | undefined)[] = []
  const last = new Map<number, number>()
  for (let i = ticks.length - 1; i >= 0; i -= 1) {
    const { length } = ticks[i]?.[0] ?? ""
    closing[i] = last.get(length)
    last.set(length, i)
  }
  const atoms: Atom[] = []
  for (let i = 0; i < ticks.length; i += 1) {
    const opening = ticks[i]
    const end = ticks[closing[i] ?? -1]
    if (!opening || !end) continue
    const run = opening[0]
    const whole = line.slice(opening.index + run.length, end.index)
    const pad = whole.startsWith(" ") && whole.endsWith(" ") && whole.trim() !== "" ? " " : ""
    const text = whole.slice(pad.length, whole.length - pad.length)
    atoms.push({
      start: opening.index,
      end: end.index + run.length,
      node: {
        kind: "code",
        text,
        at: at + opening.index + run.length + pad.length,
        before: run + pad,
        after: pad + run,
      },
    })
    i = closing[i] as number
  }
  return atoms
}

/** Texts that follow each other become one. */
function joinTexts(nodes: Inline[]): Inline[] {
  const joined: Inline[] = []
  let texts: string[] = []
  let at = 0
  const flush = () => {
    if (texts.length > 0) joined.push({ kind: "text", text: texts.join(""), at })
    texts = []
  }
  for (const node of nodes) {
    if (node.kind === "text") {
      if (texts.length === 0) at = node.at
      texts.push(node.text)
    } else {
      flush()
      joined.push(node)
    }
  }
  flush()
  return joined
}
