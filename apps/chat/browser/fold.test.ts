import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { canRun, frames, launch, Person, Server, settled } from "./world"

const LINES = Array.from({ length: 300 }, (_, n) => `Step ${n} of https://example.com/${n}`)
const LONG = LINES.join("\n").slice(0, 7_900)

describe.skipIf(!canRun)("a very long message", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha", { bypassCSP: true })).signUp()
    const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await asha.open(ben)
    await asha.say("hello")
    await asha.message("hello").waitFor()
    await asha.pour(30, (n) => `Line ${n}.`)
    await asha.pour(1, () => LONG)
    await asha.on("fold").waitFor()
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  /** The positions of the message, its button and the next message on the screen. */
  const places = () =>
    settled(asha.page, () =>
      asha.page.evaluate(() => {
        const top = (selector: string) =>
          Math.round(document.querySelector(selector)?.getBoundingClientRect().top ?? -1e9)
        const message = document.querySelector(".message:has(.fold-button)")
        return {
          message: Math.round(message?.getBoundingClientRect().top ?? -1e9),
          height: Math.round(message?.getBoundingClientRect().height ?? 0),
          button: top(".fold-button"),
          end: Math.round(document.querySelector(".log")?.getBoundingClientRect().bottom ?? 0),
        }
      }),
    )
  const copied = () =>
    asha.page.evaluate(() => {
      const bubble = document.querySelector(".message:has(.fold-button) [data-content]") as HTMLElement
      getSelection()?.selectAllChildren(bubble)
      const data = new DataTransfer()
      bubble.dispatchEvent(
        new ClipboardEvent("copy", { clipboardData: data, bubbles: true, cancelable: true }),
      )
      getSelection()?.removeAllRanges()
      return data.getData("text/plain")
    })

  it("12 18: it is collapsed, expands in place, and collapses again under the pointer", async () => {
    const folded = await places()
    expect(folded.height).toBeLessThan(600)
    expect(await copied()).toBe(LONG)
    expect(await violations(asha.page)).toEqual([])

    await asha.on("fold").press("Enter")
    const open = await places()
    expect(open.height).toBeGreaterThan(4_000)
    // The view was at the end, and does not follow it.
    expect(Math.abs(open.message - folded.message)).toBeLessThanOrEqual(1)
    // The button is in view, though it ends far below, and has the focus.
    expect(open.button).toBeLessThan(open.end)
    expect(await asha.focused()).toBe("fold")
    expect(await asha.on("fold").getAttribute("aria-expanded")).toBe("true")
    expect(await violations(asha.page)).toEqual([])
    expect(await copied()).toBe(LONG)

    await asha.on("log").evaluate((log) => {
      log.scrollTop += 1_500
    })
    const middle = await places()
    expect(middle.button).toBe(open.button)
    await asha.on("fold").click()
    const again = await places()
    expect(again.height).toBe(folded.height)
    expect(Math.abs(again.button - middle.button)).toBeLessThanOrEqual(1)
  })

  it("it stays expanded while its row is not rendered", async () => {
    await asha.on("fold").click()
    const { height } = await places()
    const scrollTo = (place: "top" | "end") =>
      asha.on("log").evaluate((log, place) => {
        log.scrollTop = place === "top" ? 0 : log.scrollHeight
      }, place)
    // The focus would keep the row.
    await asha.on("composer").focus()
    await scrollTo("top")
    await expect.poll(() => asha.on("fold").count()).toBe(0)
    await scrollTo("end")
    await asha.on("fold").waitFor()
    expect((await places()).height).toBe(height)
    await asha.on("fold").click()
    await frames(asha.page)
  })

  it("it expands when a link in it gets the focus", async () => {
    await asha.on("composer").focus()
    await asha.page.evaluate(() => document.querySelector<HTMLElement>('a[href$="/90"]')?.focus())
    await expect.poll(() => asha.on("fold").getAttribute("aria-expanded")).toBe("true")
    const link = await settled(asha.page, () => asha.page.locator('a[href$="/90"]').boundingBox())
    const { end } = await places()
    expect(link?.y).toBeGreaterThan(0)
    expect(link?.y).toBeLessThan(end)
  })
})
