import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canRun, frames, launch, Person, phone, Server, until } from "./world"

describe.skipIf(!canRun)("pinned, muted and archived conversations", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  const others: Person[] = []
  const ids: string[] = []

  /** Ben, Cleo and Dan write to Asha, in this order. */
  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha", { bypassCSP: true })).signUp()
    for (const name of ["Ben", "Cleo", "Dan"]) {
      const other = await (await Person.arrive(browser, server, name)).signUp()
      await other.open(asha)
      await other.say(`hello from ${name}`)
      await other.message(`hello from ${name}`).waitFor()
      others.push(other)
      ids.push(await other.conversationId())
      await row(ids.at(-1) as string).waitFor()
    }
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const [ben, cleo, dan] = [0, 1, 2]
  const id = (who: number) => ids[who] as string
  const row = (conversation: string, person = asha) =>
    person.page.locator(`.row[data-conversation-id="${conversation}"]`)
  const order = () =>
    asha.page.$$eval(".row[data-conversation-id]", (rows) =>
      rows.map((one) => (one as HTMLElement).dataset.conversationId),
    )
  const shows = (...who: number[]) => expect.poll(order).toEqual(who.map(id))
  const item = (name: string, person = asha) => person.page.getByRole("menuitem", { name, exact: true })
  const title = () => asha.page.title()
  /** Nothing may point at the list: it would keep its order. */
  const away = () => asha.page.mouse.move(900, 500)

  it("2: the context menu pins a conversation, which stays at the top, and opening one does not reorder", async () => {
    await shows(dan, cleo, ben)
    await row(id(ben)).click({ button: "right" })
    await item("Pin").click()
    await asha.on("pinned-conversations").waitFor()
    await away()
    await shows(ben, dan, cleo)
    await others[cleo]?.say("newer")
    await shows(ben, cleo, dan)
    await row(id(dan)).click()
    await asha.message("hello from Dan").waitFor()
    await away()
    await shows(ben, cleo, dan)
    expect(await violations(asha.page)).toEqual([])
  })

  it("4 49: a muted conversation counts in its row only and makes neither a sound nor a notification", async () => {
    await asha.page.evaluate(() => {
      const notes: string[] = []
      const tones: number[] = []
      Object.assign(window, { notes, tones })
      const start = OscillatorNode.prototype.start
      OscillatorNode.prototype.start = function (when) {
        tones.push(this.frequency.value)
        start.call(this, when)
      }
      Object.defineProperty(window, "Notification", {
        value: class {
          static permission = "granted"
          constructor(title: string) {
            notes.push(title)
          }
        },
      })
      localStorage.setItem("lamplight:notify", "on")
    })
    const tones = () => asha.page.evaluate(() => (window as unknown as { tones: number[] }).tones.length)
    const notes = () => asha.page.evaluate(() => (window as unknown as { notes: string[] }).notes)
    await expect.poll(title).toContain("(3)")
    await row(id(cleo)).focus()
    await asha.page.keyboard.press("Shift+F10")
    await item("Mute until I turn it back on").waitFor()
    expect(await violations(asha.page)).toEqual([])
    await item("Mute until I turn it back on").click()
    await expect.poll(title).toContain("(1)")
    await expect.poll(() => row(id(cleo)).getAttribute("data-muted")).toBe("")
    await until(async () => (await row(id(cleo)).evaluate((one) => one === document.activeElement)) === true)
    expect(await violations(asha.page)).toEqual([])
    await others[cleo]?.say("a third")
    await expect.poll(() => row(id(cleo)).getAttribute("data-unread")).toBe("3")
    // A marker: a later message does make a notification, and the two notes of a sound.
    await others[ben]?.say("loud")
    await expect.poll(notes).toEqual([others[ben]?.name])
    await expect.poll(tones).toBe(2)
    expect(await title()).toContain("(2)")
    await row(id(cleo)).click()
    await asha.on("muted").waitFor()
    await asha.on("thread-menu").click()
    await item("Unmute").click()
    await expect.poll(() => asha.on("muted").count()).toBe(0)
  })

  it("its button and a press elsewhere close the menu, and the pressed element gets the focus", async () => {
    const menu = asha.on("conversation-settings")
    const button = asha.page.locator(`[data-menu-of="${id(dan)}"]`)
    for (const opener of [asha.on("thread-menu"), button]) {
      await row(id(dan)).hover()
      await opener.click()
      await menu.waitFor()
      await opener.click()
      await frames(asha.page)
      expect(await menu.count()).toBe(0)
      await row(id(dan)).hover()
      await opener.click()
      await menu.waitFor()
      await asha.on("composer").click()
      await until(async () => (await menu.count()) === 0)
      await frames(asha.page)
      expect(await asha.focused()).toBe("composer")
    }
  })

  it("an archive that failed to load shows an error and can be retried", async () => {
    await row(id(dan)).click({ button: "right" })
    await item("Archive").click()
    await asha.on("archive").waitFor()
    await asha.context.setOffline(true)
    await asha.on("archive").click()
    await asha.on("archive-retry").waitFor()
    expect(await asha.page.getByText("Nothing is archived").count()).toBe(0)
    expect(await violations(asha.page)).toEqual([])
    await asha.context.setOffline(false)
    await asha.on("archive-retry").click()
    await until(async () => (await asha.on("archive-retry").count()) === 0)
    await shows(dan)
    await row(id(dan)).click({ button: "right" })
    await item("Take out of the archive").click()
    await asha.page.getByText("Nothing is archived").waitFor()
    await asha.on("archive-back").click()
    await away()
    await shows(ben, cleo, dan)
  })

  it("an archived conversation is listed separately until a message arrives", async () => {
    await row(id(dan)).hover()
    await asha.page.locator(`[data-menu-of="${id(dan)}"]`).click()
    await item("Archive").click()
    await away()
    await shows(ben, cleo)
    await asha.on("archive").click()
    await shows(dan)
    expect(await violations(asha.page)).toEqual([])
    await asha.page.keyboard.press("Escape")
    await shows(ben, cleo)
    await until(async () => (await asha.focused()) === "archive")
    // All devices show it.
    await asha.page.reload()
    await shows(ben, cleo)
    await others[dan]?.say("back again")
    await shows(ben, dan, cleo)
    await expect.poll(() => asha.on("archive").count()).toBe(0)
  })

  it("a setting made in the header without a connection shows at once and is sent later", async () => {
    await row(id(cleo)).click()
    await asha.message("hello from Cleo").waitFor()
    // The menu has been loaded.
    await asha.on("thread-menu").click()
    await item("Pin").waitFor()
    await asha.page.keyboard.press("Escape")
    await until(async () => (await asha.focused()) === "thread-menu")
    await asha.context.setOffline(true)
    await asha.on("thread-menu").click()
    await item("Pin").click()
    await away()
    await expect.poll(order).toContain(id(cleo))
    await expect
      .poll(() =>
        asha
          .on("pinned-conversations")
          .locator(`[data-conversation-id="${id(cleo)}"]`)
          .count(),
      )
      .toBe(1)
    await asha.context.setOffline(false)
    const kept = () =>
      asha.page.evaluate(async (one) => {
        const answer = await fetch("/api/privatechat/conversations")
        return (await answer.json()).data.find((it: { id: string }) => it.id === one)?.pinned ?? false
      }, id(cleo))
    await expect.poll(kept).toBe(true)
    expect(asha.complaints).toEqual([])
  })

  it("on a phone a long press on a row opens its menu and not the conversation", async () => {
    const context = await browser.newContext({ ...phone, bypassCSP: true, locale: "en-GB" })
    await context.addCookies(await asha.context.cookies())
    const page = await context.newPage()
    await page.goto(`${server.url}/chat`)
    const own = page.locator(`.row[data-conversation-id="${id(dan)}"]`)
    await own.waitFor()
    const box = (await own.boundingBox()) as { x: number; y: number; width: number; height: number }
    const touch = await context.newCDPSession(page)
    const point = { x: box.x + box.width / 2, y: box.y + box.height / 2 }
    await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [point] })
    await page.getByRole("menuitem", { name: "Mute for 8 hours" }).waitFor()
    await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] })
    await page.getByRole("menuitem", { name: "Mute for 8 hours" }).click()
    await expect.poll(() => own.getAttribute("data-muted")).toBe("")
    expect(await page.evaluate(() => location.hash)).not.toContain("/c/")
    expect(await violations(page)).toEqual([])
    await context.close()
  })
})
