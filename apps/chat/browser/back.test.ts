import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { canRun, closeOthers, launch, Person, phone, Server, until } from "./world"

const picture =
  "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR42mP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC"

describe.skipIf(!canRun)("the back gesture of a phone", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    asha = await (await Person.arrive(browser, server, "Asha", phone)).signUp()
    await asha.open(ben)
    await asha.page
      .locator('input[type="file"]')
      .first()
      .setInputFiles({ name: "small.png", mimeType: "image/png", buffer: Buffer.from(picture, "base64") })
    await asha.on("composer").fill("with a picture")
    await asha.on("send").tap()
    await until(async () => (await asha.message("with a picture").getAttribute("data-state")) === "sent")
    await asha.on("back").tap()
    await asha.on("conversation-item").first().waitFor()
  })
  afterEach(() => closeOthers(browser, asha, ben))
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const back = () => asha.page.evaluate(() => history.back())
  const forward = () => asha.page.evaluate(() => history.forward())
  const shown = (testId: string) => asha.on(testId).filter({ visible: true }).first().waitFor()
  const gone = (testId: string) => until(async () => (await asha.on(testId).count()) === 0)
  /** The number of layers of the history entry, once the history has settled. */
  const layers = (n: number) =>
    expect.poll(() => asha.page.evaluate(() => history.state?.layers ?? 0)).toBe(n)
  const view = (hash: RegExp) => expect.poll(() => asha.page.evaluate(() => location.hash)).toMatch(hash)

  it("64: Back closes the viewer, then the details, then the thread", async () => {
    await asha.on("conversation-item").first().tap()
    await asha.on("open-details").tap()
    await shown("details")
    await asha.on("details").locator("[data-testid=shared-media]").first().tap()
    await shown("viewer")
    await layers(1)
    await back()
    await gone("viewer")
    await shown("details")
    // Forward reopens nothing and leaves no entry.
    await forward()
    await layers(0)
    expect(await asha.on("viewer").count()).toBe(0)
    await back()
    await gone("details")
    await view(/^#\/c\/[^/]+$/)
    await back()
    await view(/^#\/$|^$/)
    await shown("conversation-item")
  })

  it("64: Back closes a menu and a dialog one at a time, and closing them otherwise leaves no history entry", async () => {
    const length = () => asha.page.evaluate(() => history.length)
    await asha.on("conversation-item").first().tap()
    await shown("composer")
    // Closed repeatedly without "back": the history has as many entries as before.
    for (let n = 0; n < 3; n += 1) {
      await asha.on("thread-menu").tap()
      await asha.page.getByRole("menuitem").first().waitFor()
      await layers(1)
      await asha.page.keyboard.press("Escape")
      await layers(0)
    }
    const before = await length()
    await asha.on("thread-menu").tap()
    await layers(1)
    await back()
    await until(async () => (await asha.page.getByRole("menuitem").count()) === 0)
    await layers(0)
    // A choice of the menu opens a dialog in its place.
    await asha.on("thread-menu").tap()
    await layers(1)
    await asha.page.getByRole("menuitem", { name: "Jump to a date" }).tap()
    await shown("date-jump")
    await layers(1)
    await back()
    await gone("date-jump")
    await layers(0)
    await asha.on("open-emoji").tap()
    await shown("emoji-picker")
    await layers(1)
    await back()
    await gone("emoji-picker")
    expect(await length()).toBeLessThanOrEqual(before + 1)
    await back()
    await shown("conversation-item")
  })

  it("64: a choice in the palette opens the conversation, and Back returns to the list", async () => {
    await asha.on("open-palette").tap()
    await layers(1)
    await asha.on("palette-field").fill(ben.name)
    await asha.on("palette-entry").filter({ hasText: ben.name }).first().tap()
    await asha.on("thread-name").filter({ hasText: ben.name }).waitFor()
    await view(/^#\/c\//)
    await layers(0)
    await back()
    await view(/^#\/$|^$/)
    await shown("conversation-item")
    // A reload with an open dialog leaves no entry for it.
    await asha.on("new-group").tap()
    await shown("group-dialog")
    await layers(1)
    await asha.page.reload()
    await shown("conversation-item")
    await layers(0)
    expect(asha.complaints).toEqual([])
  })

  it("64: Back closes the search and the archive, also after a conversation was opened from them", async () => {
    await layers(0)
    // Twice: a closed layer leaves no entry.
    for (let n = 0; n < 2; n += 1) {
      await asha.on("search").fill(ben.name)
      await layers(1)
      await asha.on("search-results").locator("[data-roving]").first().tap()
      await shown("composer")
      await back()
      await shown("search-results")
      await layers(1)
      await back()
      await gone("search-results")
      expect(await asha.on("search").inputValue()).toBe("")
      await layers(0)
    }
    // Closed by the user: "back" does not reopen it.
    await asha.on("search").fill("nothing of this")
    await layers(1)
    await asha.page.getByRole("button", { name: "End the search" }).tap()
    await gone("search-results")
    await layers(0)

    await asha.page.evaluate(async () => {
      const { data } = await (await fetch("/api/privatechat/conversations")).json()
      await fetch(`/api/privatechat/conversations/${data[0].id}/settings`, {
        method: "PUT",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ archived: true }),
      })
    })
    await asha.on("archive").tap()
    await shown("archived")
    await layers(1)
    await asha.on("archived").getByTestId("conversation-item").first().tap()
    await shown("composer")
    await back()
    await shown("archived")
    await layers(1)
    await back()
    await gone("archived")
    await layers(0)

    // The search for people.
    await asha.page.getByRole("button", { name: "People" }).tap()
    await asha.on("people-search").fill(ben.name)
    await layers(1)
    await back()
    await until(async () => (await asha.on("people-search").inputValue()) === "")
    await view(/^#\/people$/)
    await back()
    await view(/^#\/$|^$/)
    expect(asha.complaints).toEqual([])
  })
})
