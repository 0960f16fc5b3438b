/** The parts of a key press that a shortcut compares. */
export interface ShortcutPress {
  key: string
  code: string
  ctrlKey: boolean
  metaKey: boolean
  altKey: boolean
  shiftKey: boolean
  /** Whether AltGr is held, which writes characters and is reported as Ctrl+Alt. */
  altGraph: boolean
}

/** Keys as they are written here: "Mod+Shift+F". `Mod` is Cmd on a Mac and Ctrl elsewhere. */
function partsOf(keys: string): { key: string; mod: boolean; alt: boolean; shift: boolean } {
  const parts = keys.split("+")
  const held = new Set(parts.slice(0, -1))
  return {
    key: parts.at(-1) ?? "",
    mod: held.has("Mod"),
    alt: held.has("Alt"),
    shift: held.has("Shift"),
  }
}

/**
 * The Latin letter of a key press. Where the layout has another script, or Option makes another character, the place of the key
 * counts.
 */
function letterOf({ key, code }: ShortcutPress): string {
  if (/^[a-z]$/i.test(key)) return key.toUpperCase()
  // A layout that has Latin letters at other places reports these: what is left in ASCII is no letter.
  const isOther = key === "Dead" || (key.length <= 2 && key > "\x7f")
  return isOther ? (/^Key([A-Z])$/.exec(code)?.[1] ?? "") : ""
}

/** Whether a key press is the one of a shortcut. */
export function matches(press: ShortcutPress, keys: string, isMac: boolean): boolean {
  const { key, mod, alt, shift } = partsOf(keys)
  if (!isMac && press.altGraph) return false
  if (press.ctrlKey !== (mod && !isMac) || press.metaKey !== (mod && isMac) || press.altKey !== alt)
    return false
  // Which key has a sign, and whether with Shift, depends on the layout.
  if (key.length === 1 && !/[A-Z]/.test(key)) return press.key === key
  if (press.shiftKey !== shift) return false
  return key.length === 1 ? letterOf(press) === key : press.key === key
}

/** Whether it is a single character, which users also type as text. */
export const isCharacter = (keys: string): boolean => keys.length === 1

const macNames: Record<string, string> = { Mod: "⌘", Alt: "⌥", Shift: "⇧", Enter: "↩", Escape: "esc" }
const otherNames: Record<string, string> = { Mod: "Ctrl", Escape: "Esc" }
const arrows: Record<string, string> = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→" }
/** The order in which a Mac shows what is held. */
const macOrder = ["Alt", "Shift", "Mod"]

/** The names on the keys, in the order in which the system shows them. */
export function keyNames(keys: string, isMac: boolean): string[] {
  const parts = keys.split("+")
  const key = parts.pop() ?? ""
  const held = isMac ? macOrder.filter((one) => parts.includes(one)) : parts
  const names = isMac ? macNames : otherNames
  return [...held, key].map((one) => arrows[one] ?? names[one] ?? one)
}

/** The keys in one word, for a tooltip: "Ctrl+K", or "⌘K" on a Mac. */
export const keysText = (keys: string, isMac: boolean): string => keyNames(keys, isMac).join(isMac ? "" : "+")

/** The keys as `aria-keyshortcuts` has them. */
export const ariaKeys = (keys: string, isMac: boolean): string =>
  keys.replace("Mod", isMac ? "Meta" : "Control")

/** The parts of a listed conversation that navigation needs. */
export interface Step {
  id: string
  isUnread: boolean
}

/**
 * The conversation before or after the selected one in the order of the list; null at its end. With `unread` the next unread one,
 * from the other end on if there is none.
 */
export function stepFrom(
  rows: readonly Step[],
  selected: string | null,
  by: 1 | -1,
  unread = false,
): string | null {
  const at = rows.findIndex(({ id }) => id === selected)
  const start = at < 0 && by < 0 ? rows.length : at
  if (!unread) return rows[start + by]?.id ?? null
  for (let n = 1; n <= rows.length; n += 1) {
    const row = rows[(start + by * n + rows.length * 2) % rows.length]
    if (row?.isUnread && row.id !== selected) return row.id
  }
  return null
}
