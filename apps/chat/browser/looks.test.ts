import { readdir, readFile } from "node:fs/promises"
import { gzipSync } from "node:zlib"
import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canRun, launch, Person, phone, Server, until } from "./world"

it("59: the script stays within 185 kB gzipped", async () => {
  const assets = new URL("../dist/assets/", import.meta.url)
  let bytes = 0
  for (const name of await readdir(assets)) {
    if (name.endsWith(".js")) bytes += gzipSync(await readFile(new URL(name, assets))).length
  }
  expect(bytes).toBeGreaterThan(0)
  expect(bytes).toBeLessThanOrEqual(185 * 1024)
})

describe.skipIf(!canRun)("how the page behaves to hand, ear and eye", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (
      await Person.arrive(browser, server, "Asha", { bypassCSP: true, reducedMotion: "reduce" })
    ).signUp()
    ben = await (await Person.arrive(browser, server, "Ben", { bypassCSP: true })).signUp()
    await asha.open(ben)
    await asha.pour(230, (n) => `Line ${n}. ${"More of the same, to make it longer. ".repeat(n % 4)}`)
    await asha.page.reload()
    await asha.message("Line 229.").waitFor()
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  it("12: older pages come without moving what is read by more than a pixel", async () => {
    // The pages take a moment, so that there is something being read when they come.
    await asha.page.route(/messages\/.*before=/, async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 400))
      await route.continue()
    })
    for (const from of [150, 0]) {
      const moved = await asha.page.evaluate(async (top) => {
        const log = document.querySelector<HTMLElement>('[data-testid="log"]')
        if (!log) throw new Error("no log")
        const frames = (n: number) =>
          new Promise<void>((done) => {
            const step = (left: number) => (left ? requestAnimationFrame(() => step(left - 1)) : done())
            step(n)
          })
        const before = log.scrollHeight
        log.scrollTop = top
        await frames(8)
        const edge = log.getBoundingClientRect().top + 20
        const read = [...log.querySelectorAll<HTMLElement>('[data-testid="message"]')].find(
          (row) => row.getBoundingClientRect().top > edge,
        )
        const at = read?.getBoundingClientRect().top ?? 0
        let most = 0
        for (let i = 0; i < 60; i += 1) {
          await frames(1)
          const row = log.querySelector(`[data-key="${read?.dataset.key}"]`)
          most = Math.max(
            most,
            row ? Math.abs(row.getBoundingClientRect().top - at) : Number.POSITIVE_INFINITY,
          )
        }
        return { most, grew: log.scrollHeight > before + 500 }
      }, from)
      expect(moved.grew).toBe(true)
      expect(moved.most).toBeLessThanOrEqual(1)
    }
    await asha.page.unroute(/messages\/.*before=/)
  })

  it("14 16 23: scrolled up, nothing moves and a pill counts; one step leads to the end", async () => {
    const place = () =>
      asha.page.evaluate(() => document.querySelector('[data-testid="log"]')?.scrollTop ?? -1)
    const before = await place()
    await ben.on("conversation-item").first().click()
    await ben.say("while you were reading")
    await asha.on("to-end").filter({ hasText: "1 new message" }).waitFor()
    expect(await place()).toBe(before)
    await asha.on("to-end").click()
    await asha.message("while you were reading").waitFor()
    await until(async () => (await asha.on("to-end").count()) === 0)
    expect(await asha.page.locator(".log-row").count()).toBeLessThan(120)
  })

  it("15: who is at the end stays there when the window changes", async () => {
    const gap = () =>
      asha.page.evaluate(() => {
        const log = document.querySelector('[data-testid="log"]')
        return log ? log.scrollHeight - log.clientHeight - log.scrollTop : -1
      })
    await asha.page.setViewportSize({ width: 1360, height: 500 })
    await until(async () => Math.abs(await gap()) <= 2)
    await asha.on("composer").fill("a\nb\nc\nd\ne")
    await until(async () => Math.abs(await gap()) <= 2)
    await asha.on("composer").fill("")
    await asha.page.setViewportSize({ width: 1000, height: 860 })
    await until(async () => Math.abs(await gap()) <= 2)
    await asha.page.setViewportSize({ width: 1360, height: 860 })
  })

  it("52 53: one Tab stop a list, arrows within, Enter in, Esc out, F6 between panels", async () => {
    const { keyboard } = asha.page
    await asha.on("composer").focus()
    await keyboard.press("Escape")
    await until(async () => (await asha.focused()) === "conversation-item")
    await keyboard.press("Enter")
    await until(async () => (await asha.focused()) === "composer")
    await keyboard.press("F6")
    expect(await asha.focused()).toBe("people-search")
    await keyboard.press("ArrowDown")
    expect(await asha.focused()).toBe("online-user")
    await keyboard.press("F6")
    expect(await asha.focused()).toBe("conversation-item")
    await keyboard.press("Shift+F6")
    expect(await asha.focused()).toBe("people-search")
    await asha.on("composer").focus()
    await keyboard.press("Tab")
    expect(await asha.focused()).toBe("send")
    await asha.on("log").focus()
    await keyboard.press("ArrowUp")
    await until(async () => (await asha.focused()) === "message")
  })

  it("33: copying over several messages keeps order, name and time", async () => {
    if ((await asha.on("to-end").count()) > 0) await asha.on("to-end").click()
    await asha.message("Line 228.").waitFor()
    const copied = await asha.page.evaluate(() => {
      const rows = [
        ...document.querySelectorAll<HTMLElement>('[data-testid="message"] [data-content]'),
      ].slice(-3)
      getSelection()?.setBaseAndExtent(rows[0] as Node, 0, rows[2] as Node, 1)
      const data = new DataTransfer()
      rows[0]?.dispatchEvent(
        new ClipboardEvent("copy", { clipboardData: data, bubbles: true, cancelable: true }),
      )
      getSelection()?.removeAllRanges()
      return data.getData("text/plain")
    })
    const order = ["Line 228.", "Line 229.", "while you were reading"].map((text) => copied.indexOf(text))
    expect(order.every((at) => at >= 0)).toBe(true)
    expect([...order].sort((a, b) => a - b)).toEqual(order)
    expect(copied).toMatch(/You, .*:\n/)
    expect(copied).toContain(`${ben.name}, `)
  })

  it("59: switching the conversation takes less than 150 ms", async () => {
    const cleo = await (await Person.arrive(browser, server, "Cleo")).signUp()
    await asha.open(cleo)
    await asha.say("hello")
    const took = await asha.page.evaluate(async (id) => {
      const began = performance.now()
      document
        .querySelector<HTMLElement>(`[data-testid="conversation-item"][data-user-id]:not([aria-current])`)
        ?.click()
      while (document.querySelectorAll('[data-testid="message"]').length < 5) {
        if (performance.now() - began > 5_000) throw new Error(`the thread of ${id} did not come`)
        await new Promise(requestAnimationFrame)
      }
      return performance.now() - began
    }, "Ben")
    expect(took).toBeLessThan(150)
    await cleo.close()
  })

  it("58: the theme is known before the first paint and can be chosen", async () => {
    await asha.page.locator('[data-testid="status-menu"]:visible').click()
    await asha.on("theme-dark").click()
    await asha.page.keyboard.press("Escape")
    await asha.page.reload({ waitUntil: "commit" })
    await asha.page.waitForSelector("body", { state: "attached" })
    expect(await asha.page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark")
    await asha.page.locator('[data-testid="status-menu"]:visible').waitFor()
    expect(await violations(asha.page)).toEqual([])
    await asha.page.locator('[data-testid="status-menu"]:visible').click()
    await asha.on("theme-system").click()
    expect(await violations(asha.page)).toEqual([])
    await asha.page.keyboard.press("Escape")
  })

  it("60: a conversation that is not one's own is not shown, and says so", async () => {
    await asha.page.evaluate(() => {
      location.hash = "#/c/no-such-conversation"
    })
    await asha.page.getByText("This conversation cannot be shown").waitFor()
    expect(await violations(asha.page)).toEqual([])
    await asha.page.getByRole("button", { name: "Back to conversations" }).last().click()
  })

  it("55: axe finds nothing: sign-in, list, thread, phone", async () => {
    const stranger = await Person.arrive(browser, server, "Stranger", { bypassCSP: true, ...phone })
    await stranger.on("signin-form").waitFor()
    expect(await violations(stranger.page)).toEqual([])
    await stranger.signUp()
    expect(await violations(stranger.page)).toEqual([])
    await stranger.page.getByRole("button", { name: "People" }).click()
    await stranger.on("online-user").first().waitFor()
    expect(await violations(stranger.page)).toEqual([])
    await stranger.on("online-user").first().click()
    await stranger.on("composer").waitFor()
    expect(await violations(stranger.page)).toEqual([])
    await ben.on("message").first().waitFor()
    expect(await violations(ben.page)).toEqual([])
    await ben.page.setViewportSize({ width: 900, height: 700 })
    await ben.page.getByRole("button", { name: "Show people" }).click()
    await ben.page.waitForTimeout(400)
    expect(await violations(ben.page)).toEqual([])
    await stranger.close()
  })
})
