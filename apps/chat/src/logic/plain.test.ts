import { expect, it } from "vitest"
import { excerptOf } from "./excerpt"
import { plainHighlights, plainStart, plainText } from "./plain"

it("plain text is the message without its markup", () => {
  expect(plainText("**Bold** and `code`, ~~gone~~")).toBe("Bold and code, gone")
  expect(plainText("Bring:\n- tea\n2) *milk*\n> why?\n```ts\nconst a = 1\n```")).toBe(
    "Bring:\n• tea\n2. milk\nwhy?\nconst a = 1",
  )
  for (const text of ["", "no marks", "**open", "2*3*4", "snake_case_name", "a\n\nb"])
    expect(plainText(text)).toBe(text)
})

it("plain text starts with the shown part of a long message", () => {
  expect(plainStart(`**${"a".repeat(20)}** ${"b ".repeat(5_000)}`, 24)).toBe(
    `${"a".repeat(20)} b b`.slice(0, 24),
  )
})

it("plain text keeps the positions of search hits", () => {
  const found = (content: string, ...words: string[]) => {
    const at = words.map((word): [number, number] => [
      content.indexOf(word),
      content.indexOf(word) + word.length,
    ])
    const { text, highlights } = plainHighlights(content, at)
    return highlights.map(([from, to]) => text.slice(from, to))
  }
  expect(found("The **ferry** and `the code`", "ferry", "code")).toEqual(["ferry", "code"])
  expect(found("> > the *old*\n> ferry", "old", "ferry")).toEqual(["old", "ferry"])
  expect(found("no marks here", "marks")).toEqual(["marks"])
  // Over the edge of a mark, in pieces.
  expect(found("(fer)**ry** boat", "fer)**ry** b")).toEqual(["fer)", "ry", " b"])
  const shown = excerptOf("see **the ferry** now", [[10, 15]])
  expect(shown.map(({ text, isHit }) => (isHit ? `[${text}]` : text)).join("")).toBe("see the [ferry] now")
})
