import type { Virtualizer } from "@tanstack/react-virtual"
import { type RefObject, useEffect, useLayoutEffect } from "react"

/** So many heights of rows that are gone may wait for the next sweep. */
const SLACK = 500

/** Keeps nothing of rows that were let go since they are far away: neither their measured heights nor the focus. */
export function useLetGo(props: {
  /** The rows that there are, by their keys. */
  keys: ReadonlyMap<string, number>
  virtualizer: Virtualizer<HTMLDivElement, HTMLDivElement>
  frame: RefObject<HTMLDivElement | null>
  /** The row with the focus. */
  current: string | null
  setCurrent: (key: null) => void
}): void {
  const { keys, virtualizer, frame, current, setCurrent } = props

  useEffect(() => {
    const { itemSizeCache } = virtualizer
    if (itemSizeCache.size <= keys.size + SLACK) return
    for (const key of itemSizeCache.keys()) if (!keys.has(String(key))) itemSizeCache.delete(key)
  }, [keys, virtualizer])

  const isLost = current !== null && !keys.has(current)
  useLayoutEffect(() => {
    if (!isLost) return
    setCurrent(null)
    // The row took the focus with it: the keyboard stays in the log.
    if (document.activeElement === document.body) frame.current?.focus({ preventScroll: true })
  }, [isLost, setCurrent, frame])
}
