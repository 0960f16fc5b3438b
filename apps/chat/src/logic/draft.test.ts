import { describe, expect, it } from "vitest"
import { acceptsDraft } from "./draft"

const idle = { field: "", before: "", typed: false, focused: false }

describe("a draft from another tab", () => {
  it("replaces the text of an idle field", () => {
    expect(acceptsDraft({ ...idle, draft: "hello" })).toBe(true)
    expect(acceptsDraft({ ...idle, field: "hel", before: "hel", draft: "he" })).toBe(true)
  })

  it("never changes a field that has the focus", () => {
    expect(acceptsDraft({ ...idle, focused: true, draft: "hello" })).toBe(false)
    expect(
      acceptsDraft({ field: "mine", before: "mine", typed: true, focused: true, draft: "mine too" }),
    ).toBe(false)
  })

  it("never replaces typed text, but may extend it", () => {
    const left = { field: "mine", before: "mine", typed: true, focused: false }
    expect(acceptsDraft({ ...left, draft: "theirs" })).toBe(false)
    expect(acceptsDraft({ ...left, draft: "mine, and more" })).toBe(true)
    expect(acceptsDraft({ ...left, draft: "more, and mine" })).toBe(true)
  })

  it("clears the same text once the other tab has sent it, so that it is not sent twice", () => {
    const same = { field: "hello", before: "hello", draft: "" }
    expect(acceptsDraft({ ...same, typed: false, focused: true })).toBe(true)
    expect(acceptsDraft({ ...same, typed: true, focused: false })).toBe(true)
    expect(acceptsDraft({ ...same, before: "theirs", typed: true, focused: false })).toBe(false)
  })
})
