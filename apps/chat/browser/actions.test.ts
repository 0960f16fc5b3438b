import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canRun, launch, Person, phone, Server, settled, until } from "./world"

describe.skipIf(!canRun)("message actions", () => {
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
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  /** Opens the menu of a message with the mouse. */
  async function menu(person: Person, text: string) {
    await person.message(text).hover()
    await person.on("message-menu").click()
    await person.page.getByRole("menu").waitFor()
  }
  const item = (person: Person, name: string) => person.page.getByRole("menuitem", { name, exact: true })

  it("30 31: an edited message keeps its place and is marked as edited for both users", async () => {
    await asha.say("The ferry leaves at nine")
    await ben.message("The ferry leaves at nine").waitFor()
    await asha.on("composer").press("ArrowUp")
    await asha.on("edit-field").fill("The ferry leaves at ten")
    await asha.on("edit-field").press("Enter")
    for (const person of [asha, ben]) {
      await person.message("The ferry leaves at ten").waitFor()
      await person.message("The ferry leaves at ten").locator('[data-testid="edited"]').waitFor()
      expect(await person.message("at nine").count()).toBe(0)
    }
    // The draft comes back, and Escape ends an edit without one.
    await asha.on("composer").fill("half a thought")
    await menu(asha, "The ferry leaves at ten")
    await item(asha, "Edit").click()
    await asha.on("edit-field").fill("never")
    await asha.on("edit-field").press("Escape")
    await until(async () => (await asha.on("composer").inputValue()) === "half a thought")
    await asha.on("composer").fill("")
    await asha.message("The ferry leaves at ten").waitFor()
  })

  it("31: a reaction is added, counted and removed without moving the rows above", async () => {
    await ben.message("The ferry leaves at ten").hover()
    await ben.page.getByRole("button", { name: "React with 👍" }).click()
    const chip = (person: Person) => person.on("reaction").filter({ hasText: "👍" })
    await chip(asha).filter({ hasText: "1" }).waitFor()
    await until(async () => (await chip(asha).getAttribute("aria-pressed")) === "false")
    await chip(asha).click()
    for (const person of [asha, ben]) await chip(person).filter({ hasText: "2" }).waitFor()
    await chip(ben).click()
    for (const person of [asha, ben]) await chip(person).filter({ hasText: "1" }).waitFor()
    await until(async () => (await chip(ben).getAttribute("aria-pressed")) === "false")
    expect(await violations(asha.page)).toEqual([])
  })

  it("31: hover, the keyboard and a long press open the actions without moving a row", async () => {
    for (const text of ["A row above", "The row in question", "A row below"]) await asha.say(text)
    await ben.message("A row below").waitFor()
    const tops = (person: Person) => () =>
      person.page.$$eval('[data-testid="message"]', (rows) =>
        rows.map((row) => Math.round(row.getBoundingClientRect().top)),
      )
    const target = ben.message("The row in question")
    await ben.page.mouse.move(2, 2)
    const before = await settled(ben.page, tops(ben))
    await target.hover()
    await target.locator('[data-testid="action-bar"]').waitFor()
    expect(await settled(ben.page, tops(ben))).toEqual(before)
    await ben.on("message-menu").click()
    await item(ben, "Reply").waitFor()
    expect(await settled(ben.page, tops(ben))).toEqual(before)
    await ben.page.keyboard.press("Escape")
    await ben.page.mouse.move(2, 2)
    await target.locator('[data-testid="action-bar"]').waitFor({ state: "detached" })

    await ben.on("log").focus()
    await ben.page.keyboard.press("ArrowUp")
    await ben.page.keyboard.press("ArrowUp")
    await until(() => target.evaluate((row) => row === document.activeElement))
    await ben.page.keyboard.press("Enter")
    await item(ben, "Reply").waitFor()
    expect(await settled(ben.page, tops(ben))).toEqual(before)
    await ben.page.keyboard.press("Escape")
    await until(() => target.evaluate((row) => row === document.activeElement))
    await ben.page.keyboard.press("Escape")

    const cleo = await Person.arrive(browser, server, "Cleo", {
      ...phone,
      storageState: await ben.context.storageState(),
    })
    await cleo.page.goto(ben.page.url())
    const touched = cleo.message("The row in question")
    await touched.waitFor()
    const onPhone = await settled(cleo.page, tops(cleo))
    const box = await touched.locator(".bubble").boundingBox()
    const touch = await cleo.context.newCDPSession(cleo.page)
    const point = { x: (box?.x ?? 0) + 10, y: (box?.y ?? 0) + 10 }
    await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [point] })
    await item(cleo, "Reply").waitFor()
    await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] })
    expect(await settled(cleo.page, tops(cleo))).toEqual(onPhone)
    // The finger that opened the menu chooses nothing in it.
    expect(await item(cleo, "Reply").isVisible()).toBe(true)
    // A finger that moves scrolls.
    await cleo.page.keyboard.press("Escape")
    await item(cleo, "Reply").waitFor({ state: "detached" })
    await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [point] })
    await touch.send("Input.dispatchTouchEvent", {
      type: "touchMove",
      touchPoints: [{ x: point.x, y: point.y - 40 }],
    })
    // A marker: another message's menu opens after a press that began later.
    await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] })
    const other = await cleo.message("A row below").locator(".bubble").boundingBox()
    const there = { x: (other?.x ?? 0) + 10, y: (other?.y ?? 0) + 10 }
    await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [there] })
    await item(cleo, "Reply").waitFor()
    await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] })
    expect(await cleo.message("A row below").locator('[data-testid="action-bar"][data-open]').count()).toBe(1)
    expect(await cleo.page.locator('[data-testid="action-bar"][data-open]').count()).toBe(1)
    await cleo.close()
  })

  it("19: a click on the quote of a reply jumps to the quoted message, however far away", async () => {
    await asha.pour(150, (n) => `Between ${n}.`)
    await ben.message("Between 149.").waitFor()
    await ben.say("Which pier?")
    await ben.message("Which pier?").waitFor()
    await ben.page.reload()
    await ben.message("Which pier?").waitFor()
    await menu(ben, "Between 149.")
    await item(ben, "Reply").click()
    await ben.on("replying").waitFor()
    await ben.say("The old one, I think")
    await asha.on("quote").filter({ hasText: "Between 149." }).waitFor()
    // A reply to the very first message, over the wire.
    await ben.page.evaluate(async () => {
      const id = decodeURIComponent(location.hash.slice("#/c/".length))
      const path = `/api/privatechat/messages/${encodeURIComponent(id)}?after=0&limit=1`
      const { data } = await (await fetch(path)).json()
      await fetch("/api/privatechat/message", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ conversationId: id, content: "So at ten", replyTo: data[0].id }),
      })
    })
    await ben.message("So at ten").waitFor()
    await ben.page.reload()
    await ben.message("So at ten").locator('[data-testid="quote"]').click()
    const target = ben.message("The ferry leaves at ten").filter({ hasNot: ben.on("quote") })
    await target.waitFor()
    await until(() => target.evaluate((row) => row === document.activeElement))
    await ben.on("to-end").click()
    await ben.message("So at ten").waitFor()
  })

  it("30: a deletion asks for confirmation, leaves a placeholder for both users, and empties quotes", async () => {
    await asha.say("A secret")
    await ben.message("A secret").waitFor()
    await menu(ben, "A secret")
    expect(await item(ben, "Delete").count()).toBe(0)
    await item(ben, "Reply").click()
    await ben.say("An answer to it")
    await asha.message("An answer to it").waitFor()
    // With the keyboard alone: up to the message, Enter, and the last item of its menu.
    await asha.page.locator(".message", { hasText: "A secret" }).first().focus()
    await asha.page.keyboard.press("Enter")
    await asha.page.getByRole("menu").waitFor()
    await asha.page.keyboard.press("End")
    // The focus moves a moment after the key.
    await until(() => item(asha, "Delete").evaluate((last) => last === document.activeElement))
    await asha.page.keyboard.press("Enter")
    await asha.on("delete-confirm").click()
    for (const person of [asha, ben]) {
      await person.message("An answer to it").filter({ hasText: "Message deleted" }).waitFor()
      await until(async () => (await person.on("log").getByText("A secret").count()) === 0)
    }
    await ben.page.reload()
    await ben.message("An answer to it").filter({ hasText: "Message deleted" }).waitFor()
    expect(await ben.on("log").getByText("A secret").count()).toBe(0)
  })

  it("46: an edit without a network shows at once and is sent when the network is back", async () => {
    await asha.say("Bring bread")
    await ben.message("Bring bread").waitFor()
    await asha.context.setOffline(true)
    await asha.on("composer").press("ArrowUp")
    await asha.on("edit-field").fill("Bring bread and cheese")
    await asha.on("edit-field").press("Enter")
    await asha.message("Bring bread and cheese").waitFor()
    await asha.context.setOffline(false)
    await ben.message("Bring bread and cheese").waitFor()
    expect([asha.complaints, ben.complaints]).toEqual([[], []])
  })
})
