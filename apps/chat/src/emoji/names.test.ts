import { createRequire } from "node:module"
import { expect, it } from "vitest"
import { languages } from "../languages/choice"
import ar from "./generated/ar.json"

const require = createRequire(import.meta.url)
const COMPONENTS = 2
const all: { emoji: string; group?: number }[] = require("emojibase-data/en/data.json")
const names: Record<string, string[]> = ar

it("every emoji of the picker has a name in each language", () => {
  expect(languages.map(({ code }) => code).sort()).toEqual(["ar", "de", "en"])
  const unnamed = all.filter(
    ({ emoji, group }) =>
      group !== undefined && group !== COMPONENTS && !/\p{Script=Arabic}/u.test(names[emoji]?.[0] ?? ""),
  )
  expect(unnamed).toEqual([])
})
