import { describe, expect, it } from "vitest"
import { frozenOrder } from "./order"

describe("the order of a list", () => {
  it("is the current one while nothing is frozen", () => {
    expect(frozenOrder(["a", "b"], ["b", "a"], false)).toEqual(["b", "a"])
  })

  it("is frozen under a pointer; new items are appended, removed ones disappear", () => {
    expect(frozenOrder(["a", "b", "c"], ["new", "c", "a"], true)).toEqual(["a", "c", "new"])
  })

  it("is the same object without changes, so that nothing renders again", () => {
    const shown = ["a", "b"]
    expect(frozenOrder(shown, ["a", "b"], false)).toBe(shown)
    expect(frozenOrder(shown, ["b", "a"], true)).toBe(shown)
  })
})
