import { afterEach, expect, test, vi } from "vitest"
import { isLookedAt, lookAt } from "./attention"

afterEach(() => {
  vi.unstubAllGlobals()
  vi.useRealTimers()
})

test("F16 what a tab that crashed said is believed for 45 s, also when the clock is set back", () => {
  const kept = new Map<string, string>()
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  })
  vi.useFakeTimers({ now: 1_800_000_000_000 })
  lookAt("7")
  vi.setSystemTime(Date.now() + 44_000)
  expect(isLookedAt("7")).toBe(true)
  expect(isLookedAt("8")).toBe(false)
  vi.setSystemTime(Date.now() - 3_600_000)
  expect(isLookedAt("7")).toBe(false)
})
