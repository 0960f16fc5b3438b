import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Browser, Page } from "playwright-core"
import { build, type PreviewServer, preview } from "vite"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { colours, differences, layout } from "./measure"
import { compare, differsFrom, type Picture } from "./pictures"
import { animationsEnd, canRun, frames, launch, until } from "./world"

const root = fileURLToPath(new URL("..", import.meta.url))
const baselines = new URL("design/", import.meta.url)

/**
 * The reference of the story page. Texts have the position and size of each element, by width, and its colours, by theme, so that a
 * difference is readable. Small pictures of the whole page cover what the numbers do not.
 */
const views = [
  { name: "light", width: 1280, texts: ["layout-1280", "colours-light"], hasPicture: true },
  { name: "phone", width: 390, texts: ["layout-390"], hasPicture: true },
  { name: "dark", width: 1280, colorScheme: "dark", texts: ["colours-dark"], hasPicture: true },
  { name: "forced", width: 1280, forcedColors: "active", texts: ["colours-forced"], hasPicture: false },
] as const
const SHOWN = '[role="dialog"], [role="alertdialog"], [role="menu"], dialog[open], [data-sonner-toast]'

/** The folder for pictures that differ. */
const failures = join(tmpdir(), "lamplight-design-failures")

const overlays = ["dialog", "question", "deletion", "conversation menu", "status menu", "emoji", "toast"]

describe.skipIf(!canRun)("the design of each part, in each state", () => {
  let browser: Browser
  let server: PreviewServer
  let folder = ""
  let page: Page

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lamplight-design-"))
    const outDir = join(folder, "dist")
    const common = { root, mode: "design", logLevel: "error", build: { outDir, emptyOutDir: true } } as const
    ;[browser] = await Promise.all([launch("--font-render-hinting=none"), build(common)])
    server = await preview({ ...common, preview: { port: 0, host: "127.0.0.1" } })
    const context = await browser.newContext({
      bypassCSP: true,
      locale: "en-GB",
      timezoneId: "UTC",
      reducedMotion: "reduce",
      viewport: { width: 1280, height: 900 },
    })
    page = await context.newPage()
    await page.clock.setFixedTime(Date.UTC(2026, 5, 12, 14, 5))
    // All emoji are data of a package: the picker is shown while it waits for them.
    await page.route("**/assets/emoji-*/**", () => {})
    const failed: string[] = []
    page.on("pageerror", ({ message }) => failed.push(message))
    await page.goto(`${server.resolvedUrls?.local[0]?.replace(/\/chat\/?$/, "")}/chat/design.html`)
    await page.locator("[data-story]").first().waitFor()
    // What loads when it is used is there: files and the composer's tray.
    await page.locator('[data-case="file"] .file-line').waitFor()
    await page.locator('[data-testid="upload"]').first().waitFor()
    // Pictures load when they come into view.
    await page.locator(".picture-button").last().scrollIntoViewIfNeeded()
    await until(async () => (await page.locator('.picture-button[data-state="shown"]').count()) === 4)
    await page.evaluate(() => document.fonts.ready)
    expect(failed).toEqual([])
  })
  afterAll(async () => {
    await browser?.close()
    await new Promise((resolve) => server?.httpServer.close(resolve))
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  it.each(views)(
    "58: the design matches its reference: $name",
    async ({ name, width, texts, hasPicture, ...media }) => {
      await page.setViewportSize({ width, height: 900 })
      await page.emulateMedia({ colorScheme: "light", forcedColors: "none", ...media })
      // Move the pointer away from the clicked element.
      await page.mouse.move(0, 0)
      const measures = texts.map((text) => (text.startsWith("layout") ? layout : colours))
      const all = async (roots: string) => {
        await frames(page)
        await animationsEnd(page)
        return Promise.all(measures.map((measure) => measure(page, roots)))
      }
      let now = await all("[data-story]")
      const found = hasPicture ? await differsFrom(new URL(`${name}.png`, baselines), page, failures) : []
      if (process.env.SHOTS) await shoot(page, `${process.env.SHOTS}/design-${name}.png`)
      for (const overlay of overlays) {
        await page.locator(`[data-opens="${overlay}"]`).click()
        const shown = page.locator(SHOWN)
        await shown.first().waitFor()
        await page.mouse.move(0, 0)
        if (overlay === "emoji") await page.locator(".emoji-one").first().waitFor()
        const more = await all(SHOWN)
        now = now.map((text, n) => text + more[n])
        if (overlay === "toast") await page.locator("[data-close-button]").click()
        else await page.keyboard.press("Escape")
        await expect.poll(() => shown.count()).toBe(0)
      }
      for (const [n, text] of texts.entries()) {
        const at = new URL(`${text}.txt`, baselines)
        if (process.env.UPDATE) await writeFile(at, now[n] ?? "")
        found.push(...differences(await readFile(at, "utf8"), now[n] ?? ""))
      }
      expect(found).toEqual([])
    },
  )

  it("the comparison reports a part that is missing, moved by 8 px or of another colour, and tolerates small differences", () => {
    /** A light page with a button of 120 × 40 px, at a quarter of its size. */
    const drawn = (left: number, colour: readonly number[]) => {
      const data = new Uint8Array(100 * 60 * 3).fill(250)
      for (let y = 20; y < 30; y += 1)
        for (let x = left; x < left + 30; x += 1) data.set(colour, (y * 100 + x) * 3)
      return { width: 100, height: 60, data }
    }
    const amber = [240, 176, 48]
    const found = (picture: Picture) => compare(drawn(40, amber), picture).found
    expect(found(drawn(40, [250, 250, 250]))).not.toEqual([])
    expect(found(drawn(42, amber))).not.toEqual([])
    expect(found(drawn(40, [240, 150, 48]))).not.toEqual([])
    expect(found({ ...drawn(40, amber), height: 58 })).toContain("Was 100 × 60, is 100 × 58")
    expect(found(drawn(41, [246, 170, 54]))).toEqual([])
  })

  it("the production build contains no stories", async () => {
    const dist = new URL("../dist/", import.meta.url)
    const names = await readdir(dist, { recursive: true })
    expect(names).toContain("index.html")
    expect(names.filter((one) => /design/.test(one))).toEqual([])
    for (const name of names.filter((one) => one.endsWith(".js")))
      expect(await readFile(new URL(name, dist), "utf8")).not.toContain("data-story")
  })

  it("55: the story page has no axe violations", async () => {
    await page.emulateMedia({ colorScheme: "light", forcedColors: "none" })
    expect(await violations(page)).toEqual([])
  })
})

/** The whole page, which scrolls within itself. */
async function shoot(page: Page, path: string): Promise<void> {
  const { width = 1280, height = 900 } = page.viewportSize() ?? {}
  await page.setViewportSize({
    width,
    height: await page.evaluate(() => document.querySelector(".stories")?.scrollHeight ?? 900),
  })
  await page.screenshot({ path })
  await page.setViewportSize({ width, height })
}
