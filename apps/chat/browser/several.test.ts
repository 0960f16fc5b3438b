import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { canStart, launch, Person, Server } from "./world"

const key = "a-key-that-only-the-host-application-has"

describe.skipIf(!canStart)("a conversation of several users that the host application created", () => {
  let browser: Browser
  const server = new Server()
  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start({ SERVER_KEY: key })])
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  it("it shows its members and the sender of each message", async () => {
    const [asha, ben, cleo] = [
      await (await Person.arrive(browser, server, "Asha")).signUp(),
      await (await Person.arrive(browser, server, "Ben")).signUp(),
      await (await Person.arrive(browser, server, "Cleo")).signUp(),
    ]
    const memberIds = await Promise.all([asha, ben, cleo].map((person) => person.userId()))
    const made = await fetch(`${server.url}/api/privatechat/conversations/team-1`, {
      method: "PUT",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ memberIds }),
    })
    expect(made.ok).toBe(true)

    const row = (person: Person) => person.page.locator('[data-conversation-id="team-1"]')
    await asha.page.reload()
    await row(asha).click()
    const seen = (text: string | null) => text?.replace(/[\u2066-\u2069]/g, "")
    const names = `${ben.name} and ${cleo.name}`
    await expect.poll(async () => seen(await asha.on("thread-name").textContent())).toBe(names)
    await expect.poll(() => asha.page.title()).toBe(names)
    await expect.poll(async () => seen(await row(asha).locator(".row-name").innerText())).toBe(names)
    expect(await row(asha).innerText()).not.toMatch(/unknown/i)
    const label = async () => seen(await asha.on("composer").getAttribute("aria-label"))
    await expect.poll(label).toBe(`Write to ${names}`)

    for (const person of [ben, cleo]) {
      await person.page.reload()
      await row(person).click()
      await person.say(`from ${person.name}`)
      await asha.message(`from ${person.name}`).waitFor()
    }
    const authors = () => asha.page.locator(".group-name").allInnerTexts()
    await expect.poll(authors).toEqual([ben.name, cleo.name])
    expect(await asha.message(`from ${cleo.name}`).getAttribute("data-author")).toBe(cleo.name)
    const last = `${cleo.name}: from ${cleo.name}`
    await expect.poll(() => asha.on("announcer").textContent()).toBe(last)
    await expect.poll(() => row(asha).locator(".row-preview").textContent()).toContain(last)

    // Written on until the other page shows it: a notice is not repeated to a page that was busy for its time.
    const typing = async () => {
      await ben.on("composer").pressSequentially("and ")
      return (await asha.on("typing").allTextContents()).map(seen).join()
    }
    await expect.poll(typing).toBe(`${ben.name} is typing…`)
    // A message is read once all members have read it.
    await asha.say("to both")
    await expect.poll(() => asha.on("receipt").last().getAttribute("data-receipt")).toBe("read")
    for (const person of [asha, ben, cleo]) {
      expect(person.complaints).toEqual([])
      await person.close()
    }
  })
})
