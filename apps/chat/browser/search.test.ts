import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canRun, launch, Person, resize, restore, Server, settled, until } from "./world"

describe.skipIf(!canRun)("search and permalinks", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha", { bypassCSP: true })).signUp()
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await asha.open(ben)
    await ben.open(asha)
    await asha.pour(160, (n) => (n === 20 ? "Der Bäcker on the ferry sells bread" : `Line ${n} of the log`))
    await ben.message("Line 159 ").waitFor()
  })
  afterEach(() => restore(asha))
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const hit = (text: string) => asha.on("hit").filter({ hasText: text })
  /** Searches until it is found: the index is a moment behind the log. */
  async function find(query: string, text: string): Promise<void> {
    await until(async () => {
      await asha.on("search").fill("")
      await asha.on("search").fill(query)
      await asha.page.locator('[data-testid="search-results"] [role="status"]:has-text("found")').waitFor()
      return (await hit(text).count()) > 0
    }, 60_000)
  }

  it("20: the search ignores case and diacritics, and a jump to a hit pages both ways without a gap", async () => {
    await find("backer FERR", "Bäcker")
    expect(await hit("Bäcker").locator("mark").allTextContents()).toEqual(["Bäcker", "ferry"])
    await asha.on("search").press("ArrowDown")
    await until(() => hit("Bäcker").evaluate((row) => row === document.activeElement))
    await asha.page.keyboard.press("Enter")
    const target = asha.message("Bäcker")
    await target.waitFor()
    await until(() => target.evaluate((row) => row === document.activeElement))
    const seen = new Set<number>()
    const rows = () =>
      asha.page.$$eval('[data-testid="message"]', (all) =>
        all.map((row) => Number((row as HTMLElement).dataset.seq)),
      )
    for (const [key, last] of [
      ["PageUp", 1],
      ["PageDown", 160],
    ] as const) {
      await asha.on("log").focus()
      while (!seen.has(last)) {
        await asha.page.keyboard.press(key)
        // The view has to rest, or two presses would skip rows.
        for (const seq of await settled(asha.page, rows)) seen.add(seq)
      }
    }
    expect(seen.size).toBe(160)
  })

  it("the keyboard opens the search, and Escape closes it", async () => {
    await asha.on("composer").focus()
    await asha.page.keyboard.press("Control+Shift+F")
    await until(async () => (await asha.focused()) === "search")
    await asha.on("search").fill("Ben")
    await asha.on("found-conversation").filter({ hasText: "Ben" }).waitFor()
    expect(await violations(asha.page)).toEqual([])
    await asha.page.keyboard.press("Escape")
    await asha.on("conversations").waitFor()
    expect(await asha.on("search").inputValue()).toBe("")
  })

  it("60: no hits, a failure and a busy server have different messages", async () => {
    await asha.on("search").fill("zzzyx")
    await asha.page.getByText("No results for").waitFor()
    expect(await violations(asha.page)).toEqual([])
    let refusal: object | null = { success: false, error: "It broke.", code: "internal", retryable: false }
    await asha.page.route("**/api/privatechat/search*", (route) =>
      refusal ? route.fulfill({ status: 500, json: refusal }) : route.continue(),
    )
    await asha.on("search").fill("bäcker")
    const retry = asha.page.locator(".state").getByRole("button", { name: "Try again" })
    await retry.waitFor()
    refusal = null
    await retry.click()
    await hit("Bäcker").waitFor()
    refusal = { success: false, error: "Wait.", code: "rate_limited", retryable: true, retryAfterMs: 300 }
    await asha.on("search").fill("bread")
    setTimeout(() => {
      refusal = null
    }, 1_000)
    await hit("Bäcker").locator("mark", { hasText: "bread" }).waitFor()
    await asha.page.getByRole("button", { name: "End the search" }).click()
  })

  it("a search in one conversation works on a phone too, and Back returns to the results", async () => {
    await resize(asha.page, 390, 844)
    await asha.on("search-here").click()
    await until(async () => (await asha.focused()) === "search")
    await asha.on("search").fill("bread")
    await hit("Bäcker").click()
    await asha.message("Bäcker").waitFor()
    await asha.on("back").click()
    await hit("Bäcker").waitFor()
    expect(await violations(asha.page)).toEqual([])
    await asha.page.getByRole("button", { name: "End the search" }).click()
  })

  it("19: a permalink jumps to its message, stays there, and reports a missing message", async () => {
    const id = await ben.conversationId()
    await ben.page.goto(`${server.url}/chat#/c/${id}/21`)
    const target = ben.message("Bäcker")
    await target.waitFor()
    await until(() => target.evaluate((row) => row === document.activeElement))
    // The address applies once: a reload starts as usual.
    await until(() => ben.page.evaluate(() => !location.hash.endsWith("/21")))
    const top = await target.evaluate((row) => row.getBoundingClientRect().top)
    // What could move it: fonts, pictures, pages on both sides, and a message that arrives at the end.
    await ben.page.evaluate(async () => {
      await document.fonts.ready
      const pictures = [...document.images].filter((one) => !one.complete)
      await Promise.all(
        pictures.map((one) => new Promise((done) => one.addEventListener("load", done, { once: true }))),
      )
    })
    await asha.page.evaluate(
      (conversationId) =>
        fetch("/api/privatechat/message", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ conversationId, content: "arrives meanwhile" }),
        }),
      id,
    )
    await ben.on("conversation-item").first().getByText("arrives meanwhile").waitFor()
    await settled(ben.page, () => ben.on("log").evaluate((log) => log.scrollHeight))
    expect(Math.abs((await target.evaluate((row) => row.getBoundingClientRect().top)) - top)).toBeLessThan(2)
    await ben.page.goto(`${server.url}/chat#/c/${id}/4000`)
    await ben.page.getByText("That message is not there").waitFor()
    await ben.page.goto(`${server.url}/chat#/c/987654321/3`)
    await ben.page.getByText("This conversation cannot be shown").waitFor()
    await ben.page.goto(`${server.url}/chat#/c/${id}`)
    await ben.on("composer").waitFor()
  })
})
