import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Browser, Page } from "playwright-core"
import { build, type PreviewServer, preview } from "vite"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { colours, differences, layout } from "./measure"
import { animationsEnd, canRun, frames, launch, until } from "./world"

const root = fileURLToPath(new URL("..", import.meta.url))
const baselines = new URL("design/", import.meta.url)

/**
 * The story page as it was: where each element stands and how large it is, by width, and which colours it has, by theme. Texts of numbers
 * rather than pictures: those of the whole page have 2 MB, differ between versions of the browser, and tell a reviewer less.
 */
const views = [
  { name: "layout-1280", width: 1280, measure: layout },
  { name: "layout-390", width: 390, measure: layout },
  { name: "colours-light", width: 1280, measure: colours },
  { name: "colours-dark", width: 1280, colorScheme: "dark", measure: colours },
  { name: "colours-forced", width: 1280, forcedColors: "active", measure: colours },
] as const

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

  it.each(views)("58: is what it was: $name", async ({ name, width, measure, ...media }) => {
    await page.setViewportSize({ width, height: 900 })
    await page.emulateMedia({ colorScheme: "light", forcedColors: "none", ...media })
    // Not over what a click has left it on.
    await page.mouse.move(0, 0)
    await frames(page)
    await animationsEnd(page)
    let now = await measure(page, "[data-story]")
    for (const overlay of overlays) {
      await page.locator(`[data-opens="${overlay}"]`).click()
      const shown = page.locator(
        '[role="dialog"], [role="alertdialog"], [role="menu"], dialog[open], [data-sonner-toast]',
      )
      await shown.first().waitFor()
      await page.mouse.move(0, 0)
      if (overlay === "emoji") await page.locator(".emoji-one").first().waitFor()
      await frames(page)
      await animationsEnd(page)
      now += await measure(
        page,
        '[role="dialog"], [role="alertdialog"], [role="menu"], dialog[open], [data-sonner-toast]',
      )
      if (overlay === "toast") await page.locator("[data-close-button]").click()
      else await page.keyboard.press("Escape")
      await expect.poll(() => shown.count()).toBe(0)
    }
    const at = new URL(`${name}.txt`, baselines)
    if (process.env.UPDATE) await writeFile(at, now)
    if (process.env.SHOTS) await shoot(page, `${process.env.SHOTS}/design-${name}.png`)
    expect(differences(await readFile(at, "utf8"), now)).toEqual([])
  })

  it("the production build knows nothing of the stories", async () => {
    const dist = new URL("../dist/", import.meta.url)
    const names = await readdir(dist, { recursive: true })
    expect(names).toContain("index.html")
    expect(names.filter((one) => /design/.test(one))).toEqual([])
    for (const name of names.filter((one) => one.endsWith(".js")))
      expect(await readFile(new URL(name, dist), "utf8")).not.toContain("data-story")
  })

  it("55: axe finds nothing on the story page", async () => {
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
