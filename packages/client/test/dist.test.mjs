// F24: what is published, as its users load it: require() on old Nodes and in Jest, import, a script tag, and TypeScript's resolutions.
import { execFileSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { runInNewContext } from "node:vm"
import { afterAll, beforeAll, describe, expect, test } from "vitest"

const require = createRequire(import.meta.url)
const here = import.meta.dirname
const dist = (name) => join(here, "../../", name, "dist")
const manifest = (name) => JSON.parse(readFileSync(join(dist(name), "package.json"), "utf8"))

/** A project that has installed the packages. */
let project
const node = (file, text) => {
  writeFileSync(join(project, file), text)
  // Without require() of ESM, which Node has since 20.19 and 22.12.
  return execFileSync(process.execPath, ["--no-experimental-require-module", file], {
    cwd: project,
    encoding: "utf8",
  })
}

beforeAll(() => {
  for (const name of ["client", "react"])
    execFileSync(process.execPath, ["build.mjs"], { cwd: join(here, "../../", name), stdio: "inherit" })
  project = mkdtempSync(join(tmpdir(), "lamplight-dist-"))
  const modules = join(project, "node_modules")
  mkdirSync(join(modules, "@lamplight"), { recursive: true })
  mkdirSync(join(modules, "@types"))
  for (const name of ["client", "react"])
    cpSync(dist(name), join(modules, "@lamplight", name), { recursive: true })
  for (const name of ["react", "@types/react", "@types/react-dom", "csstype"])
    symlinkSync(dirname(require.resolve(`${name}/package.json`)), join(modules, name))
  writeFileSync(join(project, "package.json"), '{"private":true}')
}, 120_000)
afterAll(() => rmSync(project, { recursive: true, force: true }))

describe.each(["client", "react"])("F24 @lamplight/%s", (name) => {
  test("the package contains its README and licences", () => {
    const read = (file) => readFileSync(join(dist(name), file), "utf8")
    expect(read("README.md")).toContain(`# @lamplight/${name}`)
    for (const file of ["LICENSE", "LICENSE-MIT", "LICENSE-APACHE"]) expect(read(file)).not.toBe("")
    expect(manifest(name)).toMatchObject({ engines: { node: ">=20" }, keywords: expect.any(Array) })
  })

  test("every exported file exists, and types come first", () => {
    const { exports, main, module, types } = manifest(name)
    const paths = []
    const visit = (target) => {
      if (typeof target === "string") return paths.push(target)
      if ("types" in target) expect(Object.keys(target)[0]).toBe("types")
      for (const next of Object.values(target)) visit(next)
    }
    visit(exports)
    for (const path of [...paths, main, module, types])
      expect(existsSync(join(dist(name), path)), path).toBe(true)
    expect(JSON.parse(readFileSync(join(dist(name), "cjs/package.json"), "utf8"))).toEqual({
      type: "commonjs",
    })
  })
})

test("F24 require() works without require(esm), as in Jest", () => {
  const output = node(
    "use.cjs",
    `const { createLamplight, memoryStorage, LamplightError } = require("@lamplight/client")
     const { toSvelte } = require("@lamplight/client/svelte")
     const { useRoster, LamplightProvider } = require("@lamplight/react")
     const client = createLamplight({ url: "http://127.0.0.1:9", userId: "me", storage: memoryStorage() })
     toSvelte(client.connection).subscribe(({ status }) => console.log(status))
     client.doctor().then(({ findings }) => {
       console.log(findings.map(({ code }) => code).join())
       client.close()
       console.log(typeof useRoster, typeof LamplightProvider, new LamplightError({ code: "x", message: "", retryable: false }).code)
     })`,
  )
  expect(output.trim().split("\n")).toEqual(["idle", "offline", "closed", "function function x"])
})

test("F24 import has the same names", () => {
  const output = node(
    "use.mjs",
    `import * as client from "@lamplight/client"
     import * as svelte from "@lamplight/client/svelte"
     import { createRequire } from "node:module"
     const require = createRequire(import.meta.url)
     console.log(Object.keys(client).sort().join() === Object.keys(require("@lamplight/client")).sort().join())
     console.log(Object.keys(svelte).join())`,
  )
  expect(output).toBe("true\ntoSvelte\n")
})

test("F24 a script tag works", async () => {
  const { jsdelivr, unpkg } = manifest("client")
  expect(jsdelivr).toBe(unpkg)
  const text = readFileSync(join(dist("client"), unpkg), "utf8")
  const page = { setTimeout, clearTimeout, performance, AbortController, TextDecoder, URL, fetch, console }
  runInNewContext(text, page)
  const client = runInNewContext(
    'Lamplight.createLamplight({ url: "http://127.0.0.1:9", userId: "me" })',
    page,
  )
  expect(client.connection.get().status).toBe("idle")
  expect((await client.doctor()).findings.map(({ code }) => code)).toContain("offline")
  client.close()
})

test('F24 "use client" stands first in both builds of the hooks', () => {
  for (const file of ["index.js", "cjs/index.js"])
    expect(
      readFileSync(join(dist("react"), file), "utf8")
        .split("\n", 2)
        .join(),
    ).toContain('"use client"')
})

/** Checks a file of the project with TypeScript, as strict as it can be. */
function checkTypes(file, text, options) {
  writeFileSync(join(project, file), text)
  const compilerOptions = {
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    target: "es2022",
    lib: ["ES2023", "DOM"],
    types: [],
    ...options,
  }
  const settings = `tsconfig.${file}.json`
  writeFileSync(join(project, settings), JSON.stringify({ compilerOptions, files: [file] }))
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc")
  try {
    execFileSync(process.execPath, [tsc, "-p", settings], { cwd: project, encoding: "utf8" })
  } catch (thrown) {
    throw new Error(thrown.stdout)
  }
}

test.each([
  ["node16 from a CommonJS file", "use.cts", { module: "node16" }],
  ["node16 from an ES module", "use.mts", { module: "node16" }],
  ["bundler", "use.ts", { module: "esnext", moduleResolution: "bundler" }],
])("F24 %s finds the types", (_what, file, options) => {
  checkTypes(
    file,
    `import { createLamplight, type Lamplight } from "@lamplight/client"
     import { type ErrorCode, LamplightError } from "@lamplight/client"
     import { toSvelte } from "@lamplight/client/svelte"
     import { useRoster } from "@lamplight/react"
     export const isBusy = (thrown: unknown) => thrown instanceof LamplightError && thrown.code === "rate_limited"
     export const known: ErrorCode[] = ["offline", "LL-106", "of a later version"]
     const client: Lamplight = createLamplight({ userId: "me" })
     export const status: string = client.connection.get().status
     export const release: () => void = toSvelte(client.unread).subscribe(({ total }: { total: number }) => total)
     export const count = (): number => useRoster().count
     // @ts-expect-error there is no such option
     createLamplight({ nothing: 1 })`,
    options,
  )
})

describe("F24 the snippets of the READMEs compile", () => {
  const repository = join(here, "../../..")
  /** The blocks of code in a language of a page. */
  const blocks = (page, language) => {
    const text = readFileSync(join(repository, page), "utf8")
    const found = [...text.matchAll(new RegExp(`^ *\`\`\`${language}\n([^]*?)^ *\`\`\`$`, "gm"))]
    return found.map(([, code]) => code)
  }
  const bundler = { module: "esnext", moduleResolution: "bundler", jsx: "react-jsx" }

  test("README.md", () => {
    const pages = blocks("README.md", "tsx")
    expect(pages).toHaveLength(1)
    checkTypes("readme.tsx", pages[0], bundler)
  })

  test("packages/react/README.md", () => {
    const [page, ...parts] = blocks("packages/react/README.md", "tsx")
    expect(parts.length).toBeGreaterThan(0)
    // A part begins with hooks, and ends with JSX that it returns or maps to.
    const components = parts.map(
      (code, index) =>
        `export function Part${index}() {\n${code.replace(/^(\w+(\.\w+)*\.map)/m, "return $1")}\n}`,
    )
    const head = `import type { ReactElement } from "react"
      import { createLamplight, type Lamplight } from "@lamplight/client"
      import { LamplightProvider, useConversation, useDraft, useMarkRead, useMembers, useOutbox, useTyping, useUploads } from "@lamplight/react"
      declare const root: { render(page: ReactElement): void }
      declare function Chat(): ReactElement
      declare function SignIn(): ReactElement
      declare const id: string, userId: string`
    checkTypes("react-readme.tsx", [head, page, ...components, "export { Thread }"].join("\n"), bundler)
  })

  test("packages/client/README.md", () => {
    const [first, ...parts] = blocks("packages/client/README.md", "ts")
    expect(parts.length).toBeGreaterThan(0)
    const head = `import type { ConversationHandle, Lamplight, MessageRow } from "@lamplight/client"
      declare const conversation: ConversationHandle, id: string, image: HTMLImageElement
      declare const input: { files: [File] }
      declare const row: { message: NonNullable<MessageRow["message"]>; attachments: [MessageRow["attachments"][number]] }
      declare const io: (url: string, options: object) => import("@lamplight/client").SocketLike`
    checkTypes("client-readme-start.ts", first, bundler)
    const functions = parts.map(
      (code, index) => `export async function part${index}(lamplight: Lamplight) {\n${code}\n}`,
    )
    const imports = 'import { createLamplight } from "@lamplight/client"'
    checkTypes("client-readme.ts", [imports, head, ...functions].join("\n"), bundler)
  })
})
