import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canRun, closeOthers, frames, launch, Person, phone, restore, Server, until } from "./world"

describe.skipIf(!canRun)("by the keyboard alone", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person
  let cleo: Person

  /** Ben and Cleo write to Asha, in this order. */
  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha", { bypassCSP: true })).signUp()
    for (const name of ["Bén", "Cleo"]) {
      const other = await (await Person.arrive(browser, server, name)).signUp()
      await other.open(asha)
      await other.say(`hello from ${name}`)
      await asha.on("conversation-item").filter({ hasText: other.name }).waitFor()
      if (name === "Cleo") cleo = other
      else ben = other
    }
  })
  afterEach(async () => {
    await asha.page.keyboard.press("Escape")
    await asha.page.keyboard.press("Escape")
    // Escape moves the focus with the next frame, which must not fall into the next test.
    await frames(asha.page)
    await restore(asha)
    await closeOthers(browser, asha, ben, cleo)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const press = (keys: string) => asha.page.keyboard.press(keys)
  const focused = (testId: string) => expect.poll(() => asha.focused()).toBe(testId)
  const thread = (name: string) => asha.on("thread-name").filter({ hasText: name }).waitFor()
  /** The current choice for a screen reader. */
  const current = () =>
    asha.page.evaluate(() => {
      const field = document.querySelector('[data-testid="palette-field"]')
      const row = document.getElementById(field?.getAttribute("aria-activedescendant") ?? "")
      return row?.getAttribute("aria-selected") === "true" ? (row.textContent ?? "") : ""
    })
  const openPalette = async () => {
    await press("Control+k")
    await focused("palette-field")
  }

  it("61: the palette finds a person regardless of diacritics and focuses the message field", async () => {
    await openPalette()
    await expect.poll(current).not.toBe("")
    await asha.page.keyboard.type("ben")
    await expect.poll(current).toContain(ben.name)
    await expect.poll(() => asha.on("palette-status").textContent()).toMatch(/^\d+ results?$/)
    expect(await violations(asha.page)).toEqual([])
    await press("Enter")
    await thread(ben.name)
    await focused("composer")
    expect(await asha.on("palette").count()).toBe(0)
    // The one before comes first, and the one that is open not at all.
    await openPalette()
    await expect.poll(current).toContain(cleo.name)
    await press("Control+k")
    await focused("composer")
  })

  it("61: the palette searches messages on the server, reports a failure, and returns the focus", async () => {
    await asha.on("composer").focus()
    await openPalette()
    let fails = true
    await asha.page.route("**/api/privatechat/search*", (route) =>
      fails
        ? route.fulfill({ status: 500, json: { success: false, error: "It broke.", code: "internal" } })
        : route.continue(),
    )
    await asha.page.keyboard.type("hello from cleo")
    const retry = asha.on("palette").getByRole("button", { name: "Try again" })
    await retry.waitFor()
    fails = false
    await press("Tab")
    await press("Enter")
    const hit = asha.page.locator('[data-testid="palette-entry"][data-kind="message"]')
    await hit.first().waitFor()
    await asha.on("palette-field").focus()
    await asha.on("palette-field").fill("zzzyx")
    await expect.poll(() => asha.on("palette-status").textContent()).toBe("No results")
    await asha.page.getByText("No results for").waitFor()
    expect(await violations(asha.page)).toEqual([])
    await press("Escape")
    await focused("composer")
    await openPalette()
    await asha.page.keyboard.type("hello from cleo")
    await hit.first().waitFor()
    while (!(await hit.first().getAttribute("aria-selected"))?.includes("true")) await press("ArrowDown")
    await press("Enter")
    await asha.message("hello from Cleo").waitFor()
    await thread(cleo.name)
  })

  it("61: the palette runs actions (dark theme, mute), and not while an IME composes", async () => {
    await asha.on("conversation-item").filter({ hasText: cleo.name }).click()
    await thread(cleo.name)
    await openPalette()
    await asha.page.keyboard.type("dark")
    await expect.poll(current).toBe("Dark theme")
    const composes = { key: "Enter", keyCode: 229, isComposing: true, bubbles: true }
    await asha.on("palette-field").evaluate((field, init) => {
      field.dispatchEvent(new KeyboardEvent("keydown", init))
    }, composes)
    expect(await asha.on("palette").count()).toBe(1)
    expect(await violations(asha.page)).toEqual([])
    await press("Enter")
    await expect.poll(() => asha.page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark")
    await openPalette()
    await asha.page.keyboard.type("quiet")
    await expect.poll(current).toContain("Mute this conversation")
    expect(await violations(asha.page)).toEqual([])
    await press("Enter")
    await asha.on("muted").waitFor()
    await press("Control+Alt+y")
    await asha.on("muted").waitFor({ state: "detached" })
    await openPalette()
    await asha.page.keyboard.type("theme of the system")
    await press("Enter")
    await expect.poll(() => asha.page.evaluate(() => document.documentElement.dataset.theme)).toBe("light")
  })

  it("62: shortcuts move through conversations, to the next unread one, to the search and to the field", async () => {
    const rows = asha.on("conversation-item")
    await rows.first().click()
    const first = await asha.page.evaluate(() => location.hash)
    await asha.on("composer").focus()
    await press("Alt+ArrowDown")
    await until(async () => (await asha.page.evaluate(() => location.hash)) !== first)
    await focused("composer")
    await press("Alt+ArrowUp")
    await until(async () => (await asha.page.evaluate(() => location.hash)) === first)
    // Leave the conversation, so that new messages are unread.
    await asha.on("conversation-item").filter({ hasText: ben.name }).click()
    await thread(ben.name)
    await cleo.say("unread for now")
    await rows.filter({ hasText: "unread for now" }).locator('[data-testid="unread"]').waitFor()
    await press("Alt+Shift+ArrowDown")
    await thread(cleo.name)
    await press("Control+Shift+F")
    await focused("search")
    await press("Alt+Enter")
    await focused("composer")
    await press("Control+ArrowUp")
    await asha.on("replying").filter({ hasText: "unread for now" }).waitFor()
    await press("Escape")
    // A character in a field is text; elsewhere it is a shortcut, until that is turned off.
    await asha.page.keyboard.type("?")
    expect(await asha.on("composer").inputValue()).toBe("?")
    await press("Backspace")
    await asha.on("log").focus()
    await press("?")
    const sheet = asha.on("shortcut-sheet")
    await sheet.waitFor()
    expect(await sheet.locator("[data-shortcut=palette]").textContent()).toContain("CtrlK")
    expect(await violations(asha.page)).toEqual([])
    await press("Escape")
    await focused("log")
    await asha.page.evaluate(() => localStorage.setItem("lamplight:single-keys", "off"))
    await press("?")
    await asha.on("composer").focus()
    await press("Control+/")
    await sheet.waitFor()
    await press("Escape")
    await focused("composer")
    await asha.page.evaluate(() => localStorage.removeItem("lamplight:single-keys"))
    expect(asha.complaints).toEqual([])
  })

  it("63: settings apply at once, in another tab, and after a reload", async () => {
    const other = await asha.context.newPage()
    await other.goto(asha.page.url())
    await other.locator('[data-testid="composer"]').waitFor()
    // A tab in the background renders nothing.
    await asha.page.bringToFront()
    await asha.openSettings()
    expect(await violations(asha.page)).toEqual([])
    await asha.on("theme-dark").click()
    await asha.on("enter-newline").click()
    await asha.on("sound").click()
    // These are on the server, for all of the user's devices.
    await asha.on("receipts").click()
    await expect.poll(() => asha.on("receipts").isChecked()).toBe(false)
    expect(await violations(asha.page)).toEqual([])
    const theme = () => other.evaluate(() => document.documentElement.dataset.theme)
    await expect.poll(theme).toBe("dark")
    await asha.page.keyboard.press("Escape")
    await focused("status-menu")
    for (const page of [other, asha.page]) {
      if (page === asha.page) await page.reload()
      const field = page.locator('[data-testid="composer"]')
      await field.fill("one line")
      await field.press("Enter")
      await field.pressSequentially("and another")
      expect(await field.inputValue()).toBe("one line\nand another")
      await field.press("Control+Enter")
      await expect.poll(() => field.inputValue()).toBe("")
    }
    expect(await asha.page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark")
    await asha.openSettings()
    await expect.poll(() => asha.on("sound").isChecked()).toBe(false)
    await expect.poll(() => asha.on("receipts").isChecked()).toBe(false)
    expect(await asha.on("last-seen").isChecked()).toBe(true)
    await asha.on("receipts").click()
    await asha.on("theme-system").click()
    await asha.on("enter-send").click()
    await other.close()
  })

  it("61 63: on a phone the palette and the settings each fill the screen", async () => {
    const options = { ...phone, bypassCSP: true, colorScheme: "dark" } as const
    const dora = await (await Person.arrive(browser, server, "Dora", options)).signUp()
    await dora.on("open-palette").tap()
    await dora.on("palette-field").fill("ben")
    const row = dora.on("palette-entry").filter({ hasText: ben.name })
    await row.first().waitFor()
    expect(await violations(dora.page)).toEqual([])
    await dora.page.getByRole("button", { name: "Close" }).tap()
    await dora.on("palette").waitFor({ state: "detached" })
    await dora.on("status-menu").last().tap()
    await dora.on("status-away").tap()
    await expect.poll(() => dora.on("status-away").getAttribute("aria-pressed")).toBe("true")
    expect(await violations(dora.page)).toEqual([])
    await dora.page.reload()
    await dora.on("theme-light").tap()
    await expect.poll(() => dora.page.evaluate(() => document.documentElement.dataset.theme)).toBe("light")
    expect(await violations(dora.page)).toEqual([])
    expect(dora.complaints).toEqual([])
  })
})
