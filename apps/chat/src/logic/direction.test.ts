import { expect, it } from "vitest"
import { dirOfText } from "./direction"

it("57: a text has the direction of its letters, or else of the page", () => {
  for (const text of ["hello", "مرحبًا", "👍 ok", "1. قائمة", "日本"]) expect(dirOfText(text)).toBe("auto")
  for (const text of ["", "👍", "12:30", "**!**", "🇩🇪 🎉"]) expect(dirOfText(text)).toBeUndefined()
})
