import { type FocusEvent, type KeyboardEvent, useState } from "react"

/**
 * One Tab stop for a list: arrows, Home and End move within it. Rows have `data-roving={id}` and take their
 * `tabIndex` from `tabStop`.
 */
export function useRoving(ids: readonly string[], preferred: string | null) {
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
        const to =
          event.key === "ArrowDown"
            ? Math.min(at + 1, rows.length - 1)
            : event.key === "ArrowUp"
              ? Math.max(at - 1, 0)
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
