import { type RefObject, useEffect, useState } from "react"

/** What moves in a switch of conversation ends within this time. */
const MOVES_MS = 150
/** A page that is never idle waits this much longer at most. */
const IDLE_WITHIN_MS = 1_000

/**
 * Whether what is out of view can come: the page has been idle since the component was mounted, or the user is about to scroll. Work
 * right after the first picture would delay the next one, and the first key that the user presses.
 */
export function useSettled(element: RefObject<HTMLElement | null>): boolean {
  const [isSettled, setSettled] = useState(false)
  useEffect(() => {
    const settle = () => setSettled(true)
    let idle = 0
    const timer = setTimeout(() => {
      // Safari has no idle callbacks.
      if (typeof requestIdleCallback === "function")
        idle = requestIdleCallback(settle, { timeout: IDLE_WITHIN_MS })
      else settle()
    }, MOVES_MS)
    const scrolls = ["wheel", "touchstart", "pointerdown", "keydown"] as const
    const target = element.current
    for (const name of scrolls) target?.addEventListener(name, settle, { passive: true })
    return () => {
      clearTimeout(timer)
      if (idle) cancelIdleCallback(idle)
      for (const name of scrolls) target?.removeEventListener(name, settle)
    }
  }, [element])
  return isSettled
}
