import { expect, test, vi } from "vitest"
import { browserEnvironment, randomId } from "../src/defaults.js"

test("ids are distinct UUIDs of version 7, sorted by the millisecond", () => {
  const ids = Array.from({ length: 1000 }, randomId)
  for (const id of ids)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(new Set(ids).size).toBe(ids.length)
  const time = (id: string) => Number.parseInt(id.slice(0, 13).replace("-", ""), 16)
  expect(Math.abs(time(ids[0] as string) - Date.now())).toBeLessThan(60_000)
  expect(ids.map(time)).toEqual(ids.map(time).sort((a, b) => a - b))
})

test("F16 setting a device's clock back does not make its user active for hours", () => {
  vi.stubGlobal("document", Object.assign(new EventTarget(), { visibilityState: "visible" }))
  let now = 1_800_000_000_000
  const environment = browserEnvironment({ now: () => now, after: () => () => {} })
  now += 59_000
  expect(environment.isActive()).toBe(true)
  now -= 3_600_000
  expect(environment.isActive()).toBe(false)
  vi.unstubAllGlobals()
})
