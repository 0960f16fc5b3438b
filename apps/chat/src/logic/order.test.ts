import { describe, expect, it } from "vitest"
import { heldOrder } from "./order"

describe("the order of a list", () => {
  it("is the true one when nobody points at it", () => {
    expect(heldOrder(["a", "b"], ["b", "a"], false)).toEqual(["b", "a"])
  })

  it("stands still under a pointer; what is new comes at the end, what is gone goes", () => {
    expect(heldOrder(["a", "b", "c"], ["new", "c", "a"], true)).toEqual(["a", "c", "new"])
  })

  it("is the same object while nothing changed, so that nothing is drawn again", () => {
    const shown = ["a", "b"]
    expect(heldOrder(shown, ["a", "b"], false)).toBe(shown)
    expect(heldOrder(shown, ["b", "a"], true)).toBe(shown)
  })
})
