import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canRun, launch, Person, Server, until } from "./world"

describe.skipIf(!canRun)("emoji, pins, links and mentions", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person
  /** The hosts that the page loaded files from. */
  const origins = new Set<string>()

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha", { bypassCSP: true })).signUp()
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    asha.page.on("request", (request) => origins.add(new URL(request.url()).origin))
    await asha.open(ben)
    await ben.open(asha)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const picker = () => asha.on("emoji-picker")
  const emoji = (name: string) => picker().locator(".emoji-viewport").getByTitle(name, { exact: true })
  async function menu(person: Person, text: string) {
    await person.message(text).hover()
    await person.on("message-menu").click()
    await person.page.getByRole("menu").waitFor()
  }
  const item = (person: Person, name: string) => person.page.getByRole("menuitem", { name, exact: true })

  it("the keyboard inserts an emoji at the caret, and the picker offers it first the next time", async () => {
    await asha.on("composer").fill("Good  morning")
    await asha.on("composer").evaluate((field: HTMLTextAreaElement) => field.setSelectionRange(5, 5))
    await asha.on("open-emoji").focus()
    await asha.page.keyboard.press("Enter")
    await emoji("Grinning face").waitFor()
    await until(async () => (await asha.focused()) === "emoji-search")
    expect(await violations(asha.page)).toEqual([])
    await asha.on("emoji-search").fill("turtle")
    await emoji("Turtle").waitFor()
    await until(() => emoji("Grinning face").isHidden())
    await asha.page.keyboard.press("Enter")
    await until(async () => (await asha.on("composer").inputValue()) === "Good 🐢 morning")
    await until(async () => (await asha.focused()) === "composer")
    await asha.page.keyboard.press("Enter")
    await ben.message("Good 🐢 morning").waitFor()
    await asha.on("open-emoji").click()
    await picker().locator(".emoji-recent button").first().filter({ hasText: "🐢" }).waitFor()
    await asha.page.keyboard.press("Escape")
    await picker().waitFor({ state: "hidden" })
    expect([...origins]).toEqual([new URL(server.url).origin])
  })

  it("the picker stores the skin tone, and adds any emoji as a reaction", async () => {
    await ben.say("Are you coming?")
    await asha.message("Are you coming?").hover()
    await asha.on("react").click()
    await emoji("Grinning face").waitFor()
    await asha.on("skin-tone").click()
    await asha.page.getByRole("button", { name: "Medium", exact: true }).click()
    await asha.on("emoji-search").fill("raised hand")
    await emoji("Raised hand").click()
    await picker().waitFor({ state: "hidden" })
    await ben.on("reaction").filter({ hasText: "✋🏽" }).waitFor()
    await asha.on("open-emoji").click()
    await asha.on("skin-tone").filter({ hasText: "✋🏽" }).waitFor()
    await asha.page.keyboard.press("Escape")
    await picker().waitFor({ state: "hidden" })
    // From the menu too, as on touch.
    await menu(asha, "Are you coming?")
    await item(asha, "React with another emoji").click()
    await asha.on("emoji-search").fill("rocket")
    await emoji("Rocket").click()
    await ben.on("reaction").filter({ hasText: "🚀" }).waitFor()
  })

  it("pinning and unpinning a message shows for both users", async () => {
    await menu(asha, "Are you coming?")
    await item(asha, "Pin").click()
    for (const person of [asha, ben])
      await person.message("Are you coming?").locator('[data-testid="pinned"]').waitFor()
    // The list in the header leads to it.
    await ben.on("pins").click()
    await ben.on("pinned-message").filter({ hasText: "Are you coming?" }).waitFor()
    await asha.on("pins").click()
    expect(await violations(asha.page)).toEqual([])
    await asha.page.keyboard.press("Escape")
    await ben.on("pinned-message").click()
    const target = ben.message("Are you coming?")
    await until(() => target.evaluate((row) => row === document.activeElement))
    await menu(ben, "Are you coming?")
    await item(ben, "Unpin").click()
    for (const person of [asha, ben])
      await person.message("Are you coming?").locator('[data-testid="pinned"]').waitFor({ state: "hidden" })
    for (const person of [asha, ben]) await person.on("pins").waitFor({ state: "hidden" })
  })

  it("a mention is completed by keyboard and touch, sent as an id, and highlighted for the mentioned user", async () => {
    const name = ben.name
    await asha.on("composer").fill("")
    await asha.on("composer").pressSequentially("Hello @")
    const option = asha.on("mention-option").filter({ hasText: name })
    await option.waitFor()
    expect(await violations(asha.page)).toEqual([])
    await asha.on("composer").pressSequentially(name.slice(0, 2).toUpperCase())
    await until(async () => (await option.getAttribute("aria-selected")) === "true")
    await asha.page.keyboard.press("Escape")
    await option.waitFor({ state: "hidden" })
    await asha.on("composer").press("Backspace")
    await asha.on("composer").press("Backspace")
    await asha.on("composer").press("Backspace")
    await asha.on("composer").pressSequentially("@b")
    await option.waitFor()
    await asha.page.keyboard.press("Enter")
    await until(async () => (await asha.on("composer").inputValue()) === `Hello @${name} `)
    await asha.on("composer").pressSequentially("and all")
    await asha.page.keyboard.press("Enter")
    const mention = (person: Person, text: string) =>
      person
        .message(text)
        .locator('[data-testid="mention"]')
        .filter({ hasText: `@${name}` })
    await mention(ben, "and all").waitFor()
    expect(await mention(ben, "and all").getAttribute("data-me")).toBe("")
    await mention(asha, "and all").waitFor()
    expect(await mention(asha, "and all").getAttribute("data-me")).toBeNull()
    const sent = await asha.page.evaluate(async () => {
      const id = location.hash.slice("#/c/".length)
      const { data } = await (await fetch(`/api/privatechat/messages/${id}?limit=1`)).json()
      return data[0].mentions
    })
    expect(sent).toEqual([await ben.userId()])
    // A press on the option, which keeps the focus in the field.
    await asha.on("composer").pressSequentially("@")
    await option.click()
    await until(async () => (await asha.focused()) === "composer")
    expect(await asha.on("composer").inputValue()).toBe(`@${name} `)
    await asha.page.keyboard.press("Enter")
    // An edit that removes the name removes the mention.
    await mention(ben, `@${name}`).nth(1).waitFor()
    await asha.on("composer").press("ArrowUp")
    await asha.on("edit-field").fill("nobody at all")
    await asha.on("edit-field").press("Enter")
    await ben.message("nobody at all").waitFor()
    expect(await mention(ben, "nobody at all").count()).toBe(0)
    await asha.on("composer").waitFor()
  })

  it("a copied message link opens its message", async () => {
    await asha.context.grantPermissions(["clipboard-read", "clipboard-write"])
    await menu(asha, "Are you coming?")
    await item(asha, "Copy link").click()
    await asha.page.getByText("The link is copied.").waitFor()
    const link = await asha.page.evaluate(() => navigator.clipboard.readText())
    expect(link.startsWith(`${server.url}/chat#/c/`)).toBe(true)
    await ben.page.goto(link)
    const target = ben.message("Are you coming?")
    await until(() => target.evaluate((row) => row === document.activeElement))
    expect([asha.complaints, ben.complaints]).toEqual([[], []])
  })
})
