import { readdirSync, readFileSync } from "node:fs"
import { expect, it } from "vitest"
import * as breakpoints from "./breakpoints"

const source = new URL("../", import.meta.url)
const sheets = readdirSync(new URL("styles/", source))
  .filter((name) => name.endsWith(".css"))
  .map((name) => `styles/${name}`)
const components = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) =>
  /\.tsx$/.test(name),
)

const COLOUR = /#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch|color)\(|\b(?:black|white)\b/i

/** Values that belong into tokens.css, each with its property. */
function raw(css: string): string[] {
  const found: string[] = []
  for (const [, property = "", value = ""] of css
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .matchAll(/([\w-]+)\s*:\s*([^;{}]+)[;}]/g)) {
    const isRaw =
      COLOUR.test(value) ||
      // "0s" is no duration.
      /(?<![\w-])(?:[1-9]|0\.)[\d.]*m?s\b/.test(value) ||
      (property === "z-index" && /\d/.test(value)) ||
      (property.endsWith("radius") &&
        /\d(?:rem|em)\b|\d{2,}px/.test(value.replace(/calc\(var\([^)]*\)[^)]*\)/g, ""))) ||
      (property === "font-size" && /\drem\b/.test(value) && !value.includes("16px")) ||
      (property === "box-shadow" && /(?:^|,\s*)(?:inset )?\S+ \S+ [1-9]/.test(value)) ||
      /cubic-bezier/.test(value)
    if (isRaw) found.push(`${property}: ${value.trim()}`)
  }
  return found
}

/** Conditions on the width that are none of breakpoints.ts, or the other side of one. */
function ownWidths(css: string): string[] {
  const known = new Set(Object.values(breakpoints).map((one) => /[\d.]+em/.exec(one)?.[0]))
  return [...css.matchAll(/@media [^{]*?(\([^)]*\bwidth\b[^)]*\))/g)]
    .map(([, condition = ""]) => condition)
    .filter((condition) => [...condition.matchAll(/[\d.]+[a-z]+/g)].some(([size]) => !known.has(size)))
}

it.each(sheets)("%s has no colour, duration, level, radius or size of text that is not a token", (name) => {
  const css = readFileSync(new URL(name, source), "utf8")
  expect(raw(css)).toEqual([])
  expect(ownWidths(css)).toEqual([])
})

it("components have no colour of their own", () => {
  const found = components.flatMap((name) => {
    const text = readFileSync(new URL(name, source), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "")
    return [
      ...text.matchAll(/(?:color|fill|stroke|background)["']?[:=]\s*["'{`]*(#[0-9a-f]{3,8}|rgb|hsl|oklch)/gi),
    ].map(([match]) => `${name}: ${match}`)
  })
  expect(found).toEqual([])
})

it("finds what is not a token", () => {
  const css = `.a { color: #fff; background: color-mix(in oklch, var(--ink), white 8%); transition: opacity 140ms; z-index: 3;
    border-radius: 0.5rem; font-size: 1rem; box-shadow: 0 1px 2px var(--ink); animation: a 0.2s }
    @media (max-width: 700px) { .b { color: oklch(1 0 0) } }`
  expect(raw(css)).toHaveLength(9)
  expect(ownWidths(css)).toEqual(["(max-width: 700px)"])
  const fine = `.a { color: var(--ink); border-radius: 50%; background: color-mix(in oklch, currentColor 9%, transparent);
    font-size: 0.875em; visibility: hidden 0s; box-shadow: inset 0 0 0 1px var(--line) }
    @media (47.5em <= width < 68.75em) { .b { color: inherit } }`
  expect([...raw(fine), ...ownWidths(fine)]).toEqual([])
})
