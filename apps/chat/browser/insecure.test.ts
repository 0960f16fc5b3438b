import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { canStart, launch, Person, Server } from "./world"

/** A host name of this machine that the browser does not treat as local: plain HTTP is then no secure context, as on a LAN. */
const NAME = "lan.example"

describe.skipIf(!canStart)("F21 the page over plain HTTP on a LAN", () => {
  let browser: Browser
  const server = new Server()
  const lan = new Server()
  beforeAll(async () => {
    ;[browser] = await Promise.all([
      launch(`--host-resolver-rules=MAP ${NAME} 127.0.0.1`),
      server.start({ PRESENCE_GRACE: "1s" }),
    ])
    lan.url = server.url.replace("127.0.0.1", NAME)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  it("F21 two users sign up and exchange messages, each message makes one sound, and texts can be copied", async () => {
    const asha = await (await Person.arrive(browser, lan, "Asha")).signUp()
    const sounds = () => {
      // Counts sounds over all tabs, instead of making them.
      class Counted {
        constructor() {
          localStorage.setItem("sounds", `${Number(localStorage.getItem("sounds") ?? 0) + 1}`)
          throw new Error("no sound here")
        }
      }
      Object.assign(window, { AudioContext: Counted })
    }
    const ben = await (await Person.arrive(browser, lan, "Ben", {}, sounds)).signUp()
    const second = await ben.context.newPage()
    await second.goto(`${lan.url}/chat`)
    await second.locator('[data-testid="status-menu"]:visible').waitFor()
    const missing = await ben.page.evaluate(() => [
      isSecureContext,
      "locks" in navigator,
      "clipboard" in navigator,
      "serviceWorker" in navigator,
    ])
    expect(missing).toEqual([false, false, false, false])

    await asha.open(ben)
    await asha.say("see `this` and\n```\ncode to copy\n```")
    for (const page of [ben.page, second]) await page.locator('[data-testid="unread"]').waitFor()
    const soundCount = () => ben.page.evaluate(() => localStorage.getItem("sounds"))
    await expect.poll(soundCount).toBe("1")

    await ben.on("conversation-item").first().click()
    await ben.message("code to copy").waitFor()
    await ben.message("code to copy").locator(".code-copy").click()
    await ben.page.getByRole("button", { name: "Copied" }).waitFor()
    await ben.say("and back")
    await asha.message("and back").waitFor()
    expect(await soundCount()).toBe("1")
    expect(asha.complaints).toEqual([])
    expect(ben.complaints.filter((complaint) => complaint !== "no sound here")).toEqual([])
    await Promise.all([asha.close(), ben.close()])
  })
})
