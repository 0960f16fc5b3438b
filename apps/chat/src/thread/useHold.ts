import type { Virtualizer } from "@tanstack/react-virtual"
import { type RefObject, useCallback } from "react"
import { flushSync } from "react-dom"
import type { Hold } from "./Folded"

/**
 * Changes the height of a row and keeps an element of it at its place on the screen. The virtualiser alone would follow the end of the
 * log, or keep what is below the row.
 */
export function useHold(props: {
  virtualizer: Virtualizer<HTMLDivElement, HTMLDivElement>
  frame: RefObject<HTMLDivElement | null>
  pin: (isPinned: boolean) => void
}): Hold {
  const { virtualizer, frame, pin } = props
  return useCallback(
    (anchor, change) => {
      const log = frame.current
      const row = anchor.closest<HTMLElement>(".log-row")
      const before = anchor.getBoundingClientRect().top
      // It must not follow the end while the row grows there; a scroll to the end pins it again.
      pin(false)
      flushSync(change)
      if (!log || !row) return
      flushSync(() => virtualizer.resizeItem(Number(row.dataset.index), row.offsetHeight))
      log.scrollTop += anchor.getBoundingClientRect().top - before
    },
    [virtualizer, frame, pin],
  )
}
