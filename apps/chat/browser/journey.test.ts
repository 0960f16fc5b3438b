import type { Browser, Route } from "playwright-core"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { canRun, launch, Person, phone, Server, until } from "./world"

describe.skipIf(!canRun)("two people and the page", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })
  beforeEach(async () => {
    asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
  })
  afterEach(async () => {
    const complaints = [...asha.complaints, ...ben.complaints]
    await asha.close()
    await ben.close()
    expect(complaints).toEqual([])
  })

  it("4 5 8 50: see each other come, write, and are told how much is unread", async () => {
    const row = asha.page.getByRole("button", { name: `${ben.name}, online` }).first()
    await row.waitFor()
    await asha.open(ben)
    expect(await asha.focused()).toBe("composer")
    await asha.say("Are you there?")
    await asha.say("It is about the lamp.")
    await ben.on("unread").first().waitFor()
    await until(async () => (await ben.page.title()).startsWith("(2)"))
    expect(await ben.on("conversation-item").first().getAttribute("data-unread")).toBe("2")
    expect(await ben.page.locator('link[rel="icon"]').getAttribute("href")).toMatch(/^data:image\/png/)

    await ben.on("conversation-item").first().click()
    await ben.message("about the lamp").waitFor()
    await until(async () => (await ben.page.title()) === asha.name)
    expect(await ben.on("unread").count()).toBe(0)
    await until(async () => (await asha.on("receipt").last().getAttribute("data-receipt")) === "read")

    await ben.on("composer").pressSequentially("I am")
    await asha.on("typing").waitFor()
    await ben.on("composer").press("Enter")
    await asha.message("I am").waitFor()
    await until(async () => (await asha.on("typing").count()) === 0)
    // 51: spoken once, and only what is new.
    expect(await asha.on("announcer").textContent()).toBe(`${ben.name}: I am`)
    expect(await asha.on("log").getAttribute("aria-live")).toBe("off")
  })

  it("1: what is new waits below while one points at the list, and comes to the top once the pointer only lies there", async () => {
    await asha.open(ben)
    await asha.say("first")
    await ben.on("conversation-item").first().hover()
    const cleo = await (await Person.arrive(browser, server, "Cleo")).signUp()
    await ben.page.mouse.move(120, 130)
    await cleo.open(ben)
    await ben.page.mouse.move(120, 131)
    await cleo.say("second")
    await ben.on("unread").nth(1).waitFor()
    const names = () => ben.on("conversation-item").locator(".row-name").allInnerTexts()
    expect(await names()).toEqual([asha.name, cleo.name])
    await until(async () => (await names())[0] === cleo.name, 6_000)
    await cleo.close()
  })

  it("32: a message that comes, and one that is acknowledged, mounts no row anew", async () => {
    await asha.open(ben)
    await asha.say("first")
    await asha.message("first").waitFor()
    await asha.page.evaluate(() => {
      const row = document.querySelector('[data-testid="message"]') as HTMLElement & { mark?: boolean }
      row.mark = true
    })
    await until(async () => (await asha.message("first").getAttribute("data-state")) === "sent")
    await ben.on("conversation-item").first().click()
    await ben.say("second")
    await asha.message("second").waitFor()
    const kept = await asha.page.evaluate(
      () => (document.querySelector('[data-testid="message"]') as HTMLElement & { mark?: boolean }).mark,
    )
    expect(kept).toBe(true)
  })

  it("6 29 43 46: without a connection one keeps writing; it says what waits, and it arrives once and in order", async () => {
    await asha.open(ben)
    await asha.say("before")
    await until(async () => (await asha.message("before").getAttribute("data-state")) === "sent")
    await asha.context.setOffline(true)
    await asha.say("one")
    await asha.say("two")
    await asha.message("two").waitFor()
    expect(await asha.on("connection-banner").count()).toBe(0)
    await asha.on("connection-banner").waitFor({ timeout: 12_000 })
    expect(await asha.on("outbox-count").getAttribute("data-waiting")).toBe("2")
    expect(await asha.on("waiting").allInnerTexts()).toEqual([
      "Waiting for the connection",
      "Waiting for the message before it",
    ])
    // What is told lies below the banner, not over its button.
    await asha.on("composer").fill("x".repeat(8_001))
    await asha.on("composer").press("Enter")
    const toast = asha.page.locator("[data-sonner-toast]").first()
    await toast.waitFor()
    await asha.page.waitForTimeout(600)
    const banner = await asha.on("connection-banner").boundingBox()
    expect((await toast.boundingBox())?.y).toBeGreaterThan((banner?.y ?? 0) + (banner?.height ?? 0))
    await asha.on("composer").fill("")
    // 9: what is not known is not shown as known.
    await asha.page.locator('[data-testid="thread-presence"] [data-presence="unknown"]').waitFor()
    await asha.context.setOffline(false)
    await ben.on("conversation-item").first().click()
    await ben.message("two").waitFor({ timeout: 15_000 })
    const got = await ben.on("message").evaluateAll((rows) => rows.map((row) => row.dataset.seq))
    expect(got).toEqual(["1", "2", "3"])
    await until(async () => (await asha.on("connection-banner").count()) === 0)
  })

  it("29: says what a message waits for only once it has waited, and moves nothing by it", async () => {
    await asha.open(ben)
    await asha.page.evaluate(() => {
      const page = window as unknown as { notes: number }
      page.notes = 0
      new MutationObserver(() => {
        page.notes += document.querySelectorAll('[data-testid="waiting"]').length
      }).observe(document.body, { childList: true, subtree: true, characterData: true })
    })
    // Faster than any answer comes.
    await asha.on("composer").evaluate((field: HTMLTextAreaElement) => {
      const set = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value")?.set
      for (const text of ["one", "two", "three"]) {
        set?.call(field, text)
        field.dispatchEvent(new InputEvent("input", { bubbles: true }))
        field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }))
      }
    })
    await until(async () => (await asha.message("three").getAttribute("data-state")) === "sent")
    expect(await asha.page.evaluate(() => (window as unknown as { notes: number }).notes)).toBe(0)

    await asha.context.setOffline(true)
    await asha.say("four")
    await asha.message("four").waitFor()
    await asha.message("four").locator('[data-testid="waiting"]').waitFor()
    const height = async (text: string) => (await asha.message(text).boundingBox())?.height
    expect(await height("four")).toBe(await height("three"))
    const said = await asha.on("waiting").boundingBox()
    const log = await asha.on("log").boundingBox()
    expect(said?.x).toBeGreaterThan(log?.x ?? 0)
    await asha.say(`five ${"and more of it ".repeat(12)}`)
    await asha.on("waiting").nth(1).waitFor()
    const long = await asha.on("waiting").nth(1).boundingBox()
    expect(long?.x).toBeGreaterThan(log?.x ?? 0)
    await asha.context.setOffline(false)
  })

  it("46: where the browser keeps nothing, says that what waits is in this tab only, and asks before it is closed", async () => {
    const cleo = await (
      await Person.arrive(browser, server, "Cleo", {}, () => {
        IDBFactory.prototype.open = () => {
          throw new Error("no storage here")
        }
      })
    ).signUp()
    await cleo.open(ben)
    await cleo.say("before")
    await until(async () => (await cleo.message("before").getAttribute("data-state")) === "sent")
    const asked: string[] = []
    cleo.page.on("dialog", (dialog) => {
      asked.push(dialog.type())
      void dialog.dismiss()
    })
    await cleo.context.setOffline(true)
    await cleo.say("one")
    await cleo.message("one").waitFor()
    await cleo.on("connection-banner").waitFor({ timeout: 12_000 })
    expect(await cleo.on("outbox-count").innerText()).toBe("1 message waits in this tab; do not close it.")
    await cleo.page.close({ runBeforeUnload: true })
    await until(() => asked.length > 0)
    expect(asked).toEqual(["beforeunload"])
    // Nobody is asked once it has left.
    await cleo.context.setOffline(false)
    await until(async () => (await cleo.message("one").getAttribute("data-state")) === "sent", 15_000)
    await cleo.page.close({ runBeforeUnload: true })
    await until(() => cleo.page.isClosed())
    await cleo.close()
  })

  it("sends over HTTP while the socket is refused", async () => {
    await asha.open(ben)
    await asha.page.route(/\/api\/socketio/, (route) => route.abort())
    await asha.page.routeWebSocket(/\/api\/socketio/, (socket) => socket.close())
    await asha.page.reload()
    await asha.on("composer").waitFor()
    await asha.say("over another transport")
    await ben.on("conversation-item").first().click()
    await ben.message("over another transport").waitFor({ timeout: 15_000 })
    await until(
      async () => (await asha.message("over another transport").getAttribute("data-state")) === "sent",
      15_000,
    )
  })

  it("60: a server that fails is not called out of reach", async () => {
    await asha.page.route("**/api/privatechat/messages/**", (route) =>
      route.fulfill({
        status: 500,
        json: { success: false, error: "The disk is full.", code: "internal", retryable: true },
      }),
    )
    await asha.open(ben)
    const said = asha.page.getByRole("alert").filter({ hasText: "The messages could not be loaded." })
    await said.waitFor()
    expect(await said.textContent()).toContain("The disk is full.")
    await asha.page.unroute("**/api/privatechat/messages/**")
    await asha.page.getByRole("button", { name: "Try again" }).click()
    await asha.page.getByText("Say hello to").waitFor()
  })

  it("28: a refused message stays, survives a reload, and can be mended", async () => {
    await asha.open(ben)
    await asha.page.route(/\/api\/socketio/, (route) => route.abort())
    await asha.page.routeWebSocket(/\/api\/socketio/, (socket) => socket.close())
    const refuse = async (route: Route) => {
      // Long enough to go elsewhere meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 600))
      await route.fulfill({
        status: 403,
        json: { success: false, error: "You may not write here.", code: "forbidden", retryable: false },
      })
    }
    await asha.page.route("**/api/privatechat/message", refuse)
    await asha.page.reload()
    await asha.on("composer").waitFor()
    await asha.say("refused")
    await asha.message("refused").waitFor()
    await asha.page.evaluate(() => {
      location.hash = "#/"
    })
    const toast = asha.page.locator("[data-sonner-toast]")
    await toast.getByRole("button", { name: "Show" }).click({ timeout: 15_000 })
    await until(async () => (await asha.message("refused").getAttribute("data-state")) === "failed", 15_000)
    // Before one's eyes the row says it, and nothing lies over the page.
    await until(async () => (await toast.count()) === 0)
    await asha.on("retry").click()
    await until(async () => (await asha.message("refused").getAttribute("data-state")) === "sending")
    await until(async () => (await asha.message("refused").getAttribute("data-state")) === "failed", 15_000)
    await asha.page.getByRole("status").filter({ hasText: "was not sent" }).waitFor({ state: "attached" })
    expect(await toast.count()).toBe(0)
    expect(await asha.on("conversation-item").first().textContent()).toContain("Not sent:")
    await asha.page.reload()
    await until(async () => (await asha.message("refused").getAttribute("data-state")) === "failed")
    for (const action of ["retry", "edit", "copy", "delete"])
      expect(await asha.on(action).isVisible()).toBe(true)
    await asha.page.unroute("**/api/privatechat/message")
    // Deleted by mistake: the text comes back to the field, even to somebody who writes there by now.
    await asha.on("delete").click()
    await asha.on("composer").fill("written since")
    await asha.page.getByRole("button", { name: "Put it back" }).dispatchEvent("click")
    await until(async () => (await asha.on("composer").inputValue()) === "refused\nwritten since")
    await asha.on("composer").fill("refused")
    await asha.page.route("**/api/privatechat/message", refuse)
    await asha.on("composer").press("Enter")
    await until(async () => (await asha.message("refused").getAttribute("data-state")) === "failed", 15_000)
    await asha.page.unroute("**/api/privatechat/message")
    await asha.on("edit").click()
    await asha.page.getByRole("textbox", { name: "Edit" }).fill("mended")
    await asha.page.keyboard.press("Enter")
    await until(async () => (await asha.message("mended").getAttribute("data-state")) === "sent", 15_000)
  })

  it("38: a draft survives a switch and a reload, shows in its row, and goes when it is sent", async () => {
    await asha.open(ben)
    await asha.on("composer").fill("half a thought")
    await asha.page.evaluate(() => {
      location.hash = "#/"
    })
    await asha.on("conversation-item").filter({ hasText: "Draft:" }).waitFor()
    // What was typed is written down a moment later, not with every key.
    await asha.page.waitForTimeout(400)
    await asha.page.reload()
    await asha.on("conversation-item").first().click()
    await until(async () => (await asha.on("composer").inputValue()) === "half a thought")
    await asha.on("composer").press("Enter")
    await asha.message("half a thought").waitFor()
    expect(await asha.on("composer").inputValue()).toBe("")
    await asha.page.waitForTimeout(400)
    await asha.page.reload()
    await asha.message("half a thought").waitFor()
    expect(await asha.on("composer").inputValue()).toBe("")
  })

  it("36 37: Enter chooses the word while one composes, and is a new line under a finger", async () => {
    await asha.open(ben)
    await asha.on("composer").fill("にほん")
    await asha.on("composer").evaluate((field) => {
      field.dispatchEvent(
        new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true }),
      )
      field.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }))
      field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }))
    })
    expect(await asha.on("message").count()).toBe(0)
    expect(await asha.on("composer").inputValue()).toBe("にほん")

    const cleo = await (await Person.arrive(browser, server, "Cleo", phone)).signUp()
    await cleo.open(ben)
    await cleo.on("composer").fill("line")
    await cleo.on("composer").press("Enter")
    expect(await cleo.on("composer").inputValue()).toBe("line\n")
    await cleo.on("send").tap()
    await cleo.message("line").waitFor()
    // One panel at a time, and the way back.
    expect(await cleo.on("conversations").isVisible()).toBe(false)
    await cleo.on("back").tap()
    await cleo.on("conversation-item").first().waitFor()
    await cleo.close()
  })

  it("34 57: shows markup as text, and links only what is safe", async () => {
    await asha.open(ben)
    await asha.say("<img src=x onerror=alert(1)> javascript:alert(1) https://example.org/a")
    const bubble = asha.on("message").first().locator("[data-content]")
    await bubble.waitFor()
    expect(await bubble.locator("img").count()).toBe(0)
    expect(
      await bubble.locator("a").evaluateAll((links) => links.map((a) => a.getAttribute("href"))),
    ).toEqual(["https://example.org/a"])
    expect(await bubble.locator("a").getAttribute("rel")).toContain("noopener")
    expect(await bubble.getAttribute("dir")).toBe("auto")
  })

  it("signs out at once for everyone, and leaves no name in the title", async () => {
    await asha.open(ben)
    await ben.page.locator('[data-testid="status-menu"]:visible').click()
    await ben.on("sign-out").click()
    await ben.on("signin-form").waitFor()
    expect(await ben.page.title()).toBe("Lamplight")
    await asha.page
      .locator('[data-testid="thread-presence"] [data-presence="offline"]')
      .waitFor({ timeout: 2_000 })
  })
})
