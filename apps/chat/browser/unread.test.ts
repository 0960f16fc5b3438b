import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { canRun, launch, Person, Server, until } from "./world"

describe.skipIf(!canRun)("more unread than is fetched at once", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    ben = await (await Person.arrive(browser, server, "Ben", { reducedMotion: "reduce" })).signUp()
    await asha.open(ben)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const marked = () =>
    ben.page.evaluate(async () => {
      const answer = await fetch("/api/privatechat/conversations")
      return (await answer.json()).data[0].unread as number
    })

  it("21 22: is not taken for read, and one step leads to the first of it", async () => {
    await asha.pour(320, (n) => `Line ${n}.`)
    await ben.on("conversation-item").first().click()
    await ben.message("Line 319.").waitFor()
    await ben.on("to-unread").filter({ hasText: "320 unread" }).waitFor()
    await ben.page.mouse.move(600, 400)
    await ben.page.waitForTimeout(1_500)
    expect(await marked()).toBe(320)
    expect(await ben.on("unread").first().innerText()).toContain("320")

    await ben.on("to-unread").click()
    await ben.on("unread-divider").waitFor({ timeout: 15_000 })
    await ben.message("Line 0.").waitFor()
    await until(async () => (await ben.on("to-unread").count()) === 0)
    const place = await ben.on("unread-divider").boundingBox()
    const log = await ben.on("log").boundingBox()
    expect((place?.y ?? 0) - (log?.y ?? 0)).toBeLessThan(120)
    // What has come into view is read, and no more.
    await until(async () => (await marked()) < 320)
    expect(await marked()).toBeGreaterThan(250)
    await ben.on("to-end").filter({ hasText: "new messages" }).click()
    await until(async () => (await marked()) === 0)
  })

  it("can be let be", async () => {
    await ben.page.evaluate(() => {
      location.hash = "#/"
    })
    await asha.pour(280, (n) => `More ${n}.`)
    // What is unread was fetched while it came; a page that comes anew has only the last of it.
    await ben.page.reload()
    await ben.on("conversation-item").first().click()
    await ben.message("More 279.").waitFor()
    await ben.on("to-unread").filter({ hasText: "280 unread" }).waitFor()
    await ben.page.getByRole("button", { name: "Mark all as read" }).click()
    await until(async () => (await marked()) === 0)
    expect(await ben.on("to-unread").count()).toBe(0)
    expect(ben.complaints).toEqual([])
  })
})
