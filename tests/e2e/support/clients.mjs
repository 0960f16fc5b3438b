// Real instances of @lamplight/client, outside a browser.
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { build } from "esbuild"
import { WebSocket } from "ws"

const SOURCE = fileURLToPath(new URL("../../../packages/client/src/index.ts", import.meta.url))

/** The client as an application would bundle it. */
export async function client() {
  globalThis.WebSocket ??= WebSocket
  const folder = await mkdtemp(join(tmpdir(), "lamplight-client-"))
  const outfile = join(folder, "client.mjs")
  await build({
    entryPoints: [SOURCE],
    outfile,
    bundle: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    logLevel: "error",
  })
  const module = await import(pathToFileURL(outfile).href)
  await rm(folder, { recursive: true, force: true })
  return module
}
