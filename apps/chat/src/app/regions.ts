/** Moves the focus between the panels. The target of each panel is marked in the document. */
import { TOUCH } from "./hooks"

const REGION = "[data-region]"
/** The element of a panel that takes the focus: the current row, the composer, the search. */
const ENTRY = "[data-region-entry]"

function visible(element: Element): boolean {
  if (element.closest("[inert]")) return false
  return (element as HTMLElement).checkVisibility?.({ visibilityProperty: true }) ?? true
}

/** Whether a focus on an element shows a keyboard over half of the page. */
function opensKeyboard(element: HTMLElement): boolean {
  return element.matches("input, textarea") && matchMedia(TOUCH).matches
}

/** `writes`: the user is about to write. Otherwise a field takes no focus where a keyboard would cover the page. */
function enter(region: Element | null | undefined, writes: boolean): void {
  if (!region) return
  const entry = [...region.querySelectorAll<HTMLElement>(ENTRY)].find(visible)
  if (entry && (writes || !opensKeyboard(entry))) entry.focus()
  else (region as HTMLElement).focus({ preventScroll: true })
}

/** F6 moves to the next panel that is visible and not inert, Shift+F6 to the previous one. */
export function cycleRegions(backwards: boolean): void {
  const regions = [...document.querySelectorAll(REGION)].filter(visible)
  if (regions.length === 0) return
  const at = regions.findIndex((region) => region.contains(document.activeElement))
  const step = backwards ? -1 : 1
  const next = at < 0 ? 0 : (at + step + regions.length) % regions.length
  enter(regions[next], true)
}

/** After the next paint, since the target may not be in the document yet. */
function soon(name: string, writes = false): void {
  requestAnimationFrame(() => enter(document.querySelector(`[data-region="${name}"]`), writes))
}

/** For a user who is about to write: it opens the keyboard of a phone. */
export function focusComposer(): void {
  soon("thread", true)
}

/** The composer, or the thread where the composer would open a keyboard. */
export function focusThread(): void {
  soon("thread")
}

export function focusList(): void {
  soon("conversations")
}

export function focusDetails(): void {
  soon("details")
}

export function focusPeople(): void {
  soon("people")
}

export function focusYou(): void {
  soon("you")
}

/** The button of the user's menu, by which the settings are opened. */
export function focusStatusMenu(): void {
  const buttons = [...document.querySelectorAll<HTMLElement>('[data-testid="status-menu"]')]
  buttons.find(visible)?.focus()
}
