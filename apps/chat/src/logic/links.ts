/** Addresses in a text that are safe to follow: http, https and mailto. */

/** A piece of a text: with `href` an address. */
export interface LinkPiece {
  text: string
  href?: string
}

// Bidi control characters end a URL, because they could make it look like a different one.
const schemes = /\b(?:https?:\/\/|mailto:|www\.)[^\s<>"`\u202a-\u202e\u2066-\u2069]+/giu
/** A host after `www.`, whatever its letters: `www.` and one word is no address. */
const host = /^www\.[\p{L}\p{N}-]+\.[\p{L}\p{N}]/iu
/** The characters allowed before the `@` of a mail address, and their maximum number. */
const local = /[\w.+-]/iu
const LONGEST_LOCAL = 64
const domain = /[\w-]+(?:\.[\w-]+)+\b/iuy

/**
 * Splits a text at its addresses. The pieces, joined, are the text. The time grows with the length alone: anybody can send the text
 * that takes longest.
 */
export function splitLinks(text: string): LinkPiece[] {
  const pieces: LinkPiece[] = []
  let at = 0
  for (const match of text.matchAll(schemes)) {
    const shown = trimTrailing(match[0])
    const href = safeHref(shown)
    if (!href) continue
    pushAddresses(pieces, text.slice(at, match.index))
    pieces.push({ text: shown, href })
    at = match.index + shown.length
  }
  pushAddresses(pieces, text.slice(at))
  return pieces
}

/** Addresses for mail, found by their `@`: a pattern that begins with what stands before it would read a long text again and again. */
function pushAddresses(pieces: LinkPiece[], text: string): void {
  let at = 0
  for (let sign = text.indexOf("@"); sign >= 0; sign = text.indexOf("@", sign + 1)) {
    let start = sign
    const first = Math.max(at, sign - LONGEST_LOCAL)
    while (start > first && local.test(text[start - 1] as string)) start -= 1
    // Longer than an address can be.
    if (start > at && local.test(text[start - 1] as string)) continue
    // A mark of emphasis is not part of it.
    while (start < sign && !/[a-z0-9]/iu.test(text[start] as string)) start += 1
    domain.lastIndex = sign + 1
    const shown = start < sign && domain.exec(text) ? text.slice(start, domain.lastIndex) : ""
    let end = start + shown.length
    while (text[end - 1] === "_") end -= 1
    const address = text.slice(start, end)
    const href = shown && safeHref(address)
    if (!href) continue
    pushText(pieces, text.slice(at, start))
    pieces.push({ text: address, href })
    at = end
  }
  pushText(pieces, text.slice(at))
}

function pushText(pieces: LinkPiece[], text: string): void {
  if (text) pieces.push({ text })
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

/** Where an address leads, if it is safe to follow; else null. */
export function safeHref(text: string): string | null {
  const candidate = /^[\w.+-]+@/.test(text) ? `mailto:${text}` : host.test(text) ? `https://${text}` : text
  try {
    const url = new URL(candidate)
    if (url.protocol === "mailto:") return url.pathname.includes("@") ? url.href : null
    return (url.protocol === "http:" || url.protocol === "https:") && url.hostname ? url.href : null
  } catch {
    return null
  }
}
