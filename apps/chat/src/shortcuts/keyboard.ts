import { useEffect, useRef } from "react"
import { enterKey, singleKeys } from "../app/choices"
import { ariaKeys, isCharacter, keysText, matches } from "../logic/shortcuts"
import { ids, type ShortcutId, shortcuts } from "./registry"

/** Macs and iPads have Cmd; only the platform name reveals them. */
export const isMac = /mac|iphone|ipad|ipod/i.test(navigator.platform)

/** A label with the keys of a shortcut, for a tooltip. */
export const withKeys = (label: string, id: ShortcutId): string =>
  `${label} (${keysText(shortcuts[id].keys[0] ?? "", isMac)})`

/** The attribute that announces a shortcut to assistive technology. */
export const ariaShortcut = (id: ShortcutId): { "aria-keyshortcuts": string } => ({
  "aria-keyshortcuts": shortcuts[id].keys
    .filter((keys) => !isCharacter(keys))
    .map((keys) => ariaKeys(keys, isMac))
    .join(" "),
})

/** Whether a key press is one of a shortcut, wherever it was pressed. */
export function isShortcut(event: KeyboardEvent, id: ShortcutId): boolean {
  if (event.isComposing || event.keyCode === 229) return false
  const { key, code, ctrlKey, metaKey, altKey, shiftKey } = event
  const press = { key, code, ctrlKey, metaKey, altKey, shiftKey }
  const altGraph = event.getModifierState("AltGraph")
  return shortcuts[id].keys.some((keys) => matches({ ...press, altGraph }, keys, isMac))
}

const TEXT =
  "input:not([type=checkbox], [type=radio], [type=button], [type=file]), textarea, [contenteditable]"
/** Elements that use arrow keys with Alt, or every key. */
const OWN_KEYS = "select, input[type=date], [role=menu]"
/** Overlays handle their own keys. Panels shown as sheets count as the page. */
const OVER = "[role=dialog]:not(.panel), [role=alertdialog], dialog"

/** Whether the element with the focus has a use of its own for the key. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : null
  if (!target) return false
  if (target.closest(OWN_KEYS) || target.closest(OVER)) return true
  const field = target.closest<HTMLElement>(TEXT)
  if (!field) return false
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey
  if (isPlain) return event.key.length === 1
  // On a Mac these move by a paragraph, and Option+Enter breaks the line.
  const text = "value" in field ? String(field.value) : (field.textContent ?? "")
  const moves = event.altKey && !event.ctrlKey && !event.metaKey
  return moves && text !== "" && (isMac || event.key === "Enter")
}

/**
 * Runs the action of a shortcut, wherever the focus is. Returns `false` if there was nothing to do, so that the browser
 * handles the key.
 */
export function useShortcuts(run: Partial<Record<ShortcutId, () => unknown>>): void {
  const latest = useRef(run)
  latest.current = run
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || isTaken(event)) return
      const id = ids.find((one) => !shortcuts[one].place && isShortcut(event, one))
      if (!id || (event.repeat && !shortcuts[id].repeats)) return
      if (event.key.length === 1 && isCharacter(event.key) && isPlain(event) && singleKeys.get() === "off")
        return
      if (latest.current[id] && latest.current[id]?.() !== false) event.preventDefault()
    }
    addEventListener("keydown", onKey)
    return () => removeEventListener("keydown", onKey)
  }, [])
}

const isPlain = ({ ctrlKey, metaKey, altKey }: KeyboardEvent) => !ctrlKey && !metaKey && !altKey

/** The keys that send, and that start a new line, by the user's choice. */
export const sendKeys = (): { send: string; newLine: string } =>
  enterKey.get() === "newline"
    ? { send: "Mod+Enter", newLine: "Enter" }
    : { send: "Enter", newLine: "Shift+Enter" }
