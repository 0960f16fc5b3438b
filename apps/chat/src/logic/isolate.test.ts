import { expect, it } from "vitest"
import { isolate } from "./isolate"

it("a name's direction does not affect the text around it, whatever marks it has", () => {
  expect(isolate("Ben")).toBe("\u2068Ben\u2069")
  expect(isolate("Mal\u202Elive")).toBe("\u2068Mal\u202Elive\u2069")
  expect(isolate("a\u2069b")).toBe("\u2068ab\u2069")
  expect(isolate("a\u2067b")).toBe("\u2068a\u2067b\u2069\u2069")
  // Names that were isolated already, and then joined.
  expect(isolate("\u2068a\u2069 and \u2068b\u2069")).toBe("\u2068\u2068a\u2069 and \u2068b\u2069\u2069")
})
