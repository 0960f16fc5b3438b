import { expect, it } from "vitest"
import { excerptOf } from "./excerpt"

const shown = (...args: Parameters<typeof excerptOf>) =>
  excerptOf(...args)
    .map(({ text, isHit }) => (isHit ? `[${text}]` : text))
    .join("")

const isWhole = (text: string) => !/\p{Surrogate}/u.test(text)

it("an excerpt marks every match", () => {
  expect(
    shown("The ferry, the old ferry", [
      [4, 9],
      [19, 24],
    ]),
  ).toBe("The [ferry], the old [ferry]")
  expect(shown("ferry", [[0, 5]])).toBe("[ferry]")
  expect(shown("no match", [])).toBe("no match")
})

it("an excerpt shows the part around the first match, from the start of a word", () => {
  const content = `${"word ".repeat(50)}here it is${" word".repeat(50)}`
  const text = shown(content, [[250, 254]], 60)
  expect(text).toMatch(/^…word /)
  expect(text).toContain("[here] it is")
  expect(text).toMatch(/…$/)
})

it("an excerpt is one line", () => {
  expect(shown("one\n\n two\tthree", [[6, 9]])).toBe("one [two] three")
})

it("an excerpt omits matches outside of it and splits no character", () => {
  expect(
    shown("short", [
      [2, 3],
      [900, 905],
    ]),
  ).toBe("sh[o]rt")
  const smiles = "😀".repeat(100)
  expect(isWhole(shown(smiles, [[150, 152]], 41))).toBe(true)
  expect(isWhole(shown(smiles, [], 41))).toBe(true)
})
