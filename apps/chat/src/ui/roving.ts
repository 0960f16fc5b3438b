import { type FocusEvent, type KeyboardEvent, useState } from "react"
import { keyInLine } from "./keyboard"

const STEPS: Record<string, { by: number; isDown: boolean }> = {
  ArrowDown: { by: 1, isDown: true },
  ArrowUp: { by: -1, isDown: true },
  ArrowRight: { by: 1, isDown: false },
  ArrowLeft: { by: -1, isDown: false },
}

/**
 * One Tab stop for a list: arrows, Home and End move within it. Rows have `data-roving={id}` and take their
 * `tabIndex` from `tabStop`. With `columns` it is a grid, in which the arrows to the sides move too.
 */
export function useRoving(ids: readonly string[], preferred: string | null, columns = 1) {
  const [active, setActive] = useState<string | null>(null)
  const wanted = active !== null && ids.includes(active) ? active : preferred
  const current = wanted !== null && ids.includes(wanted) ? wanted : (ids[0] ?? null)

  function rowsOf(container: HTMLElement): HTMLElement[] {
    return [...container.querySelectorAll<HTMLElement>("[data-roving]")]
  }

  return {
    current,
    tabStop: (id: string): 0 | -1 => (id === current ? 0 : -1),
    /** Forgets the last row, so that the preferred one is the Tab stop again. */
    reset: () => setActive(null),
    handlers: {
      onKeyDown(event: KeyboardEvent<HTMLElement>) {
        if (event.ctrlKey || event.metaKey || event.altKey) return
        const rows = rowsOf(event.currentTarget)
        const at = rows.indexOf(document.activeElement as HTMLElement)
        if (at < 0) return
        const step = STEPS[keyInLine(event)]
        const to =
          step && (columns > 1 || step.isDown)
            ? Math.max(0, Math.min(at + step.by * (step.isDown ? columns : 1), rows.length - 1))
            : event.key === "Home"
              ? 0
              : event.key === "End"
                ? rows.length - 1
                : -1
        if (to < 0) return
        event.preventDefault()
        rows[to]?.focus()
      },
      onFocus(event: FocusEvent<HTMLElement>) {
        const id = (event.target as HTMLElement).dataset.roving
        if (id !== undefined) setActive(id)
      },
    },
  }
}
