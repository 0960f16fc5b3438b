import { expect, it } from "vitest"
import { heightsOf, rememberHeights } from "./heights"

const rows = (count: number) => Array.from({ length: count }, (_, n) => ({ key: `row ${n}` }))
const sizes = (count: number) => new Map(rows(count).map(({ key }, n) => [key, 40 + n]))

it("heights are remembered for the width in which they were measured", () => {
  rememberHeights("one", 700, rows(2), sizes(3))
  expect([...heightsOf("one", 700)]).toEqual([
    ["row 0", 40],
    ["row 1", 41],
  ])
  expect(heightsOf("one", 701).size).toBe(0)
  expect(heightsOf("another", 700).size).toBe(0)
})

it("heights that are as remembered stay remembered", () => {
  rememberHeights("same", 700, rows(3), sizes(2))
  rememberHeights("same", 700, rows(3), new Map([["row 1", 60]]))
  expect(Object.fromEntries(heightsOf("same", 700))).toEqual({ "row 0": 40, "row 1": 60 })
  rememberHeights("same", 500, rows(3), new Map([["row 1", 80]]))
  expect(Object.fromEntries(heightsOf("same", 500))).toEqual({ "row 1": 80 })
})

it("the heights of the last 200 rows of the last 20 conversations are remembered", () => {
  rememberHeights("long", 700, rows(500), sizes(500))
  expect([...heightsOf("long", 700).keys()]).toEqual(
    rows(500)
      .slice(300)
      .map(({ key }) => key),
  )
  for (let n = 0; n < 19; n += 1) rememberHeights(`other ${n}`, 700, rows(1), sizes(1))
  // Shown again, it is not the oldest any more.
  rememberHeights("long", 700, rows(1), sizes(1))
  rememberHeights("the next", 700, rows(1), sizes(1))
  expect(heightsOf("long", 700).size).toBe(1)
  expect(heightsOf("other 0", 700).size).toBe(0)
  expect(heightsOf("other 1", 700).size).toBe(1)
})
