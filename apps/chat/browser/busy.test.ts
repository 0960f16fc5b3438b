import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { canRun, closeOthers, launch, Person, Server } from "./world"

describe.skipIf(!canRun)("a busy user", () => {
  let browser: Browser
  const server = new Server()

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
  })
  afterEach(() => closeOthers(browser))
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  it("F33: no tab notifies a busy user, and the next message after that is notified", async () => {
    const asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    const ben = await Person.arrive(browser, server, "Ben")
    // Counts tones over all tabs.
    await ben.context.addInitScript(() => {
      const start = OscillatorNode.prototype.start
      OscillatorNode.prototype.start = function (when) {
        localStorage.setItem("tones", `${Number(localStorage.getItem("tones") ?? 0) + 1}`)
        start.call(this, when)
      }
    })
    await ben.page.reload()
    await ben.signUp()
    const tones = () => ben.page.evaluate(() => localStorage.getItem("tones"))
    const menu = ben.page.locator('[data-testid="status-menu"]:visible')
    const choose = async (status: "online" | "busy") => {
      await menu.click()
      await ben.on(`status-${status}`).click()
      await expect.poll(() => ben.on(`status-${status}`).getAttribute("aria-pressed")).toBe("true")
      await ben.page.keyboard.press("Escape")
    }
    await choose("busy")
    const tab = await ben.context.newPage()
    await tab.goto(`${server.url}/chat`)
    const other = tab.locator('[data-testid="status-menu"]:visible')
    await other.filter({ hasText: "Busy" }).waitFor()
    // Both tabs may make sounds once they were used.
    for (const page of [ben.page, tab]) await page.mouse.click(700, 400)
    await asha.open(ben)
    await asha.say("while busy")
    for (const page of [ben.page, tab])
      await page.locator('[data-testid="conversation-item"]').filter({ hasText: "while busy" }).waitFor()
    await choose("online")
    // The other tab follows, although the status was chosen elsewhere.
    await other.filter({ hasText: "Online" }).waitFor()
    await asha.say("no longer busy")
    await expect.poll(tones).toBe("2")
    expect([...asha.complaints, ...ben.complaints]).toEqual([])
  })
})
