// The scenario in Chromium, against the server at argv[2] over the transports of argv[3], from a page of another origin. Prints what failed
// and exits with 1, or prints "ok".
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { createServer } from "node:http"
import { launchChromium } from "../e2e/support/chromium.mjs"

const [url, mode] = process.argv.slice(2)
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium"
if (!existsSync(executablePath)) {
  console.error("chromium is not installed: run scripts/tools.sh in the repository's root first")
  process.exit(1)
}

const bundle = new URL("../../dist/socket.io.esm.min.js", import.meta.resolve("socket.io-client"))
const files = {
  "/": ["text/html", async () => "<!doctype html><title>socket.io-client</title>"],
  "/client.mjs": ["text/javascript", () => readFile(bundle)],
  "/scenario.mjs": ["text/javascript", () => readFile(new URL("scenario.mjs", import.meta.url))],
}
const pages = createServer(async (request, response) => {
  const [type, content] = files[request.url] ?? []
  response.writeHead(type ? 200 : 404, { "content-type": type ?? "text/plain" })
  response.end(await content?.())
})
await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve))

const browser = await launchChromium({ executablePath })
try {
  const page = await browser.newPage()
  page.setDefaultTimeout(30_000)
  await page.goto(`http://127.0.0.1:${pages.address().port}/`)
  await page.evaluate(
    async ([url, mode]) => {
      const { io } = await import("/client.mjs")
      const { scenario } = await import("/scenario.mjs")
      const late = new Promise((_, reject) => setTimeout(() => reject(new Error("took too long")), 25_000))
      await Promise.race([scenario(io, url, mode), late])
    },
    [url, mode],
  )
  console.log("ok")
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await browser.close()
  pages.close()
}
