/**
 * Draws the icons of the installed page from the favicon, with Chromium (CHROMIUM, or where Debian has it): `npm run icons -w apps/chat`.
 * They are committed, since a build has no browser.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { chromium } from "playwright-core"

const source = await readFile(new URL("../src/favicon.svg", import.meta.url), "utf8")
const folder = new URL("../public/icons/", import.meta.url)
const ground = /<rect[^>]*\/>/
const color = /<rect[^>]*fill="([^"]+)"/.exec(source)?.[1]
if (!color) throw new Error("the favicon has no ground")

/** The lamp alone, in `part` of the width. */
const lamp = (part, paint = (svg) => svg) => {
  const size = 32 / part
  const margin = (size - 32) / 2
  return paint(source)
    .replace(ground, "")
    .replace('viewBox="0 0 32 32"', `viewBox="${-margin} ${-margin} ${size} ${size}"`)
}
/** Without corners: the system cuts its own shape out, of which the inner 80 % are always left. */
const full = (part) => ({ svg: lamp(part), background: color })
/** Android takes the shape alone. */
const white = (svg) => svg.replace(/fill="#[0-9a-f]+"/g, 'fill="#fff"')

const icons = {
  "icon-192.png": { size: 192, svg: source },
  "icon-512.png": { size: 512, svg: source },
  "maskable-512.png": { size: 512, ...full(0.72) },
  "apple-touch-icon.png": { size: 180, ...full(0.86) },
  "badge-96.png": { size: 96, svg: lamp(1, white) },
}

await mkdir(folder, { recursive: true })
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu"],
})
for (const [name, { size, svg, background = "transparent" }] of Object.entries(icons)) {
  const page = await browser.newPage({ viewport: { width: size, height: size } })
  await page.setContent(
    `<style>body{margin:0;background:${background}}svg{display:block;width:100vw;height:100vh}</style>${svg}`,
  )
  await writeFile(new URL(name, folder), await page.screenshot({ omitBackground: true }))
  await page.close()
}
await browser.close()
