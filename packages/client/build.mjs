/**
 * Makes `dist`, a folder that can be published as it is: ESM and CommonJS with source maps, types for both, a bundle for a script tag, a
 * `package.json` whose exports lead to them, README and licences. Within the workspace nothing is built: `exports` in the folder's own `package.json` lead to `src`.
 */
import { execFileSync } from "node:child_process"
import { copyFile, readFile, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { build } from "esbuild"

/** Licences that the packages share, in the root of the repository. */
const LICENCES = ["LICENSE", "LICENSE-MIT", "LICENSE-APACHE"]

/** What is bundled in, each under the MIT licence, which asks to be handed on. */
const BUNDLED = ["engine.io-client", "engine.io-parser", "@socket.io/component-emitter"]

/**
 * Builds the package in `folder`. `entries` are its files of `src` that can be imported, `external` stays an import, everything else is
 * bundled in; `global` is the name of a bundle for a script tag.
 */
export async function buildPackage(
  folder,
  { entries = ["index"], external = [], bundled = [], global } = {},
) {
  const at = (path) => join(folder, path)
  await rm(at("dist"), { recursive: true, force: true })
  const common = {
    absWorkingDir: folder,
    bundle: true,
    platform: "browser",
    target: "es2022",
    sourcemap: true,
    external,
  }
  const entryPoints = entries.map((name) => `src/${name}.ts`)
  await build({ ...common, entryPoints, outdir: "dist", format: "esm", splitting: true })
  await build({ ...common, entryPoints, outdir: "dist/cjs", format: "cjs" })
  if (global) {
    const outfile = "dist/lamplight.min.js"
    const way = { format: "iife", globalName: global, minify: true }
    await build({ ...common, ...way, entryPoints: ["src/index.ts"], outfile })
  }
  const require = createRequire(at("package.json"))
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc")
  const flags = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--declarationMap", "false"]
  for (const outDir of ["dist", "dist/cjs"])
    execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json", ...flags, "--outDir", outDir], {
      cwd: folder,
      stdio: "inherit",
    })
  // Of what type a `.js` and a `.d.ts` are, the nearest `package.json` says.
  await writeFile(at("dist/cjs/package.json"), '{"type":"commonjs"}\n')
  const own = JSON.parse(await readFile(at("package.json"), "utf8"))
  const { private: _private, scripts: _scripts, devDependencies: _dev, ...rest } = own
  const published = { ...rest, ...entryFields(entries, global) }
  await writeFile(at("dist/package.json"), `${JSON.stringify(published, null, 2)}\n`)
  await copyFile(at("README.md"), at("dist/README.md"))
  for (const name of LICENCES) await copyFile(join(import.meta.dirname, "../..", name), at(`dist/${name}`))
  if (bundled.length === 0) return
  const licences = await Promise.all(
    bundled.map(
      async (name) => `${name}\n\n${await readFile(join(packageFolder(require, name), "LICENSE"), "utf8")}`,
    ),
  )
  await writeFile(at("dist/THIRD-PARTY-LICENSES"), licences.join("\n\n"))
}

/** How a package is found by `import`, `require`, TypeScript's resolutions, and tools that know of no `exports`. */
function entryFields(entries, global) {
  const files = (folder, name) => ({ types: `./${folder}${name}.d.ts`, default: `./${folder}${name}.js` })
  const exports = { "./package.json": "./package.json" }
  for (const name of entries) {
    const both = { import: files("", name), require: files("cjs/", name), default: `./${name}.js` }
    exports[name === "index" ? "." : `./${name}`] = both
  }
  const script = global ? { unpkg: "./lamplight.min.js", jsdelivr: "./lamplight.min.js" } : {}
  return { exports, main: "./cjs/index.js", module: "./index.js", types: "./index.d.ts", ...script }
}

/** Where a package lies, which its exports may not tell. */
function packageFolder(require, name) {
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return dirname(require.resolve(join(folder, name, "package.json")))
    } catch {}
  }
  throw new Error(`${name} is not installed.`)
}

if (process.argv[1] === import.meta.filename) {
  await buildPackage(import.meta.dirname, {
    entries: ["index", "svelte", "vue"],
    external: ["vue"],
    bundled: BUNDLED,
    global: "Lamplight",
  })
}
