import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { canRun, closeOthers, launch, Person, resize, restore, Server, settled, until } from "./world"

describe.skipIf(!canRun)("focus and stable positions", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha", { reducedMotion: "reduce" })).signUp()
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await asha.open(ben)
    await asha.pour(60, (n) => `Line ${n}. ${"More of the same, to make it longer. ".repeat(n % 4)}`)
    await asha.message("Line 59.").waitFor()
  })
  // A test that fails must not leave its width, or what that width opened, to the next one.
  afterEach(async () => {
    await restore(asha)
    await asha.page.getByRole("dialog", { name: "People" }).waitFor({ state: "detached" })
    await asha.on("connection-banner").waitFor({ state: "detached" })
    await asha.on("people-search").fill("")
    await closeOthers(browser, asha, ben)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const scrollTop = () =>
    asha.page.evaluate(() => document.querySelector('[data-testid="log"]')?.scrollTop ?? -1)

  it("52: the people sheet traps the focus, and closing it by Escape, scrim or button returns the focus", async () => {
    await resize(asha.page, 900, 700)
    const sheet = asha.page.getByRole("dialog", { name: "People" })
    const opener = asha.page.getByRole("button", { name: "Show people" })
    const closings = [
      () => asha.page.keyboard.press("Escape"),
      () => asha.page.mouse.click(450, 350),
      () => sheet.getByRole("button", { name: "Hide people" }).click(),
    ]
    for (const close of closings) {
      await opener.click()
      await expect.poll(() => asha.focused()).toBe("people-search")
      await expect.poll(() => asha.on("thread").getAttribute("inert")).not.toBeNull()
      for (let i = 0; i < 6; i += 1) {
        await asha.page.keyboard.press("Tab")
        await until(() =>
          asha.page.evaluate(
            () =>
              document.activeElement === document.body || !!document.activeElement?.closest("[role=dialog]"),
          ),
        )
      }
      await asha.page.keyboard.press("F6")
      await expect.poll(() => asha.focused()).toBe("people-search")
      await close()
      await until(async () => opener.evaluate((button) => button === document.activeElement))
      await sheet.waitFor({ state: "detached" })
    }
    // Escape closes the sheet from the field of the thread, too.
    await opener.click()
    await asha.on("people-search").fill("x")
    await asha.page.keyboard.press("Escape")
    await expect.poll(() => asha.on("people-search").inputValue()).toBe("")
    expect(await sheet.count()).toBe(1)
    await resize(asha.page, 1360, 860)
    await sheet.waitFor({ state: "detached" })
    await resize(asha.page, 900, 700)
    await opener.waitFor()
    expect(await sheet.count()).toBe(0)
  })

  it("the people search finds online users by data that only the directory has", async () => {
    const benId = await asha.on("conversation-item").first().getAttribute("data-user-id")
    await asha.page.route("**/api/users?**", (route) =>
      route.fulfill({
        json: { success: true, data: [{ id: benId, name: ben.name, avatarUrl: null }], nextCursor: null },
      }),
    )
    await asha.on("people-search").fill("a.name.of.ben")
    await asha.page
      .getByRole("region", { name: "People" })
      .getByRole("button", { name: `${ben.name}, online` })
      .waitFor()
    await asha.on("people-search").fill("")
    await asha.page.unroute("**/api/users?**")
  })

  it("the mouse wheel scrolls the thread over the pill", async () => {
    await asha.on("log").hover()
    await asha.page.mouse.wheel(0, -600)
    const pill = asha.on("to-end")
    await pill.waitFor()
    const before = await settled(asha.page, scrollTop)
    const box = await pill.boundingBox()
    if (!box) throw new Error("no pill")
    await asha.page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)
    await asha.page.mouse.wheel(0, -200)
    await until(async () => (await scrollTop()) < before - 100)
  })

  it("14: a banner does not move the visible messages when it appears and disappears", async () => {
    const top = () =>
      asha.page.evaluate(() => {
        const log = document.querySelector('[data-testid="log"]')?.getBoundingClientRect()
        const read = [...document.querySelectorAll('[data-testid="message"]')].find(
          (row) => row.getBoundingClientRect().top > (log?.top ?? 0) + 100,
        )
        return [read?.textContent, read?.getBoundingClientRect().top] as const
      })
    const place = async (text: string | null | undefined) =>
      asha.page.evaluate(
        (words) =>
          [...document.querySelectorAll('[data-testid="message"]')]
            .find((row) => row.textContent === words)
            ?.getBoundingClientRect().top ?? -1,
        text,
      )
    const [text, at] = await settled(asha.page, top)
    const stays = () => settled(asha.page, () => place(text))
    await asha.context.setOffline(true)
    await asha.on("connection-banner").waitFor()
    expect(Math.abs((await stays()) - (at ?? 0))).toBeLessThanOrEqual(1)
    await asha.context.setOffline(false)
    await asha.on("connection-banner").waitFor({ state: "detached" })
    expect(Math.abs((await stays()) - (at ?? 0))).toBeLessThanOrEqual(1)
  })

  it("54: a focused message is labelled with its sender, text and time", async () => {
    await asha.on("log").focus()
    await asha.page.keyboard.press("ArrowUp")
    await expect.poll(() => asha.focused()).toBe("message")
    await asha.page
      .getByRole("article", { name: /^You: Line \d+\..*\d{1,2}:\d\d$/ })
      .first()
      .waitFor()
  })

  it("57: a right-to-left name stays beside its picture, and its preview is cut at the end of the text", async () => {
    const sara = await (await Person.arrive(browser, server, "سارة")).signUp()
    await sara.open(asha)
    await sara.say("مرحبا، هذه رسالة طويلة جدا يجب أن تظهر بدايتها وليس نهايتها في القائمة")
    const row = asha.on("conversation-item").filter({ hasText: sara.name })
    await row.filter({ hasText: "مرحبا" }).waitFor()
    const drawn = await row.evaluate((element) => {
      const face = element.querySelector(".avatar")?.getBoundingClientRect()
      const name = element.querySelector(".row-name")?.getBoundingClientRect()
      const previewText = element.querySelector<HTMLElement>(".row-words")
      const first = document.createRange()
      if (previewText?.firstChild) {
        first.setStart(previewText.firstChild, 0)
        first.setEnd(previewText.firstChild, 1)
      }
      return {
        gap: (name?.left ?? 0) - (face?.right ?? 0),
        begins: (previewText?.getBoundingClientRect().right ?? 0) - first.getBoundingClientRect().right,
      }
    })
    expect(drawn.gap).toBeLessThan(16)
    expect(Math.abs(drawn.begins)).toBeLessThanOrEqual(2)
    await sara.close()
  })
})
