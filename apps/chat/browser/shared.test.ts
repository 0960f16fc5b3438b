import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { canRun, closeOthers, launch, Person, Server, until } from "./world"

describe.skipIf(!canRun)("one browser for two users", () => {
  let browser: Browser
  const server = new Server()
  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })
  afterEach(() => closeOthers(browser))

  it("a message of one user is never sent as the other, and waits for its author", async () => {
    const cy = await (await Person.arrive(browser, server, "Cy")).signUp()
    const asha = await Person.arrive(browser, server, "Asha")
    await asha.signUp()
    const ben = await Person.arrive(browser, server, "Ben")
    const signInTab = await ben.context.newPage()
    await signInTab.goto(`${server.url}/chat`)
    await signInTab.locator('[data-testid="signin-form"]').waitFor()
    await ben.signUp()
    // The other tab showed the sign-in form, and is signed in with this one.
    await signInTab.locator('[data-testid="status-menu"]:visible').waitFor()
    await signInTab.close()
    await ben.open(cy)
    await ben.say("by ben")
    await ben.message("by ben").and(ben.page.locator('[data-state="sent"]')).waitFor()

    // Asha signs in in the same browser, and tabs do not notify each other. Then Ben's message can only go over HTTP.
    await ben.context.request.post(`${server.url}/api/auth/login`, {
      headers: { origin: server.url },
      data: { username: asha.username, password: "a lamp in the window" },
    })
    await ben.page.evaluate(() => {
      WebSocket.prototype.send = () => {}
    })
    await ben.say("by ben, in his own tab")
    const mine = async () =>
      ben.page.locator('[data-testid="status-menu"]:visible').filter({ hasText: asha.name }).isVisible()
    await until(mine)
    await asha.open(cy)
    await asha.say("by asha, after that")
    await cy.on("conversation-item").filter({ hasText: asha.name }).click()
    await cy.message("by asha, after that").waitFor()
    for (const one of [asha, cy]) expect(await one.message("by ben, in his own tab").count()).toBe(0)

    // When Ben is back it is sent.
    await ben.page.reload()
    await until(mine)
    await ben.context.request.post(`${server.url}/api/auth/login`, {
      headers: { origin: server.url },
      data: { username: ben.username, password: "a lamp in the window" },
    })
    await ben.page.reload()
    await cy.open(ben)
    await cy.message("by ben, in his own tab").waitFor()
    await ben.open(cy)
    await ben.say("by ben, after that")
    await cy.message("by ben, after that").waitFor()
    expect(await cy.message("by ben, in his own tab").count()).toBe(1)
    for (const person of [asha, ben, cy]) {
      expect(person.complaints).toEqual([])
      await person.close()
    }
  })

  it("a reload and a short switch of tabs do not show to others", async () => {
    const asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await asha.open(ben)
    await asha.page.evaluate((name) => {
      const seen = new Set<string>()
      Object.assign(window, { seen })
      const look = () => {
        for (const row of document.querySelectorAll<HTMLElement>('[data-testid="online-user"]'))
          if (row.innerText.includes(name)) seen.add(row.innerText)
      }
      look()
      new MutationObserver(look).observe(document.body, {
        subtree: true,
        childList: true,
        characterData: true,
        attributes: true,
      })
    }, ben.name)
    for (let round = 0; round < 2; round++) {
      await ben.page.reload()
      await ben.page.locator('[data-testid="status-menu"]:visible').waitFor()
    }
    const other = await ben.context.newPage()
    await other.bringToFront()
    await ben.page.bringToFront()
    await asha.say("are you there?")
    await ben.on("unread").first().waitFor()
    const seen = await asha.page.evaluate(() => [...(window as unknown as { seen: Set<string> }).seen])
    expect(seen.filter((text) => /away|offline|seen/i.test(text))).toEqual([])
    expect(await asha.on("online-user").filter({ hasText: ben.name }).count()).toBe(1)
    for (const person of [asha, ben]) await person.close()
  })
})
