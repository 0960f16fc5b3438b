/**
 * The parts of a message as it is shown: text, links, inline code and code blocks. Markup is never
 * interpreted: everything else is shown as typed.
 */
export type Token =
  | { kind: "text"; text: string }
  | { kind: "link"; text: string; href: string }
  | { kind: "code"; text: string }
  | { kind: "block"; text: string; language: string }

const fence = /^```([\w+-]{0,20})[^\S\n]*\n([\s\S]*?)\n?^```[^\S\n]*$/gm
const inlineCode = /`([^`\n]+)`/g
const linkStart = /\b(?:https?:\/\/|mailto:)[^\s<>"`]+|\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b/giu

/** Splits a message into tokens, in order. Joined, they are the message without the fences. */
export function tokenise(content: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  for (const match of content.matchAll(fence)) {
    // The line breaks around a fence belong to the fence.
    pushInline(tokens, content.slice(at, match.index).replace(/\n$/, ""))
    tokens.push({ kind: "block", language: match[1] ?? "", text: match[2] ?? "" })
    at = match.index + match[0].length
    if (content[at] === "\n") at += 1
  }
  pushInline(tokens, content.slice(at))
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
  for (const match of text.matchAll(linkStart)) {
    const shown = trimTrailing(match[0])
    const href = safeHref(shown)
    if (!href) continue
    if (match.index > at) tokens.push({ kind: "text", text: text.slice(at, match.index) })
    tokens.push({ kind: "link", text: shown, href })
    at = match.index + shown.length
  }
  if (at < text.length) tokens.push({ kind: "text", text: text.slice(at) })
}

/** The full stop after an address is not part of it, nor is a closing bracket that was opened before it. */
function trimTrailing(link: string): string {
  let end = link.length
  for (; end > 0; end -= 1) {
    const last = link[end - 1] as string
    if (/[.,;:!?'"…*_~]/.test(last)) continue
    const opening = { ")": "(", "]": "[", "}": "{" }[last]
    if (opening) {
      const body = link.slice(0, end)
      if (count(body, last) > count(body, opening)) continue
    }
    break
  }
  return link.slice(0, end)
}

function count(text: string, character: string): number {
  return text.split(character).length - 1
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
