import { type RefObject, useEffect, useRef, useState } from "react"
import { dayKey } from "../logic/days"
import { dayTitle } from "../logic/time"
import { words } from "../strings"

/** It is hidden so long after the last scroll. */
const SHOWN_MS = 1_200
/** A scroll so soon after a wheel, a finger or a key is the user's; the log scrolls by itself, too. */
const GESTURE_MS = 400

/**
 * The day of the messages at the upper edge, while the user scrolls. It covers the rows and moves none. Screen readers skip it: the
 * headings of the days are in the log.
 */
export function FloatingDay(props: {
  log: RefObject<HTMLDivElement | null>
  /** The day of the row at this distance from the beginning; null if there is nothing to say. */
  dateAt: (offset: number) => Date | null
  today: Date
}) {
  const { log, dateAt, today } = props
  const [date, setDate] = useState<Date | null>(null)
  const [isShown, setShown] = useState(false)
  const latest = useRef(dateAt)
  latest.current = dateAt

  useEffect(() => {
    const element = log.current
    if (!element) return
    let gestureAt = Number.NEGATIVE_INFINITY
    let timer: ReturnType<typeof setTimeout> | undefined
    const onGesture = ({ timeStamp }: Event) => {
      gestureAt = timeStamp
    }
    const onScroll = ({ timeStamp }: Event) => {
      if (timeStamp - gestureAt > GESTURE_MS) return
      // Scrolling by touch continues with momentum.
      gestureAt = timeStamp
      const now = latest.current(element.scrollTop)
      setShown(now !== null)
      if (now) setDate((before) => (before && dayKey(before) === dayKey(now) ? before : now))
      clearTimeout(timer)
      timer = setTimeout(() => setShown(false), SHOWN_MS)
    }
    const gestures = ["wheel", "touchmove", "pointerdown", "keydown"] as const
    for (const name of gestures) element.addEventListener(name, onGesture, { passive: true })
    element.addEventListener("scroll", onScroll, { passive: true })
    return () => {
      for (const name of gestures) element.removeEventListener(name, onGesture)
      element.removeEventListener("scroll", onScroll)
      clearTimeout(timer)
    }
  }, [log])

  if (!date) return null
  return (
    <div className="log-overlay floating" data-at="top" aria-hidden="true">
      <span className="floating-day" data-testid="floating-day" data-shown={isShown ? "" : undefined}>
        {dayTitle(date, today, words.time)}
      </span>
    </div>
  )
}
