import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { canStart, closeOthers, isCluster, launch, Person, Server } from "./world"

describe.skipIf(!canStart || !isCluster)("killed nodes under open pages", () => {
  let browser: Browser
  const server = new Server()
  beforeAll(async () => {
    // On a loaded machine a page may need longer than the grace period of production to be back.
    ;[browser] = await Promise.all([launch(), server.start({ PRESENCE_GRACE: "60s" })])
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })
  afterEach(() => closeOthers(browser))

  it("P1 M5 two users keep writing while each node is killed in turn, and neither goes offline", async () => {
    const asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await asha.open(ben)
    await asha.say("before")
    await ben.on("conversation-item").first().click()
    await ben.message("before").waitFor()
    await asha.page.locator('[data-testid="thread-presence"] [data-presence="online"]').waitFor()
    // Records Ben's shown presence from now on.
    await asha.page.evaluate(() => {
      const seen = new Set<string>()
      Object.assign(window, { seen })
      const look = () => {
        const shown = document.querySelector('[data-testid="thread-presence"] [data-presence]')
        if (shown) seen.add((shown as HTMLElement).dataset.presence ?? "")
      }
      look()
      const options = { subtree: true, childList: true, attributes: true }
      new MutationObserver(look).observe(document.body, options)
    })
    const texts = ["before"]
    for (const [index, node] of (server.cluster?.nodes ?? []).entries()) {
      await node.kill()
      for (const person of [asha, ben]) {
        const text = `${person.name} without node ${index + 1}.`
        await person.say(text)
        for (const reader of [asha, ben])
          await reader.message(text).and(reader.page.locator('[data-state="sent"]')).waitFor()
        texts.push(text)
      }
      await node.start()
    }
    for (const person of [asha, ben])
      await expect.poll(() => person.page.locator("[data-content]").allInnerTexts()).toEqual(texts)
    await expect.poll(() => asha.on("receipt").last().getAttribute("data-receipt")).toBe("read")
    const seen = await asha.page.evaluate(() => [...(window as unknown as { seen: Set<string> }).seen])
    expect(seen).toContain("online")
    expect(seen).not.toContain("offline")
    expect([...asha.complaints, ...ben.complaints]).toEqual([])
  }, 180_000)
})
