/** No file of the packages or the page may import itself through others, not even for a type: what two files share has a file of its own. */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { expect, test } from "vitest"

const ROOT = resolve(import.meta.dirname, "../../..")

/** What each file imports by a relative path, by any form of import or export, types included. */
type Imports = Map<string, string[]>

const SOURCE = /\.(ts|tsx|js|mjs)$/
/** The path after `from`, in `import "./a"`, in `import("./a")` and in `typeof import("./a")`. */
const SPECIFIER = /\b(?:from|import)\s*\(?\s*["'](\.[^"']*)["']/g

function readImports(folder: string): Imports {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => SOURCE.test(path))
    .map((path) => join(folder, path))
  const known = new Set(files)
  return new Map(
    files.map((file) => {
      const paths = [...readFileSync(file, "utf8").matchAll(SPECIFIER)].map(([, path]) =>
        resolve(dirname(file), path as string),
      )
      const targets = paths.flatMap((path) => {
        const stem = path.replace(/\.js$/, "")
        const names = [path, `${stem}.ts`, `${stem}.tsx`, `${path}.ts`, `${path}.tsx`, join(path, "index.ts")]
        return names.filter((name) => known.has(name)).slice(0, 1)
      })
      return [file, targets]
    }),
  )
}

/** The first cycle found, as the files on it; null if there is none. */
function findCycle(imports: Imports): string[] | null {
  const done = new Set<string>()
  const path: string[] = []
  function visit(file: string): string[] | null {
    const at = path.indexOf(file)
    if (at >= 0) return [...path.slice(at), file]
    if (done.has(file)) return null
    path.push(file)
    for (const next of imports.get(file) ?? []) {
      const cycle = visit(next)
      if (cycle) return cycle
    }
    path.pop()
    done.add(file)
    return null
  }
  for (const file of imports.keys()) {
    const cycle = visit(file)
    if (cycle) return cycle
  }
  return null
}

for (const folder of ["packages/client/src", "packages/react/src", "apps/chat/src"]) {
  test(`no file of ${folder} imports itself through others`, () => {
    const imports = readImports(join(ROOT, folder))
    // A pattern that finds nothing would find no cycle either.
    expect([...imports.values()].flat().length).toBeGreaterThan(imports.size / 2)
    const cycle = findCycle(imports)
    expect(cycle?.map((file) => relative(ROOT, file)).join(" -> ") ?? "").toBe("")
  })
}

test("a cycle is found, and a shared import is not a cycle", () => {
  const diamond = new Map([
    ["a", ["b", "c"]],
    ["b", ["d"]],
    ["c", ["d"]],
    ["d", []],
  ])
  expect(findCycle(diamond)).toBeNull()
  expect(findCycle(new Map([...diamond, ["d", ["c"]]]))).toEqual(["d", "c", "d"])
  expect(findCycle(new Map([["a", ["a"]]]))).toEqual(["a", "a"])
})

test("every form of import is counted", () => {
  const source = `import type { A } from "./a.js"
import { type B } from './b'
import "./c.css"
export * from "./d.js"
export type {
  E,
} from "./e.js"
const f = await import("./f.js")
type G = import("./g.js").G
import { none } from "elsewhere"`
  const found = [...source.matchAll(SPECIFIER)].map(([, path]) => path)
  expect(found).toEqual(["./a.js", "./b", "./c.css", "./d.js", "./e.js", "./f.js", "./g.js"])
})
