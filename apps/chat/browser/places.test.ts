import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canRun, launch, Person, Server, settled, until } from "./world"

describe.skipIf(!canRun)("pinned messages and days", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person
  let id = ""

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha", { bypassCSP: true })).signUp()
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await asha.open(ben)
    await asha.pour(400, (n) => `Line ${n}.`)
    await asha.message("Line 399.").waitFor()
    id = await asha.conversationId()
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const pin = (person: Person, seq: number, pinned: boolean) =>
    person.page.evaluate(
      async ([place, at, isPinned]) => {
        const page = await (await fetch(`/api/privatechat/messages/${place}?around=${at}&limit=1`)).json()
        const path = `/api/privatechat/messages/${place}/${page.data[0].id}/pin`
        await fetch(path, {
          method: isPinned ? "PUT" : "DELETE",
          headers: { "content-type": "application/json" },
          body: "{}",
        })
      },
      [id, seq, pinned] as const,
    )

  it("20: the list of pinned messages leads to one far up and omits unpinned ones", async () => {
    await pin(ben, 7, true)
    await pin(ben, 395, true)
    // A reloaded page has only the newest messages.
    await asha.page.reload()
    await asha.message("Line 399.").waitFor()
    await expect.poll(() => asha.on("pins").innerText()).toBe("2")
    await asha.on("pins").click()
    await asha.on("pinned-message").filter({ hasText: "Line 6." }).click()
    const target = asha.message("Line 6.")
    await target.waitFor()
    await until(() => target.evaluate((row) => row === document.activeElement))
    await pin(ben, 395, false)
    await expect
      .poll(async () => {
        await asha.on("pins").click()
        const count = await asha.on("pinned-message").count()
        await asha.page.keyboard.press("Escape")
        return count
      })
      .toBe(1)
  })

  it("the day separator and the menu lead to other days", async () => {
    await asha.on("thread-menu").click()
    await asha.page.getByRole("menuitem", { name: "Jump to a date" }).click()
    await asha.on("date-jump").waitFor()
    expect(await violations(asha.page)).toEqual([])
    await asha.page.getByRole("button", { name: "The beginning" }).click()
    const first = asha.message("Line 0.")
    await first.waitFor()
    await until(() => first.evaluate((row) => row === document.activeElement))
    await settled(asha.page, () => asha.on("log").evaluate((log) => log.scrollTop))
    await asha.on("day").first().getByRole("button").click()
    await asha.on("date-jump").waitFor()
    await asha.page.keyboard.press("Escape")
    await expect.poll(() => asha.on("date-jump").count()).toBe(0)
    await asha.on("day").first().getByRole("button").click()
    // All were written today: the first of them is the place.
    await asha.page.getByRole("button", { name: "Go there" }).click()
    await until(() => first.evaluate((row) => row === document.activeElement))
    expect(asha.complaints).toEqual([])
  })
})
