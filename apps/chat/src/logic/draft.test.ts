import { describe, expect, it } from "vitest"
import { takesDraft } from "./draft"

const idle = { field: "", before: "", typed: false, focused: false }

describe("a draft from another tab", () => {
  it("replaces the text of an idle field", () => {
    expect(takesDraft({ ...idle, draft: "hello" })).toBe(true)
    expect(takesDraft({ ...idle, field: "hel", before: "hel", draft: "he" })).toBe(true)
  })

  it("never changes a field that has the focus", () => {
    expect(takesDraft({ ...idle, focused: true, draft: "hello" })).toBe(false)
    expect(takesDraft({ field: "mine", before: "mine", typed: true, focused: true, draft: "mine too" })).toBe(
      false,
    )
  })

  it("never replaces typed text, but may extend it", () => {
    const left = { field: "mine", before: "mine", typed: true, focused: false }
    expect(takesDraft({ ...left, draft: "theirs" })).toBe(false)
    expect(takesDraft({ ...left, draft: "mine, and more" })).toBe(true)
    expect(takesDraft({ ...left, draft: "more, and mine" })).toBe(true)
  })

  it("clears the same text once the other tab has sent it, so that it is not sent twice", () => {
    const same = { field: "hello", before: "hello", draft: "" }
    expect(takesDraft({ ...same, typed: false, focused: true })).toBe(true)
    expect(takesDraft({ ...same, typed: true, focused: false })).toBe(true)
    expect(takesDraft({ ...same, before: "theirs", typed: true, focused: false })).toBe(false)
  })
})
