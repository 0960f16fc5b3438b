import { readdirSync, readFileSync } from "node:fs"
import { parseSync } from "vite"
import { describe, expect, it } from "vitest"

/** Rules for the page's files, since texts change with the language. */

interface Node {
  type: string
  start: number
  [key: string]: unknown
}

const source = new URL("../", import.meta.url)
const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter(
  // The stories are for developers, and in English.
  (name) => /\.tsx?$/.test(name) && !/\.(test|d)\.tsx?$|^design.stories/.test(name),
)

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as Node).type === "string"

/** Visits the nodes below one; `see` returns false for those whose own are not visited. */
function visit(
  node: Node,
  see: (node: Node, parent: Node | null) => boolean,
  parent: Node | null = null,
): void {
  if (!see(node, parent)) return
  for (const value of Object.values(node))
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child, see, node)
}

function check(name: string, code: string, look: (program: Node) => Node[]): string[] {
  const program = parseSync(name, code, { lang: "tsx" }).program as unknown as Node
  return look(program).map(
    ({ start }) =>
      `${name}:${code.slice(0, start).split("\n").length} ${code.slice(start, start + 60).split("\n")[0]}`,
  )
}

/** Attributes and properties of components that the user reads or hears. */
const READ =
  /^(title|alt|placeholder|label|lead|hint|aria-(label|description|roledescription|valuetext|placeholder))$/
/** Two letters beside each other: neither a sign, such as "·", nor the name of a key. */
const WORD = /\p{L}{2}/u

const textOf = (node: Node): string =>
  node.type === "JSXText" || (node.type === "Literal" && typeof node.value === "string")
    ? String(node.value)
    : node.type === "TemplateElement"
      ? String((node.value as { cooked: string }).cooked)
      : ""

/** The literals that make a value: of both branches of a condition, but not the arguments of functions. */
function literals(node: Node): Node[] {
  const found: Node[] = []
  visit(node, (one) => {
    if (
      /^(CallExpression|MemberExpression|BinaryExpression|JSXElement|ArrowFunctionExpression)$/.test(one.type)
    )
      return false
    if (WORD.test(textOf(one))) found.push(one)
    return true
  })
  return found
}

/** Texts that a user would read, outside of the catalogue. */
function writtenTexts(program: Node): Node[] {
  const found: Node[] = []
  visit(program, (node, parent) => {
    if (node.type === "JSXText" && WORD.test(textOf(node))) found.push(node)
    if (node.type === "JSXAttribute" && READ.test(String((node.name as Node).name)) && isNode(node.value))
      found.push(...literals(node.value))
    if (node.type === "JSXExpressionContainer" && parent?.type !== "JSXAttribute")
      found.push(...literals(node.expression as Node))
    return true
  })
  return found
}

/** Single texts that are read while the file loads, and so stay in the language of then. */
function heldTexts(program: Node): Node[] {
  const groups = new Map([["words", 1]])
  const found: Node[] = []
  const depth = (node: Node): number => {
    if (node.type === "Identifier")
      return groups.has(String(node.name)) ? (groups.get(String(node.name)) as number) : -9
    return node.type === "MemberExpression" ? depth(node.object as Node) + 1 : -9
  }
  for (const statement of program.body as Node[])
    visit(statement, (node) => {
      if (/Function|Class|^TS/.test(node.type)) return false
      if (node.type === "VariableDeclarator" && isNode(node.init) && depth(node.init) === 2) {
        groups.set(String((node.id as Node).name), 2)
        return false
      }
      if (node.type === "MemberExpression" && depth(node) > 2) found.push(node)
      return true
    })
  return found
}

/** Declarations and classes that place by left and right. Code runs from left to right always; `left: 50%` is the middle. */
function placed(name: string, code: string): string[] {
  const declaration =
    /^\s*(?:((?:margin|padding|border|scroll-margin)-(?:left|right)(?:-\w+)?|left|right)|text-align|float|inset|padding|margin):\s*([^;]+);$/
  return code.split("\n").flatMap((line, at) => {
    const here = `${name}:${at + 1} ${line.trim()}`
    if (name.endsWith(".tsx"))
      return /(?:"|\s)-?(?:m[lr]|p[lr]|left|right|text-left|text-right|border-[lr]|rounded-[lr])-?[\d[][^"]*"/.test(
        line,
      )
        ? [here]
        : []
    const [, physical, value = ""] = declaration.exec(line) ?? []
    // The safe areas of a device are physical.
    if (!value || value.includes("safe-area-inset-left") || value.endsWith("50%")) return []
    const [, end, , start] = value
      .replace(/\([^()]*(\([^()]*\)[^()]*)*\)/g, (one) => one.replaceAll(" ", ""))
      .split(/\s+/)
    const isUneven = start !== undefined && start !== end
    return physical || /^(left|right)$/.test(value) || isUneven ? [here] : []
  })
}

describe("the source files of the page", () => {
  const all = (look: (program: Node) => Node[], pattern: RegExp) =>
    files
      .filter((name) => pattern.test(name))
      .flatMap((name) => check(name, readFileSync(new URL(name, source), "utf8"), look))

  it("contain no user-visible text, which belongs to the catalogue", () => {
    expect(all(writtenTexts, /\.tsx$/)).toEqual([])
  })

  it("read no message outside of a function, where it would outlive a change of language", () => {
    expect(all(heldTexts, /\.tsx?$/)).toEqual([])
  })

  it("use no left and right, which right-to-left languages do not mirror", () => {
    const found = readdirSync(source, { recursive: true, encoding: "utf8" }).flatMap((name) =>
      /\.(css|tsx)$/.test(name) ? placed(name, readFileSync(new URL(name, source), "utf8")) : [],
    )
    expect(found).toEqual([])
  })

  it("are reported if they break a rule", () => {
    const written = `const a = (n) => <p title="Hello" aria-label={n ? words.a : "some"}>{n > 0 && "New"} Text <b>{n} · x</b></p>`
    expect(check("a.tsx", written, writtenTexts).length).toBe(4)
    const held = `const text = words.account\nconst all = [{ label: text.title }, { label: words.list.more }]\nconst b = () => text.title`
    expect(check("a.ts", held, heldTexts).length).toBe(2)
    expect(
      placed("a.css", "  right: 1rem;\n  inset: 0 auto auto 0;\n  padding: 0 1px 2px 1px;\n  left: 50%;")
        .length,
    ).toBe(2)
    expect(placed("a.tsx", `<p className="a mr-2">`).length).toBe(1)
  })
})
