import { expect, it } from "vitest"
import { byMonth } from "./months"

it("files are grouped by local month, with the year if it is not the current one", () => {
  const now = new Date(2026, 10, 30)
  const at = (...date: [number, number, number]) => ({ createdAt: new Date(...date).toISOString() })
  const items = [at(2026, 10, 30), at(2026, 10, 1), at(2026, 9, 31), at(2025, 10, 30)]
  const months = byMonth(items, now, "en")
  expect(months.map(({ title, items }) => [title, items.length])).toEqual([
    ["November", 2],
    ["October", 1],
    ["November 2025", 1],
  ])
  expect(new Set(months.map(({ key }) => key)).size).toBe(3)
  expect(byMonth([], now)).toEqual([])
})
