import type { Browser, Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { shownNotifications } from "./notifications"
import { canRun, closeOthers, launch, Person, phone, resize, Server } from "./world"

const choose = async (person: Person, language: string) => {
  const { page } = person
  await person.openSettings()
  await page.getByTestId(`language-${language}`).click()
  await page.locator(`[data-testid="language-${language}"][aria-pressed="true"]`).waitFor()
  await page.waitForFunction((code) => document.documentElement.lang === code, language)
}

/** Elements that extend beyond the sides of the window, or are cut off in their own box. */
const overflow = (page: Page) =>
  page.evaluate(() => {
    const wide = [...document.querySelectorAll<HTMLElement>("body *")].filter((one) => {
      const { left, right, width } = one.getBoundingClientRect()
      const isHidden = width < 2 || one.closest(".sr-only, [inert], [aria-hidden=true], .skip")
      return !isHidden && (left < -1 || right > innerWidth + 1)
    })
    const buttons = [...document.querySelectorAll<HTMLElement>("button, .theme-choice, h1, h2")].filter(
      (one) =>
        one.scrollWidth > one.clientWidth + 1 && !/ellipsis|clip/.test(getComputedStyle(one).textOverflow),
    )
    return [...wide, ...buttons].map(
      (one) => `${one.tagName}.${one.className}: ${one.textContent?.slice(0, 40)}`,
    )
  })

describe.skipIf(!canRun)("the page in other languages", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person
  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await Person.arrive(browser, server, "Asha", { bypassCSP: true })
    ben = await Person.arrive(browser, server, "Ben", { ...phone, bypassCSP: true, locale: "de-AT" })
    await Promise.all([asha.signUp(), ben.signUp()])
    await asha.open(ben)
    await asha.say("Good evening")
    await asha.message("Good evening").waitFor()
  })
  afterEach(() => closeOthers(browser, asha, ben))
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  it("58: the page uses the browser's language and the locale of its region", async () => {
    expect(
      await ben.page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]),
    ).toEqual(["de", "ltr"])
    const { page } = ben
    await page
      .getByRole("button", { name: /^Asha/ })
      .or(page.getByTestId("conversation-item"))
      .first()
      .click()
    await ben.message("Good evening").waitFor()
    await page.getByText(/^Heute$/).waitFor()
    // On touch Enter starts a new line.
    await ben.on("composer").fill("Guten Abend")
    await ben.on("send").click()
    await asha.message("Guten Abend").waitFor()
  })

  it("57 58: choosing Arabic mirrors the page at once, keeps session and conversation, and survives a reload", async () => {
    const { page } = asha
    const before = await page.evaluate(() => performance.timeOrigin)
    await choose(asha, "ar")
    await expect.poll(() => asha.focused()).toBe("language-ar")
    // The name and description of an installation.
    const manifest = () => page.locator("link[rel=manifest]").getAttribute("href")
    expect(await manifest()).toBe("/chat/manifest.ar.webmanifest")
    await page.keyboard.press("Escape")
    await expect.poll(() => asha.focused()).toBe("status-menu")
    await asha.message("Good evening").waitFor()
    expect(await page.evaluate(() => performance.timeOrigin), "the page was not loaded again").toBe(before)
    const places = async () => {
      const box = async (testId: string) =>
        (await asha.on(testId).filter({ visible: true }).first().boundingBox()) as {
          x: number
          width: number
        }
      const own = await page.locator("[data-testid=message][data-own] .bubble").first().boundingBox()
      const other = await page.locator("[data-testid=message]:not([data-own]) .bubble").first().boundingBox()
      const [send, field, list] = [await box("send"), await box("composer"), await box("conversation-item")]
      return {
        send: send.x < field.x,
        own: (own?.x ?? 0) < (other?.x ?? 0),
        list: list.x > field.x,
      }
    }
    await asha.on("composer").fill("…")
    const flipped = { send: true, own: true, list: true }
    expect(await places()).toEqual(flipped)
    expect(asha.complaints).toEqual([])
    await page.reload({ waitUntil: "commit" })
    // Before the page's own script: nothing is drawn in another direction first.
    await page.waitForSelector("body", { state: "attached" })
    expect(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir])).toEqual([
      "ar",
      "rtl",
    ])
    await asha.message("Good evening").waitFor()
    await page.getByText("اليوم", { exact: true }).waitFor()
    expect(await places()).toEqual(flipped)
  })

  it.each([
    ["ar", "سلحفاه", "سلحفاة", "حيوانات وطبيعة"],
    ["de", "schildkröte", "Schildkröte", "Tiere und Natur"],
  ])(
    "58: emoji are found by their names in %s, also as people type them",
    async (language, typed, name, group) => {
      await choose(asha, language)
      await asha.page.keyboard.press("Escape")
      await asha.on("open-emoji").click()
      await asha.on("emoji-search").fill(typed)
      const picker = asha.on("emoji-picker")
      await picker
        .locator(".emoji-viewport")
        .getByTitle(name, { exact: true })
        .filter({ visible: true })
        .waitFor()
      await picker.getByText(group, { exact: true }).waitFor()
      await asha.page.keyboard.press("Escape")
      await picker.waitFor({ state: "detached" })
    },
  )

  it("58: notifications use the chosen language", async () => {
    const cleo = await Person.arrive(browser, server, "Cleo", {
      bypassCSP: true,
      serviceWorkers: "allow",
      permissions: ["notifications"],
    })
    await cleo.signUp()
    await choose(cleo, "de")
    const { page } = cleo
    const userId = await cleo.userId()
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null)
    const notice = {
      conversationId: "c",
      messageId: "m",
      seq: 1,
      senderId: "b",
      createdAt: new Date().toISOString(),
    }
    await page.evaluate(
      async ([owner, one]) => {
        const { active } = await navigator.serviceWorker.ready
        active?.postMessage({ type: "owner", owner })
        active?.postMessage({ type: "notify", notice: one })
      },
      [{ userId, hasCookie: true, content: true }, notice] as const,
    )
    expect((await shownNotifications(page)).map(({ body }) => body)).toEqual(["1 neue Nachricht"])
  })

  it("the page is in English if the texts of its language cannot be loaded", async () => {
    const context = await browser.newContext({ locale: "ar", serviceWorkers: "block" })
    await context.route(/\/assets\/ar-[^/]+\.js$/, (route) => route.abort())
    const page = await context.newPage()
    await page.goto(`${server.url}/chat`)
    await page.getByRole("heading", { name: "Sign in" }).waitFor()
    expect(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir])).toEqual([
      "en",
      "ltr",
    ])
    await context.close()
  })

  it.each(["ar", "de"])(
    "on a phone in %s the page has no axe violations and fits the width",
    async (language) => {
      const { page } = ben
      await page.goto(`${server.url}/chat#/`)
      await ben.on("conversation-item").first().waitFor()
      await choose(ben, language)
      await resize(page, 390, 844)
      expect(await violations(page)).toEqual([])
      await resize(page, 360, 740)
      expect(await overflow(page)).toEqual([])
      await page.keyboard.press("Escape")
      expect(await overflow(page)).toEqual([])
      await resize(page, 390, 844)
      expect(await violations(page)).toEqual([])
      await page.evaluate(() => {
        location.hash = "#/"
      })
      await ben.on("conversation-item").first().click()
      await ben.message("Good evening").waitFor()
      expect(await violations(page)).toEqual([])
      await resize(page, 360, 740)
      expect(await overflow(page)).toEqual([])
      await resize(page, 390, 844)
      expect(ben.complaints).toEqual([])
    },
  )
})
