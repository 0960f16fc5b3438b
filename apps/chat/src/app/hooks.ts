import { useConnection } from "@lamplight/react"
import { useCallback, useEffect, useState, useSyncExternalStore } from "react"
import { nextMidnight } from "../logic/days"

/** The time, updated every `everyMs`, for "5 min ago" and countdowns. */
export function useNow(everyMs: number, running = true): Date {
  const [now, setNow] = useState(() => new Date())
  // After a restart, the time of the last run must never be rendered.
  const [wasRunning, setWasRunning] = useState(running)
  if (wasRunning !== running) {
    setWasRunning(running)
    setNow(new Date())
  }
  useEffect(() => {
    if (!running) return
    const timer = setInterval(() => setNow(new Date()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs, running])
  return now
}

/** Whether that much time has passed since `since`; null: nothing to wait for. */
export function useOlderThan(ms: number, since: Date, asked: boolean): boolean {
  const due = since.getTime() + ms
  const [old, setOld] = useState(() => Date.now() >= due)
  useEffect(() => {
    if (!asked || old) return
    // At most the whole time, since the clock may have been set back.
    const timer = setTimeout(() => setOld(true), Math.min(ms, Math.max(0, due - Date.now())))
    return () => clearTimeout(timer)
  }, [asked, old, due, ms])
  return asked && old
}

/** Shorter losses of the connection are not shown: most are over before a person could read about them. */
export const SILENT_MS = 5_000

/** Whether there has been no connection for longer than that. */
export function useLost(): boolean {
  const { downSince, status } = useConnection()
  const since = status === "idle" || status === "closed" ? null : downSince
  const [lost, setLost] = useState<number | null>(null)
  useEffect(() => {
    if (since === null) return
    // At most the whole time, since the clock may have been set back.
    const left = Math.max(0, Math.min(SILENT_MS, since + SILENT_MS - Date.now()))
    const timer = setTimeout(() => setLost(since), left)
    return () => clearTimeout(timer)
  }, [since])
  return since !== null && lost === since
}

/** A moment of today, updated at midnight and after the device slept. */
export function useToday(): Date {
  const [today, setToday] = useState(() => new Date())
  useEffect(() => {
    const until = Math.min(nextMidnight(today).getTime() - Date.now() + 50, 2 ** 31 - 1)
    const turn = () => {
      const now = new Date()
      if (now.toDateString() !== today.toDateString()) setToday(now)
    }
    const timer = setTimeout(turn, Math.max(0, until))
    // Timers stop while a laptop sleeps.
    document.addEventListener("visibilitychange", turn)
    addEventListener("focus", turn)
    return () => {
      clearTimeout(timer)
      document.removeEventListener("visibilitychange", turn)
      removeEventListener("focus", turn)
    }
  }, [today])
  return today
}

/** A list for each query: to parse one at each rendering takes longer than most components. */
const mediaLists = new Map<string, MediaQueryList>()

function mediaList(query: string): MediaQueryList {
  let list = mediaLists.get(query)
  if (!list) {
    list = matchMedia(query)
    mediaLists.set(query, list)
  }
  return list
}

/** Whether a media query matches, kept up to date. */
export function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (changed: () => void) => {
      const list = mediaList(query)
      list.addEventListener("change", changed)
      return () => list.removeEventListener("change", changed)
    },
    [query],
  )
  return useSyncExternalStore(subscribe, () => mediaList(query).matches)
}

/** Touch is the only pointer. */
export const TOUCH = "(hover: none) and (pointer: coarse)"

/** Whether touch is the only pointer: its keyboard has no Shift+Enter. */
export function useTouch(): boolean {
  return useMedia(TOUCH)
}

/** Whether there is a mouse or the like, and so most likely a keyboard. */
export function useMouse(): boolean {
  return useMedia("(hover: hover) and (pointer: fine)")
}

/** The user counts as reading for this long after the last touch, key or pointer movement. */
const USED_MS = 60_000

/**
 * Whether the user is reading: the page is visible, has the focus and was used a moment ago. Only then are
 * messages marked as read.
 */
export function useReading(): boolean {
  const [reading, setReading] = useState(() => document.visibilityState === "visible" && document.hasFocus())
  useEffect(() => {
    let used = Date.now()
    const look = () =>
      setReading(
        document.visibilityState === "visible" &&
          document.hasFocus() &&
          Math.abs(Date.now() - used) < USED_MS,
      )
    const use = () => {
      used = Date.now()
      look()
    }
    const inputs = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart", "focus"] as const
    for (const input of inputs) addEventListener(input, use, { passive: true, capture: true })
    addEventListener("blur", look)
    document.addEventListener("visibilitychange", look)
    const timer = setInterval(look, 5_000)
    return () => {
      for (const input of inputs) removeEventListener(input, use, { capture: true })
      removeEventListener("blur", look)
      document.removeEventListener("visibilitychange", look)
      clearInterval(timer)
    }
  }, [])
  return reading
}
