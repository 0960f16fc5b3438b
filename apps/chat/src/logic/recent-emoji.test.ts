import { expect, test } from "vitest"
import { merge } from "./recent-emoji"

test("recent emoji come first, once each, followed by the default ones", () => {
  expect(merge([])).toEqual(["👍", "❤️", "😂", "🎉", "😮", "🙏"])
  expect(merge(["🙏", "🐢", "🙏"])).toEqual(["🙏", "🐢", "👍", "❤️", "😂", "🎉"])
})
