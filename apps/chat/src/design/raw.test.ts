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

const SPACE =
  /^(?:(?:scroll-)?(?:margin|padding)(?:-.+)?|(?:row-|column-)?gap|inset(?:-.+)?|top|left|right|bottom)$/
/** Spaces that are not steps of the scale because they grow with the window. */
const OWN_SPACE = ["margin-bottom: clamp(var(--space-24), 7vh, 4.5rem)"]

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
      // A hairline is 1px, and what stands in running text is in em.
      (SPACE.test(property) && /\drem\b|(?:[2-9]|\d{2,}|\.\d+)px/.test(value)) ||
      /cubic-bezier/.test(value)
    const text = `${property}: ${value.trim().replace(/\s+/g, " ")}`
    if (isRaw && !OWN_SPACE.includes(text)) found.push(text)
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

/** Classes of Tailwind for space, whose steps of 0.25rem are ours too. The button in the field of the password has its own width. */
const STEPS = new Set(["auto", "px", "0", "0.5", "1", "1.5", "2", "2.5", "3", "4", "5", "6", "8", "10"])
const OWN_CLASSES = ["pe-16"]
function ownSteps(tsx: string): string[] {
  return [...tsx.matchAll(/\bclass(?:Name)?=(?:"([^"]*)"|\{`([^`]*)`)/g)]
    .flatMap(([, plain, template]) => (plain ?? template ?? "").split(/\s+/))
    .filter((name) => {
      const [, step = ""] =
        /^-?(?:[mp][trblxyse]?|gap(?:-[xy])?|space-[xy]|inset(?:-[xy])?)-(.+)$/.exec(name) ?? []
      return step !== "" && !STEPS.has(step) && !OWN_CLASSES.includes(name)
    })
}

it.each(sheets)("%s takes colours, durations, layers, radii, spaces and text sizes from tokens", (name) => {
  const css = readFileSync(new URL(name, source), "utf8")
  expect(raw(css)).toEqual([])
  expect(ownWidths(css)).toEqual([])
})

it("components define no colours and spaces", () => {
  const found = components.flatMap((name) => {
    const text = readFileSync(new URL(name, source), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "")
    return [
      ...ownSteps(text),
      ...(text.match(/(?:color|fill|stroke|background)["']?[:=]\s*["'{`]*(#[0-9a-f]{3,8}|rgb|hsl|oklch)/gi) ??
        []),
    ].map((match) => `${name}: ${match}`)
  })
  expect(found).toEqual([])
})

it("values that are not tokens are found", () => {
  const css = `.a { color: #fff; background: color-mix(in oklch, var(--ink), white 8%); transition: opacity 140ms; z-index: 3;
    border-radius: 0.5rem; font-size: 1rem; box-shadow: 0 1px 2px var(--ink); animation: a 0.2s;
    padding: 0.5rem var(--space-8); margin-top: 3px; inset: auto 0 calc(100% - 1rem) }
    @media (max-width: 700px) { .b { color: oklch(1 0 0) } }`
  expect(raw(css)).toHaveLength(12)
  expect(ownWidths(css)).toEqual(["(max-width: 700px)"])
  const fine = `.a { color: var(--ink); border-radius: 50%; background: color-mix(in oklch, currentColor 9%, transparent);
    font-size: 0.875em; visibility: hidden 0s; box-shadow: inset 0 0 0 1px var(--line);
    padding: 1px calc(-1 * var(--space-8)); margin: 0 auto 1.25em; gap: 0; width: 3rem }
    @media (47.5em <= width < 68.75em) { .b { color: inherit } }`
  expect([...raw(fine), ...ownWidths(fine)]).toEqual([])
  expect(ownSteps(`<p className="pt-7 text-sm -mx-2.5 gap-[5px] pe-16">`)).toEqual(["pt-7", "gap-[5px]"])
})
