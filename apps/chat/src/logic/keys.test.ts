import { describe, expect, it } from "vitest"
import { type KeyPress, sends } from "./keys"
import { lengthOf, MAX_LENGTH } from "./length"
import { fold, initials } from "./names"
import { documentTitle } from "./title"

const press: KeyPress = {
  key: "Enter",
  shiftKey: false,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  isComposing: false,
  keyCode: 13,
  timeStamp: 10_000,
}
const long = Number.NEGATIVE_INFINITY

describe("Enter in the composer", () => {
  it("sends, and with Shift inserts a new line", () => {
    expect(sends(press, false, long)).toBe(true)
    expect(sends({ ...press, shiftKey: true }, false, long)).toBe(false)
    expect(sends({ ...press, key: "a" }, false, long)).toBe(false)
  })

  it("never sends during a composition, nor right after", () => {
    expect(sends({ ...press, isComposing: true }, false, long)).toBe(false)
    expect(sends({ ...press, keyCode: 229 }, false, long)).toBe(false)
    expect(sends(press, false, press.timeStamp - 20)).toBe(false)
    expect(sends(press, false, press.timeStamp - 500)).toBe(true)
  })

  it("inserts a new line on touch, unless a modifier is pressed", () => {
    expect(sends(press, true, long)).toBe(false)
    expect(sends({ ...press, ctrlKey: true }, true, long)).toBe(true)
    expect(sends({ ...press, metaKey: true, isComposing: true }, true, long)).toBe(false)
  })
})

describe("length", () => {
  it("counts characters as the server does", () => {
    expect(lengthOf("a".repeat(MAX_LENGTH))).toBe(MAX_LENGTH)
    expect(lengthOf("👍".repeat(MAX_LENGTH))).toBe(MAX_LENGTH)
    expect(lengthOf(`${"a".repeat(MAX_LENGTH)}👍`)).toBe(MAX_LENGTH + 1)
  })
})

describe("names and titles", () => {
  it("initials work in any script", () => {
    expect(initials("Asha Rao")).toBe("AR")
    expect(initials("  élodie ")).toBe("É")
    expect(initials("山田 太郎")).toBe("山太")
    expect(initials("…")).toBe("?")
  })

  it("a name is found without its accents", () => {
    expect(fold("Zoë").includes(fold("zoe"))).toBe(true)
  })

  it("the title starts with the unread count", () => {
    expect(documentTitle("Asha", 3)).toBe("(3) Asha")
    expect(documentTitle(null, 0)).toBe("Lamplight")
    expect(documentTitle("Asha", 4_000)).toBe("(999+) Asha")
  })
})
