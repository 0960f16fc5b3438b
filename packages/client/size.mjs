/**
 * Measures what a page carries: the packages as they are built, bundled and minified as an application would, then compressed.
 * Used by the tests, and by hand: `node size.mjs`.
 */
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { build } from "esbuild"

/** The size of one entry in bytes, compressed: at once, and of what is fetched only when asked for. */
export async function measure(entry, external = []) {
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    define: { "process.env.NODE_ENV": '"production"' },
    external,
    outdir: "out",
    write: false,
    metafile: true,
  })
  const sizes = new Map(
    outputFiles.map(({ path, contents }) => [
      path.split("/").at(-1),
      gzipSync(contents, { level: 9 }).length,
    ]),
  )
  const at = (path) => path.split("/").at(-1)
  const outputs = Object.entries(metafile.outputs)
  const [main] = outputs.find(
    ([, { entryPoint }]) => entryPoint && entry.endsWith(entryPoint.split("/").at(-1)),
  )
  const needed = new Set()
  const visit = (path) => {
    if (needed.has(path)) return
    needed.add(path)
    for (const { path: next, kind } of metafile.outputs[path]?.imports ?? []) {
      if (kind === "import-statement" && metafile.outputs[next]) visit(next)
    }
  }
  visit(main)
  let atOnce = 0
  let later = 0
  for (const [path] of outputs) {
    if (needed.has(path)) atOnce += sizes.get(at(path))
    else later += sizes.get(at(path))
  }
  return { atOnce, later }
}

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

export const measureClient = () => measure(here("src/index.ts"))
export const measureReact = () =>
  measure(here("../react/src/index.ts"), ["react", "react/jsx-runtime", "@lamplight/client"])

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const say = (name, { atOnce, later }) =>
    console.log(
      `${name}: ${(atOnce / 1024).toFixed(2)} KiB gzipped, and ${(later / 1024).toFixed(2)} KiB later`,
    )
  say("@lamplight/client with its Socket.IO transport", await measureClient())
  say("@lamplight/react", await measureReact())
}
