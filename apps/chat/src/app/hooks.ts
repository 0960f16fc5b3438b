import { useEffect, useState, useSyncExternalStore } from "react"
import { nextMidnight } from "../logic/days"

/** The time, renewed every `everyMs`; for "5 min ago" and countdowns. */
export function useNow(everyMs: number, running = true): Date {
  const [now, setNow] = useState(() => new Date())
  useEffect(() => {
    if (!running) return
    setNow(new Date())
    const timer = setInterval(() => setNow(new Date()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs, running])
  return now
}

/** Whether that much time has passed since then, while anybody asks. */
export function useOlderThan(ms: number, since: Date, asked: boolean): boolean {
  const due = since.getTime() + ms
  const [old, setOld] = useState(() => Date.now() >= due)
  useEffect(() => {
    if (!asked || old) return
    // At most all of it: the clock may have been set back since.
    const timer = setTimeout(() => setOld(true), Math.min(ms, Math.max(0, due - Date.now())))
    return () => clearTimeout(timer)
  }, [asked, old, due, ms])
  return asked && old
}

/** An instant of today, renewed at midnight, and on waking up after one: "Today" turns by itself. */
export function useToday(): Date {
  const [today, setToday] = useState(() => new Date())
  useEffect(() => {
    const until = Math.min(nextMidnight(today).getTime() - Date.now() + 50, 2 ** 31 - 1)
    const turn = () => {
      const now = new Date()
      if (now.toDateString() !== today.toDateString()) setToday(now)
    }
    const timer = setTimeout(turn, Math.max(0, until))
    // A sleeping laptop's timers sleep too.
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

/** Whether a media query matches, kept up to date. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (changed) => {
      const list = matchMedia(query)
      list.addEventListener("change", changed)
      return () => list.removeEventListener("change", changed)
    },
    () => matchMedia(query).matches,
  )
}

/** A device whose only pointer is a finger: its keyboard has no Shift+Enter. */
export function useTouch(): boolean {
  return useMedia("(hover: none) and (pointer: coarse)")
}

/** A device with a mouse or the like, and so most likely with keys of its own. */
export function useMouse(): boolean {
  return useMedia("(hover: hover) and (pointer: fine)")
}

/** How long after the last touch, key or movement a person still counts as reading. */
const USED_MS = 60_000

/**
 * Whether somebody is reading this page: it can be seen, it has the focus, and it was used a moment ago. Only
 * then may messages be marked as read.
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
