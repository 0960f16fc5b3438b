import { type TouchEvent, useRef } from "react"

/** A finger that moves farther than this, in px, is not a press. */
const ACROSS_PX = 48
const DOWN_PX = 96

/**
 * A finger that moves across, or down. `onAcross` gets 1 where it moves to the left, as for the next page in a language that is read from
 * there. Two fingers zoom, and one on a page that is zoomed moves it.
 */
export function useSwipe(onAcross: (step: 1 | -1) => void, onDown: () => void) {
  const from = useRef<{ x: number; y: number } | null>(null)
  return {
    onTouchStart({ touches }: TouchEvent) {
      const touch = touches[0]
      const isAlone = touches.length === 1 && (window.visualViewport?.scale ?? 1) < 1.01
      from.current = isAlone && touch ? { x: touch.clientX, y: touch.clientY } : null
    },
    onTouchEnd({ changedTouches }: TouchEvent) {
      const touch = changedTouches[0]
      const start = from.current
      from.current = null
      if (!start || !touch) return
      const [x, y] = [touch.clientX - start.x, touch.clientY - start.y]
      if (Math.abs(x) > ACROSS_PX && Math.abs(x) > 2 * Math.abs(y)) onAcross(x < 0 ? 1 : -1)
      else if (y > DOWN_PX && y > 2 * Math.abs(x)) onDown()
    },
    onTouchCancel() {
      from.current = null
    },
  }
}
