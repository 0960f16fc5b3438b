import { readdirSync, readFileSync } from "node:fs"
import { expect, it } from "vitest"

const folder = new URL("./", import.meta.url)
const sheets = readdirSync(folder).filter((name) => name.endsWith(".css"))

/** The selectors with `:hover` that hold where a finger is the only pointer: there the style would stick after a tap. */
function unguarded(css: string): string[] {
  const found: string[] = []
  const around: string[] = []
  for (const [, head = "", sign] of css.replace(/\/\*[\s\S]*?\*\//g, "").matchAll(/([^{};]*)([{};])/g)) {
    if (sign === "}") around.pop()
    if (sign !== "{") continue
    if (head.includes(":hover") && !around.some((one) => one.includes("(hover: hover)")))
      found.push(head.trim())
    around.push(head)
  }
  return found
}

it.each(sheets)("F34 hover styles in %s do not apply on touch", (name) => {
  expect(unguarded(readFileSync(new URL(name, folder), "utf8"))).toEqual([])
})

it("F34 a hover style that applies on touch is found", () => {
  expect(unguarded("@layer a { .b:hover { c: d; } @media (hover: hover) { .e:hover { f: g } } }")).toEqual([
    ".b:hover",
  ])
})
