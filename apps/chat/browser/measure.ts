import type { Page } from "playwright-core"

/** Sizes of text differ by less than this between versions of a browser. */
const TOLERANCE_PX = 1.5

/** The name of an element: its tag, classes and state. */
const NAMES = `(element) => {
  const states = ["data-state", "data-kind", "data-size", "aria-pressed", "aria-expanded", "aria-invalid", "aria-current", "disabled"]
  const classes = [...element.classList].filter((one) => !one.startsWith("lucide")).sort()
  return [element.tagName.toLowerCase(), ...classes].join(".") +
    states.filter((one) => element.hasAttribute(one)).map((one) => "[" + one + "=" + element.getAttribute(one) + "]").join("")
}`

/** Each element with its position in its parent, its size, padding and font size; one a line, indented by depth. */
export function layout(page: Page, roots: string): Promise<string> {
  return page.evaluate(
    ([selector, names]) => {
      const nameOf = new Function(`return ${names}`)() as (element: Element) => string
      const lines: string[] = []
      const walk = (element: Element, around: DOMRect, depth: number) => {
        const box = element.getBoundingClientRect()
        const style = getComputedStyle(element)
        // Hidden text has an invisible position.
        const isHidden = style.display === "none" || element.matches(".sr-only")
        if (isHidden || (box.width === 0 && box.height === 0)) return
        const name = element.getAttribute("data-story") ?? element.getAttribute("data-case")
        const numbers = [box.x - around.x, box.y - around.y, box.width, box.height].map(
          (one) => Math.round(one * 2) / 2,
        )
        const inner = [
          style.paddingTop,
          style.paddingInlineStart,
          style.borderTopLeftRadius,
          style.fontSize,
        ].map(parseFloat)
        lines.push(
          `${" ".repeat(depth)}${name ? `${name}: ` : ""}${nameOf(element)} ${[...numbers, ...inner].join(" ")}`,
        )
        // Native controls and text in system fonts are not measured.
        if (element.matches("svg, audio, video, .emoji-list")) return
        for (const child of element.children) walk(child, box, depth + 1)
      }
      const found = [...document.querySelectorAll(selector)].filter(
        (one) => one.parentElement?.closest(selector) === null,
      )
      for (const root of found) walk(root, root.getBoundingClientRect(), 0)
      return `${lines.join("\n")}\n`
    },
    [roots, NAMES] as const,
  )
}

/** The colours of each kind of element, once: text, fill, edges, shadow, drawing. */
export function colours(page: Page, roots: string): Promise<string> {
  return page.evaluate(
    ([selector, names]) => {
      const nameOf = new Function(`return ${names}`)() as (element: Element) => string
      const lines = new Set<string>()
      for (const root of document.querySelectorAll(selector))
        for (const element of [root, ...root.querySelectorAll("*")]) {
          const style = getComputedStyle(element)
          if (element.matches(".emoji-list *, .sr-only") || style.display === "none") continue
          const own: string[] = []
          const around = element.parentElement && getComputedStyle(element.parentElement)
          if (style.color !== around?.color) own.push(`text ${style.color}`)
          if (!/, 0\)$|\/ 0\)$/.test(style.backgroundColor)) own.push(`fill ${style.backgroundColor}`)
          if (parseFloat(style.borderTopWidth) > 0)
            own.push(`edge ${style.borderTopStyle} ${style.borderTopColor}`)
          if (style.outlineStyle !== "none") own.push(`outline ${style.outlineColor}`)
          if (style.boxShadow !== "none") own.push(`shadow ${style.boxShadow}`)
          if (element instanceof SVGElement && style.fill !== around?.fill) own.push(`drawn ${style.fill}`)
          if (element instanceof SVGElement && style.stroke !== around?.stroke)
            own.push(`line ${style.stroke}`)
          if (own.length > 0) lines.add(`${nameOf(element)}: ${own.join(", ")}`)
        }
      return `${[...lines].sort().join("\n")}\n`
    },
    [roots, NAMES] as const,
  )
}

/** The lines that differ: numbers of px by more than the tolerance, anything else at all. */
export function differences(before: string, now: string): string[] {
  const [was, is] = [before.split("\n"), now.split("\n")]
  if (was.length !== is.length) {
    const [old, fresh] = [new Set(was), new Set(is)]
    return [
      ...was.filter((line) => !fresh.has(line)).map((line) => `- ${line.trim()}`),
      ...is.filter((line) => !old.has(line)).map((line) => `+ ${line.trim()}`),
    ]
  }
  const NUMBERS = /(?: -?[\d.]+){8}$/
  return is.flatMap((line, n) => {
    const last = was[n] ?? ""
    if (line === last) return []
    const [a, b] = [NUMBERS.exec(last)?.[0], NUMBERS.exec(line)?.[0]]
    const isNear =
      a !== undefined &&
      b !== undefined &&
      last.replace(NUMBERS, "") === line.replace(NUMBERS, "") &&
      a.split(" ").every((one, at) => Math.abs(Number(one) - Number(b.split(" ")[at])) <= TOLERANCE_PX)
    return isNear ? [] : [`- ${last.trim()}`, `+ ${line.trim()}`]
  })
}
