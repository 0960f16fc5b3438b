/**
 * The parts of a message as it is shown: text, links, inline code and code blocks. Markup is never
 * interpreted: everything else is shown as typed.
 */
export type Token =
  | { kind: "text"; text: string }
  | { kind: "link"; text: string; href: string }
  | { kind: "code"; text: string }
  | { kind: "block"; text: string; language: string }

const opens = /^```([\w+-]{0,20})[^\S\n]*$/
const closes = /^```[^\S\n]*$/
const inlineCode = /`([^`\n]+)`/g
const schemes = /\b(?:https?:\/\/|mailto:)[^\s<>"`]+/giu
/** What may stand before the `@` of an address, and how much of it. */
const local = /[\w.+-]/iu
const LONGEST_LOCAL = 64
const domain = /[\w-]+(?:\.[\w-]+)+\b/iuy

/**
 * Splits a message into tokens, in order. Joined, they are the message without the fences. The time grows with the length alone:
 * anybody can send the text that takes longest.
 */
export function tokenise(content: string): Token[] {
  const tokens: Token[] = []
  const lines = content.split("\n")
  // A fence that opens below this line is never closed.
  const lastClosing = lines.findLastIndex((line) => closes.test(line))
  let text: string[] = []
  const endText = () => {
    // The line breaks around a fence belong to the fence.
    pushInline(tokens, text.join("\n"))
    text = []
  }
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] as string
    const opening = at < lastClosing ? opens.exec(line) : null
    if (!opening) {
      text.push(line)
      continue
    }
    endText()
    let end = at + 1
    while (!closes.test(lines[end] as string)) end += 1
    tokens.push({ kind: "block", language: opening[1] ?? "", text: lines.slice(at + 1, end).join("\n") })
    at = end
  }
  endText()
  return tokens
}

function pushInline(tokens: Token[], text: string): void {
  let at = 0
  for (const match of text.matchAll(inlineCode)) {
    pushLinks(tokens, text.slice(at, match.index))
    tokens.push({ kind: "code", text: match[1] ?? "" })
    at = match.index + match[0].length
  }
  pushLinks(tokens, text.slice(at))
}

function pushLinks(tokens: Token[], text: string): void {
  let at = 0
  for (const match of text.matchAll(schemes)) {
    const shown = trimTrailing(match[0])
    const href = safeHref(shown)
    if (!href) continue
    pushAddresses(tokens, text.slice(at, match.index))
    tokens.push({ kind: "link", text: shown, href })
    at = match.index + shown.length
  }
  pushAddresses(tokens, text.slice(at))
}

/** Addresses for mail, found by their `@`: a pattern that begins with what stands before it would read a long text again and again. */
function pushAddresses(tokens: Token[], text: string): void {
  let at = 0
  for (let sign = text.indexOf("@"); sign >= 0; sign = text.indexOf("@", sign + 1)) {
    let start = sign
    const first = Math.max(at, sign - LONGEST_LOCAL)
    while (start > first && local.test(text[start - 1] as string)) start -= 1
    // Longer than an address can be.
    if (start > at && local.test(text[start - 1] as string)) continue
    while (start < sign && !/\w/u.test(text[start] as string)) start += 1
    domain.lastIndex = sign + 1
    const shown = start < sign && domain.exec(text) ? text.slice(start, domain.lastIndex) : ""
    const href = shown && safeHref(shown)
    if (!href) continue
    pushText(tokens, text.slice(at, start))
    tokens.push({ kind: "link", text: shown, href })
    at = start + shown.length
  }
  pushText(tokens, text.slice(at))
}

function pushText(tokens: Token[], text: string): void {
  if (text) tokens.push({ kind: "text", text })
}

/** The full stop after an address is not part of it, nor is a closing bracket that was opened before it. */
function trimTrailing(link: string): string {
  const counts = new Map<string, number>()
  const count = (bracket: string) => counts.get(bracket) ?? 0
  for (const [bracket] of link.matchAll(/[()[\]{}]/g)) counts.set(bracket, count(bracket) + 1)
  let end = link.length
  for (; end > 0; end -= 1) {
    const last = link[end - 1] as string
    if (/[.,;:!?'"…*_~]/.test(last)) continue
    const opening = { ")": "(", "]": "[", "}": "{" }[last]
    if (!opening || count(last) <= count(opening)) break
    counts.set(last, count(last) - 1)
  }
  return link.slice(0, end)
}

/** Addresses that are safe to follow: http, https and mailto. */
export function safeHref(text: string): string | null {
  const candidate = /^[\w.+-]+@/.test(text) ? `mailto:${text}` : text
  try {
    const url = new URL(candidate)
    if (url.protocol === "mailto:") return url.pathname.includes("@") ? url.href : null
    return (url.protocol === "http:" || url.protocol === "https:") && url.hostname ? url.href : null
  } catch {
    return null
  }
}
