import { expect, test } from "vitest"
import { merge } from "./recent-emoji"

test("the last used emoji come first, each once, and the usual ones fill up", () => {
  expect(merge([])).toEqual(["👍", "❤️", "😂", "🎉", "😮", "🙏"])
  expect(merge(["🙏", "🐢", "🙏"])).toEqual(["🙏", "🐢", "👍", "❤️", "😂", "🎉"])
})
