import type { Browser, CDPSession, Route } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canRun, launch, Person, Server } from "./world"

/** The announcements of a screen reader, in order: each change of a live region, with its politeness. */
function listen(): void {
  const spoken: string[] = []
  Object.assign(window, { spoken })
  const urgency = (element: Element | null) => {
    const region = element?.closest("[aria-live], [role=alert], [role=status]")
    if (!region) return null
    const live = region.getAttribute("aria-live")
    return live ?? (region.getAttribute("role") === "alert" ? "assertive" : "polite")
  }
  const last = new Map<Element, string>()
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      const element = target instanceof Element ? target : target.parentElement
      const how = urgency(element)
      if (how === null || how === "off" || !element) continue
      // Additions are read; a text that changes is read whole.
      const nodes = addedNodes.length > 0 ? [...addedNodes] : [target]
      const text = nodes.map((node) => node.textContent?.trim() ?? "").join(" ")
      if (text === "" || last.get(element) === text) continue
      last.set(element, text)
      spoken.push(`${how}: ${text.replace(/[\u2066-\u2069]/g, "")}`)
    }
  }).observe(document, { subtree: true, childList: true, characterData: true })
}

// docs/accessibility.md describes the same steps.
describe.skipIf(!canRun)("announcements of sent and received messages", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person
  let devtools: CDPSession

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    // Over HTTP, where a test can refuse a message; the page does not know the difference.
    asha = await Person.arrive(browser, server, "Asha", { bypassCSP: true, reducedMotion: "reduce" }, listen)
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await asha.signUp()
    devtools = await asha.context.newCDPSession(asha.page)
    await devtools.send("Accessibility.enable")
    await asha.open(ben)
    await asha.say("first")
    await ben.open(asha)
    await ben.message("first").waitFor()
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const forget = () =>
    asha.page.evaluate(() => {
      ;(window as unknown as { spoken: string[] }).spoken.length = 0
    })
  /** Without typing indicators, which come and go. */
  const spoken = () =>
    asha.page.evaluate(() =>
      (window as unknown as { spoken: string[] }).spoken.filter((one) => !/ typing|^polite: $/.test(one)),
    )
  const refuseAs = (code: string) => (route: Route) =>
    route.fulfill({
      status: 403,
      json: { success: false, error: "You may not write here.", code, retryable: false },
    })
  const state = (text: string) => asha.message(text).getAttribute("data-state")

  /** The name and the description of the message with this text, as the browser gives them to screen readers. */
  async function row(text: string): Promise<{ name: string; description: string }> {
    const { root } = await devtools.send("DOM.getDocument")
    const key = await asha.message(text).getAttribute("data-key")
    const { nodeId } = await devtools.send("DOM.querySelector", {
      nodeId: root.nodeId,
      selector: `[data-testid="message"][data-key="${key}"]`,
    })
    const { nodes } = await devtools.send("Accessibility.getPartialAXTree", { nodeId, fetchRelatives: false })
    const [node] = nodes
    const plain = (value: unknown) =>
      String(value ?? "")
        .replace(/\d{1,2}:\d\d( [AP]M)?/, "TIME")
        .replace(/[\u2066-\u2069]/g, "")
    return { name: plain(node?.name?.value), description: plain(node?.description?.value) }
  }

  it("51: a new message is announced once with its sender, and the focus stays in the field", async () => {
    await asha.on("composer").focus()
    await forget()
    await ben.say("Are you there?")
    await expect.poll(spoken).toEqual([`polite: ${ben.name}: Are you there?`])
    expect(await asha.focused()).toBe("composer")
    expect(await row("Are you there?")).toEqual({ name: `${ben.name}: Are you there? TIME`, description: "" })
    // A marker: the next announcement is that of a later message.
    await ben.say("A second one")
    await expect.poll(async () => (await spoken()).length).toBe(2)
    expect((await spoken())[1]).toBe(`polite: ${ben.name}: A second one`)
  })

  it("51: a sent message is not announced, and its row is labelled with sender, text, time and state", async () => {
    await forget()
    await asha.on("composer").focus()
    await asha.page.keyboard.type("I am here")
    await asha.page.keyboard.press("Enter")
    await expect.poll(() => state("I am here")).toBe("sent")
    expect(await asha.focused()).toBe("composer")
    expect(await asha.on("composer").inputValue()).toBe("")
    await expect.poll(() => row("I am here")).toEqual({ name: "You: I am here TIME", description: "Read" })
    expect(await spoken()).toEqual([])
  })

  it("28 51: a refused message is an alert; Retry works by keyboard, keeps the focus, and its success is announced", async () => {
    await asha.page.routeWebSocket(/\/api\/socketio/, (socket) => socket.close())
    await asha.page.route(/\/api\/socketio/, (route) => route.abort())
    await asha.page.route("**/api/privatechat/message", refuseAs("invalid"))
    await asha.page.reload()
    await asha.message("I am here").waitFor()
    await asha.on("composer").focus()
    await forget()
    await asha.page.keyboard.type("Shall we meet?")
    await asha.page.keyboard.press("Enter")
    await expect.poll(() => state("Shall we meet?")).toBe("failed")
    const alert = `assertive: Your message to ${ben.name} was not sent. You may not write here.`
    await expect.poll(spoken).toContain(alert)
    expect(await asha.focused()).toBe("composer")
    await expect
      .poll(() => row("Shall we meet?"))
      .toEqual({
        name: "You: Shall we meet? TIME",
        description: "Not sent. You may not write here.",
      })
    const note = asha.page.getByRole("group", { name: "This message was not sent" })
    expect(await note.ariaSnapshot()).toBe(
      [
        '- group "This message was not sent":',
        "  - strong: Not sent.",
        "  - text: You may not write here.",
        '  - button "Retry"',
        '  - button "Edit"',
        '  - button "Copy"',
        '  - button "Delete"',
      ].join("\n"),
    )
    expect(await violations(asha.page)).toEqual([])

    // From the field back to the actions on the message above it.
    const way: string[] = []
    while (way.at(-1) !== "retry" && way.length < 12) {
      await asha.page.keyboard.press("Shift+Tab")
      way.push(await asha.focused())
    }
    expect(way.slice(-4)).toEqual(["delete", "copy", "edit", "retry"])
    await asha.page.unroute("**/api/privatechat/message")
    await asha.page.keyboard.press("Enter")
    await expect.poll(() => state("Shall we meet?")).toBe("sent")
    // The button is gone, and the focus is where the user goes on.
    await expect.poll(() => asha.focused()).toBe("composer")
    const sent = `polite: Your message to ${ben.name} was sent.`
    await expect.poll(spoken).toContain(sent)
    const outcomes = (await spoken()).filter((one) => one.includes("Your message"))
    expect(outcomes).toEqual([alert, sent])
    await expect
      .poll(async () => (await row("Shall we meet?")).description)
      .toMatch(/^(Sent|Delivered|Read)$/)
  })

  it("53: when the composer closes, the focus moves from the field to the thread", async () => {
    await asha.page.route("**/api/privatechat/message", refuseAs("forbidden"))
    await asha.on("composer").focus()
    await asha.page.keyboard.type("Into the void")
    await asha.page.keyboard.press("Enter")
    await asha.on("no-writing").waitFor()
    await expect.poll(() => asha.focused()).toBe("thread")
    await asha.page.unroute("**/api/privatechat/message")
    await asha.on("composer-again").press("Enter")
    await expect.poll(() => state("Into the void")).toBe("sent")
    await expect.poll(() => asha.focused()).toBe("composer")
  })
})
