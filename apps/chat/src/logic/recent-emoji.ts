/** The emoji that the user reacted with last, on this device. */
const KEY = "lamplight:recent-emoji"
const USUAL = ["👍", "❤️", "😂", "🎉", "😮", "🙏"]

/** As many as there are usual ones, the last used first. */
export function recentEmoji(): readonly string[] {
  return merge(stored())
}

/** Puts an emoji to the front. */
export function rememberEmoji(emoji: string): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(merge([emoji, ...stored()])))
  } catch {
    // Without storage the usual ones are offered.
  }
}

export function merge(used: readonly string[]): string[] {
  return [...new Set([...used, ...USUAL])].slice(0, USUAL.length)
}

function stored(): string[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]")
    return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : []
  } catch {
    return []
  }
}
