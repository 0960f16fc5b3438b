import { createHmac } from "node:crypto"
import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { canStart, closeOthers, launch, Person, serversOfTest, until } from "./world"

describe.skipIf(!canStart)("the sign-in pages", () => {
  let browser: Browser
  const start = serversOfTest()
  beforeAll(async () => {
    browser = await launch()
  })
  afterAll(() => browser?.close())
  afterEach(() => closeOthers(browser))

  it("open: the page asks for a user id, and two tabs can be two users", async () => {
    const server = await start({ AUTH: "open" })
    const noor = await Person.arrive(browser, server, "Noor")
    await noor.on("open-form").waitFor()
    await noor.page.locator("[name=userId]").fill("42")
    await noor.page.locator("[name=name]").fill(noor.name)
    await noor.page.keyboard.press("Enter")
    await noor.page.locator('[data-testid="status-menu"]:visible').waitFor()

    const tab = await noor.context.newPage()
    await tab.goto(`${server.url}/chat`)
    await tab.locator("[name=userId]").fill("43")
    await tab.keyboard.press("Enter")
    await tab.getByRole("button", { name: `${noor.name}, online` }).click()
    await tab.locator('[data-testid="composer"]').fill("from one tab to the next")
    await tab.locator('[data-testid="composer"]').press("Enter")
    await noor.on("conversation-item").first().click()
    await noor.message("from one tab to the next").waitFor()
    // It is kept for the tab.
    await noor.page.reload()
    await noor.message("from one tab to the next").waitFor()
    expect(noor.complaints).toEqual([])
    await noor.close()
  })

  it.each(["local", "open", "jwt"])("%s: a first visit sends no request that is refused", async (auth) => {
    const secret = "a secret that is long enough for HS256"
    const server = await start({ AUTH: auth, ...(auth === "jwt" && { JWT_SECRET: secret }) })
    const context = await browser.newContext({ serviceWorkers: "block" })
    const page = await context.newPage()
    const refused: string[] = []
    page.on("response", (answer) => {
      if (answer.status() >= 400) refused.push(`${answer.status()} ${new URL(answer.url()).pathname}`)
    })
    page.on("console", (message) => {
      if (message.type() === "error") refused.push(message.text())
    })
    await page.goto(`${server.url}/chat`)
    await page.getByRole("heading", { level: 1 }).waitFor()
    await page.locator("form").waitFor()
    expect(refused).toEqual([])
  })

  it("jwt: the page asks for a token, and removes one from the address after reading it", async () => {
    const secret = "a secret that is long enough for HS256"
    const server = await start({ AUTH: "jwt", JWT_SECRET: secret })
    const stranger = await Person.arrive(browser, server, "Stranger")
    await stranger.page.getByRole("heading", { name: "A token is needed" }).waitFor()

    // H13: a link does not sign in by itself, and neither does navigating an open page there.
    const link = `${server.url}/chat#token=${token(secret, { sub: "7", name: "Mireille é" })}`
    await stranger.page.goto(link)
    await stranger.page.getByRole("heading", { name: /^Sign in as .Mireille é.\?$/ }).waitFor()
    await expect.poll(() => stranger.page.url()).not.toContain("token")
    await stranger.page.getByRole("button", { name: "Do not use it" }).click()
    await stranger.on("token-form").waitFor()
    expect(await stranger.page.evaluate(() => sessionStorage.getItem("lamplight:token"))).toBeNull()
    await stranger.page.goto("about:blank")
    await stranger.page.goto(link)
    await stranger.on("token-use").click()
    const menu = stranger.page.locator('[data-testid="status-menu"]:visible')
    await until(async () => (await menu.textContent())?.includes("Mireille é, online") ?? false)
    await expect.poll(() => stranger.page.url()).not.toContain("token")
    await stranger.close()

    const liar = await Person.arrive(browser, server, "Liar")
    await liar.page
      .locator("[name=token]")
      .fill(token("another secret, just as long as that one", { sub: "7" }))
    await liar.page.keyboard.press("Enter")
    // F37: no user was signed in, so the page does not report a sign-out.
    await liar.page.getByText("The server did not accept this token").waitFor()
    expect(await liar.page.getByText("You were signed out").count()).toBe(0)
    await liar.on("token-form").waitFor()
    await liar.page.goto("about:blank")
    await liar.page.goto(`${server.url}/chat#token=%E0%A4%A`)
    await liar.on("token-form").waitFor()
    expect([...stranger.complaints, ...liar.complaints]).toEqual([])
    await liar.close()
  })

  it("local: after a session ended elsewhere, the same user returns to the same conversation", async () => {
    const server = await start()
    const asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await asha.open(ben)
    await asha.say("before")
    await expect.poll(() => asha.message("before").getAttribute("data-state")).toBe("sent")
    await asha.on("composer").fill("half a thought")
    await expect.poll(() => asha.storedDrafts()).toContain("half a thought")
    const address = asha.page.url()
    // Not by the page's own button, but like another device or the session's expiry.
    const endSession = async () => {
      const ok = await asha.page.evaluate(async () => {
        const headers = { "content-type": "application/json" }
        return (await fetch("/api/auth/logout", { method: "POST", headers, body: "{}" })).ok
      })
      expect(ok).toBe(true)
    }
    await endSession()
    await asha.on("signin-form").waitFor()
    await asha.page.getByText("You were signed out. Your unsent messages are kept.").waitFor()
    await expect.poll(() => asha.page.url()).toBe(address)
    await asha.signIn()
    await asha.message("before").waitFor()
    await expect.poll(() => asha.on("composer").inputValue()).toBe("half a thought")

    // Another user is not shown a conversation of the first one.
    await endSession()
    await asha.on("signin-form").waitFor()
    const cleo = await (await Person.arrive(browser, server, "Cleo")).signUp()
    await asha.signIn(cleo.username)
    await asha.page.getByText("No conversations yet").waitFor()
    await expect.poll(() => asha.page.url()).toMatch(/#\/$/)

    // After a sign-out there is no notice, and no address remains.
    await cleo.open(ben)
    await cleo.page.locator('[data-testid="status-menu"]:visible').click()
    await cleo.on("sign-out").click()
    await cleo.on("signin-form").waitFor()
    expect(await cleo.page.getByText("You were signed out").count()).toBe(0)
    await expect.poll(() => cleo.page.url()).toMatch(/#\/$/)
    for (const person of [asha, ben, cleo]) {
      expect(person.complaints).toEqual([])
      await person.close()
    }
  })

  it("9: the page does not show “nobody online” while the roster is unknown", async () => {
    const server = await start()
    const asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    const count = asha.on("online-count")
    await expect.poll(() => count.textContent()).toBe("Only you are online")
    await asha.context.setOffline(true)
    await expect.poll(() => count.textContent()).toBe("Presence is unknown right now")
    await asha.close()
  })

  it("60: a new user sees one empty state, can invite, and finds all users, also offline ones", async () => {
    const server = await start()
    const cleo = await Person.arrive(browser, server, "Cleo")
    await cleo.on("signin-switch").click()
    // The privacy note shows before registration.
    expect(await cleo.on("privacy").innerText()).toContain("Whoever runs it can read them")
    await cleo.page.reload()
    await cleo.signUp()
    await cleo.close()
    const granted = { permissions: ["clipboard-read", "clipboard-write"] }
    const asha = await (await Person.arrive(browser, server, "Asha", granted)).signUp()
    await asha.on("invite").waitFor()
    expect(await asha.page.locator(".state").count()).toBe(1)
    await asha.on("invite").click()
    await asha.page.getByRole("button", { name: "Link copied" }).waitFor()
    const copied = await asha.page.evaluate(() => navigator.clipboard.readText())
    expect(copied).toBe(`${server.url}/chat`)
    const row = asha.on("other-user").filter({ hasText: cleo.name })
    await row.waitFor()
    // The picture of an offline user has no presence mark.
    await row.locator('[data-presence="offline"]').waitFor({ state: "attached" })
    expect(await row.locator(".presence-icon").count()).toBe(0)
    await row.click()
    await asha.on("composer").waitFor()
    expect(await asha.on("invite").count()).toBe(0)
    expect(asha.complaints).toEqual([])
    await asha.close()
  })

  it("a server killed in mid-send has each message once and in order after its restart", async () => {
    const server = await start()
    const asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await asha.open(ben)
    const texts: string[] = []
    for (let i = 0; i < 24; i += 1) {
      const text = `number ${i}.`
      texts.push(text)
      await asha.say(text)
      if (i === 9) await server.kill()
      if (i === 17) await server.again()
    }
    await until(
      async () => (await asha.page.locator('[data-testid="message"]:not([data-state="sent"])').count()) === 0,
      60_000,
    )
    await ben.on("conversation-item").first().click()
    await ben.message("number 23.").waitFor()
    await ben.page.reload()
    await ben.message("number 23.").waitFor()
    const kept = await ben.page.evaluate(async () => {
      const id = decodeURIComponent(location.hash.replace("#/c/", ""))
      const answer = await fetch(`/api/privatechat/messages/${encodeURIComponent(id)}?limit=200`)
      return (await answer.json()).data.map((message: { content: string }) => message.content)
    })
    expect(kept).toEqual(texts)
    await asha.close()
    await ben.close()
  })
})

/** A token like that of a host application. */
function token(secret: string, claims: Record<string, unknown>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const now = Math.floor(Date.now() / 1000)
  const body = `${part({ alg: "HS256", typ: "JWT" })}.${part({ iat: now, exp: now + 300, ...claims })}`
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`
}
