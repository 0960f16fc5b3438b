import { expect, it } from "vitest"
import { foldHeight, isFolded, linesOf, mayFold } from "./fold"

it("lines are counted with wrapped ones, up to the limit", () => {
  expect(linesOf("", 9)).toBe(1)
  expect(linesOf("one\ntwo\n\nfour", 9)).toBe(4)
  expect(linesOf("x".repeat(62), 9)).toBe(1)
  expect(linesOf("x".repeat(63), 9)).toBe(2)
  expect(linesOf(`a\n${"x".repeat(130)}`, 9)).toBe(4)
  expect(linesOf("\n".repeat(8_000), 30)).toBe(30)
})

it("texts of many characters or lines are folded, and usual ones are not", () => {
  expect(mayFold("A message of a few lines.\nIt is\nread\nas it is.")).toBe(false)
  expect(mayFold("word ".repeat(139))).toBe(false)
  expect(mayFold("word ".repeat(141))).toBe(true)
  expect(mayFold("\n".repeat(13))).toBe(false)
  expect(mayFold("\n".repeat(14))).toBe(true)
})

it("a folded text shows about half of the screen and hides more than a few lines", () => {
  expect(foldHeight(16, 1080)).toBe(480)
  expect(foldHeight(16, 667)).toBe(400)
  expect(foldHeight(32, 844)).toBe(506)
  expect(isFolded(480, 480)).toBe(false)
  expect(isFolded(620, 480)).toBe(false)
  expect(isFolded(630, 480)).toBe(true)
})
