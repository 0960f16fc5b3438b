import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Page } from "playwright-core"
import { colourPng } from "../../../tests/e2e/support/media.mjs"
import { frames } from "./world"

/** Pictures are compared at a quarter of their size, where the drawing of letters, which differs between browsers, is a mere grey. */
const SHRINK = 4
/** The colours of a stored picture have steps, which halves the file. */
const STEP = 16
/** A pixel differs when a channel is further than this from all pixels around the same place in the other picture. */
const FAR = STEP / 2 + 7
/** The pictures are judged by squares of so many pixels a side, and so many pixels of each may differ. */
const SQUARE = 12
const FEW = 3
/** Native controls and system fonts are not compared. */
const FOREIGN = ".bubble[data-emoji], .reaction, .action-bar { visibility: hidden !important }"

/** Three bytes a pixel: red, green, blue. */
export interface Picture {
  width: number
  height: number
  data: Uint8Array
}

/** Compares the page with its picture in the repository, or writes that. Returns the differences and the paths of their pictures. */
export async function differsFrom(at: URL, page: Page, folder: string): Promise<string[]> {
  const now = await shrunk(page)
  if (process.env.UPDATE) await writeFile(at, png(stepped(now)))
  const was = await decode(page, (await readFile(at)).toString("base64"))
  const { found, shown } = compare(was, now)
  if (found.length === 0) return []
  const name = /([^/]+)\.png$/.exec(at.pathname)?.[1]
  await mkdir(folder, { recursive: true })
  for (const [kind, one] of Object.entries({ old: was, new: now, difference: shown }))
    await writeFile(join(folder, `${name}-${kind}.png`), png(one))
  return [...found, `See ${name}-old.png, ${name}-new.png and ${name}-difference.png in ${folder}`]
}

/** The whole page, which scrolls within itself, at its smaller size. */
async function shrunk(page: Page): Promise<Picture> {
  const { width, height } = page.viewportSize() ?? { width: 1280, height: 900 }
  const whole = await page.evaluate(() => document.querySelector(".stories")?.scrollHeight ?? 0)
  await page.setViewportSize({ width, height: whole })
  const hidden = await page.addStyleTag({ content: FOREIGN })
  await frames(page)
  // Not compressed: the file is read at once.
  const session = await page.context().newCDPSession(page)
  const { data: full } = await session.send("Page.captureScreenshot", { optimizeForSpeed: true })
  await session.detach()
  await hidden.evaluate((style) => style.parentNode?.removeChild(style))
  await page.setViewportSize({ width, height })
  return decode(page, full, SHRINK)
}

/** The pixels of a PNG in base64, of which each is the average of `shrink` × `shrink`. The browser does it well, and fast. */
async function decode(page: Page, png: string, shrink = 1): Promise<Picture> {
  const { width, height, pixels } = await page.evaluate(
    async ([data, by]) => {
      const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob())
      const [w, h] = [Math.round(bitmap.width / by), Math.round(bitmap.height / by)]
      const context = new OffscreenCanvas(w, h).getContext("2d") as OffscreenCanvasRenderingContext2D
      context.imageSmoothingQuality = "high"
      context.drawImage(bitmap, 0, 0, w, h)
      const rgb = context.getImageData(0, 0, w, h).data.filter((_, n) => n % 4 < 3)
      let text = ""
      for (let n = 0; n < rgb.length; n += 30_000) text += String.fromCharCode(...rgb.subarray(n, n + 30_000))
      return { width: w, height: h, pixels: btoa(text) }
    },
    [png, shrink] as const,
  )
  return { width, height, data: Buffer.from(pixels, "base64") }
}

const png = ({ width, height, data }: Picture) => colourPng(width, height, data)

const stepped = (picture: Picture): Picture => ({
  ...picture,
  data: picture.data.map((one) => Math.min(255, Math.round(one / STEP) * STEP)),
})

/** Whether the colour of `a` at a place is none of those that `b` has around it, nor between them. */
function isFar(a: Picture, b: Picture, x: number, y: number): boolean {
  for (let channel = 0; channel < 3; channel += 1) {
    let [low, high] = [255, 0]
    for (let v = Math.max(0, y - 1); v <= Math.min(b.height - 1, y + 1); v += 1)
      for (let u = Math.max(0, x - 1); u <= Math.min(b.width - 1, x + 1); u += 1) {
        const one = b.data[(v * b.width + u) * 3 + channel] as number
        low = Math.min(low, one)
        high = Math.max(high, one)
      }
    const value = a.data[(y * a.width + x) * 3 + channel] as number
    if (value < low - FAR || value > high + FAR) return true
  }
  return false
}

/** The squares that differ, in px of the page, and the new picture in grey with what differs in red. */
export function compare(was: Picture, now: Picture): { found: string[]; shown: Picture } {
  const width = Math.min(was.width, now.width)
  const height = Math.min(was.height, now.height)
  const counts = new Map<string, number>()
  const shown = { width, height, data: new Uint8Array(width * height * 3) }
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const isSame = !isFar(was, now, x, y) && !isFar(now, was, x, y)
      const grey = 128 + (now.data[(y * now.width + x) * 3 + 1] as number) / 2
      shown.data.set(isSame ? [grey, grey, grey] : [220, 0, 40], (y * width + x) * 3)
      if (isSame) continue
      const [left, top] = [x, y].map((one) => Math.floor(one / SQUARE) * SQUARE * SHRINK)
      counts.set(`${left}, ${top}`, (counts.get(`${left}, ${top}`) ?? 0) + 1)
    }
  const found = [...counts].flatMap(([place, count]) => (count > FEW ? [`Differs at ${place}`] : []))
  if (Math.abs(was.width - now.width) > 1 || Math.abs(was.height - now.height) > 1)
    found.unshift(`Was ${was.width} × ${was.height}, is ${now.width} × ${now.height}`)
  return { found, shown }
}
