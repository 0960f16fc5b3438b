/** The emoji that the user chose last, and their skin tone, on this device. */
const KEY = "lamplight:recent-emoji"
const TONE_KEY = "lamplight:skin-tone"
const DEFAULTS = ["👍", "❤️", "😂", "🎉", "😮", "🙏"]
/** Further defaults, for places with more space. */
const MORE = ["😊", "🔥", "👏", "😢", "✅", "👀"]
const MAX_RECENT = 16
const TONES = ["none", "light", "medium-light", "medium", "medium-dark", "dark"] as const

export type Tone = (typeof TONES)[number]

/** `count` emoji: the last used ones first, then default ones. */
export function recentEmoji(count: number = DEFAULTS.length): readonly string[] {
  return merge(stored(), count)
}

/** Puts an emoji to the front. */
export function rememberEmoji(emoji: string): void {
  save(KEY, JSON.stringify([...new Set([emoji, ...stored()])].slice(0, MAX_RECENT)))
}

export function merge(used: readonly string[], count: number = DEFAULTS.length): string[] {
  return [...new Set([...used, ...DEFAULTS, ...MORE])].slice(0, count)
}

export function skinTone(): Tone {
  const tone = load(TONE_KEY)
  return TONES.find((one) => one === tone) ?? "none"
}

export function rememberSkinTone(tone: Tone): void {
  save(TONE_KEY, tone)
}

function stored(): string[] {
  try {
    const value: unknown = JSON.parse(load(KEY) ?? "[]")
    return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : []
  } catch {
    return []
  }
}

// Without storage the usual ones are offered.
function load(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function save(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {}
}
