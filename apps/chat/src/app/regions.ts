/** Moving the focus between the rooms. Which element takes it is marked in the page, not remembered here. */

const REGION = "[data-region]"
/** The element of a room that takes the focus when one enters it: the current row, the composer, the search. */
const ENTRY = "[data-region-entry]"

function visible(element: Element): boolean {
  if (element.closest("[inert]")) return false
  return (element as HTMLElement).checkVisibility?.({ visibilityProperty: true }) ?? true
}

function enter(region: Element | null | undefined): void {
  if (!region) return
  const entry = [...region.querySelectorAll<HTMLElement>(ENTRY)].find(visible)
  ;(entry ?? (region as HTMLElement)).focus()
}

/** F6 goes to the next room that can be seen and reached, Shift+F6 to the one before. */
export function cycleRegions(backwards: boolean): void {
  const regions = [...document.querySelectorAll(REGION)].filter(visible)
  if (regions.length === 0) return
  const at = regions.findIndex((region) => region.contains(document.activeElement))
  const step = backwards ? -1 : 1
  const next = at < 0 ? 0 : (at + step + regions.length) % regions.length
  enter(regions[next])
}

/** After the next paint: what is to be focused may only just be on its way into the page. */
function soon(name: string): void {
  requestAnimationFrame(() => enter(document.querySelector(`[data-region="${name}"]`)))
}

export function focusComposer(): void {
  soon("thread")
}

export function focusList(): void {
  soon("conversations")
}

export function focusPeople(): void {
  soon("people")
}
