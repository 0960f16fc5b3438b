import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { canRun, launch, Person, Server } from "./world"

describe.skipIf(!canRun)("several tabs of one user", () => {
  let browser: Browser
  const server = new Server()
  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start({ PRESENCE_GRACE: "2s" })])
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  it("3 47: a badge clears in every tab and stays clear, and several tabs show one notification", async () => {
    const asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    const ben = await Person.arrive(browser, server, "Ben")
    await ben.context.grantPermissions(["notifications"])
    // Counts notifications over all tabs, instead of showing them.
    await ben.context.addInitScript(() => {
      localStorage.setItem("lamplight:notify", "on")
      class Counted extends EventTarget {
        static permission = "granted"
        constructor(title: string) {
          super()
          localStorage.setItem("told", `${localStorage.getItem("notified") ?? ""}|${title}`)
        }
        close() {}
      }
      Object.assign(window, { Notification: Counted })
    })
    await ben.page.reload()
    await ben.signUp()
    const tabs = [ben.page]
    for (let i = 0; i < 2; i += 1) {
      const tab = await ben.context.newPage()
      await tab.goto(`${server.url}/chat`)
      await tab.locator('[data-testid="status-menu"]:visible').waitFor()
      tabs.push(tab)
    }
    await asha.open(ben)
    await asha.say("to all of them")
    for (const tab of tabs) {
      await tab.locator('[data-testid="unread"]').waitFor()
      await expect.poll(() => tab.title()).toMatch(/^\(1\)/)
    }
    const notified = () => tabs[2]?.evaluate(() => localStorage.getItem("told"))
    await expect.poll(notified).toBe(`|${asha.name}`)

    await tabs[2]?.locator('[data-testid="conversation-item"]').first().click()
    for (const tab of tabs) {
      await expect.poll(() => tab.locator('[data-testid="unread"]').count()).toBe(0)
      await expect.poll(() => tab.title()).not.toMatch(/^\(/)
    }
    // Once the sender gets the receipt, the server has the mark: a new page must not show a badge even for a moment.
    const receipt = asha.page.locator('[data-testid="receipt"]').last()
    await expect.poll(() => receipt.getAttribute("data-receipt")).toBe("read")
    await tabs[0]?.reload()
    await tabs[0]?.locator('[data-testid="conversation-item"]').waitFor()
    expect(await tabs[0]?.locator('[data-testid="unread"]').count()).toBe(0)

    // One tab shows the conversation now: no further notification.
    await tabs[2]?.bringToFront()
    await tabs[2]?.mouse.move(400, 400)
    await asha.say("and again")
    await tabs[2]?.locator('[data-testid="message"]').filter({ hasText: "and again" }).waitFor()

    // A draft written in one tab shows in another tab with the same conversation, while its field has no focus.
    await tabs[0]?.locator('[data-testid="conversation-item"]').first().click()
    await tabs[0]?.locator('[data-testid="composer"]').press("Escape")
    await tabs[2]?.locator('[data-testid="composer"]').fill("shared thought")
    const shared = () => tabs[0]?.locator('[data-testid="composer"]').inputValue()
    await expect.poll(shared).toBe("shared thought")
    // There was no notification for the message before the draft.
    expect(await notified()).toBe(`|${asha.name}`)

    // Two tabs in which the user writes keep their own texts, and each text is sent once.
    const [one, other] = [tabs[0], tabs[2]].map((tab) => tab?.locator('[data-testid="composer"]'))
    await one?.fill("from the one")
    await other?.fill("from the other")
    await one?.press("End")
    await one?.pressSequentially(" tab")
    expect(await other?.inputValue()).toBe("from the other")
    await other?.press("Enter")
    expect(await one?.inputValue()).toBe("from the one tab")
    await one?.press("Enter")
    const received = asha.page.locator('[data-testid="message"]:not([data-own]) [data-content]')
    await expect.poll(() => received.allInnerTexts()).toEqual(["from the other", "from the one tab"])
    await expect.poll(async () => `${await one?.inputValue()}${await other?.inputValue()}`).toBe("")
    expect(await notified()).toBe(`|${asha.name}`)

    // Closing one of three tabs keeps the user online. Cleo leaves after that as a marker: once she is offline, he would be too.
    const cleo = await (await Person.arrive(browser, server, "Cleo")).signUp()
    await asha.on("online-user").filter({ hasText: cleo.name }).waitFor()
    await tabs[0]?.close()
    await cleo.close()
    await asha.on("online-user").filter({ hasText: cleo.name }).waitFor({ state: "detached" })
    expect(await asha.page.locator('[data-testid="thread-presence"] [data-presence="online"]').count()).toBe(
      1,
    )
    await asha.close()
    await ben.close()
  })
})
