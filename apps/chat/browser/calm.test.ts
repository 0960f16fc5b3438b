import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { animationsEnd, canRun, launch, Person, resize, restore, Server, settled, until } from "./world"

describe.skipIf(!canRun)("the layout of a thread", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    ;[asha, ben] = (await Promise.all(
      ["Asha", "Ben"].map(async (name) => (await Person.arrive(browser, server, name)).signUp()),
    )) as [Person, Person]
    await asha.open(ben)
    await asha.say("Good morning")
    await ben.open(asha)
    await ben.say("And to you")
    await asha.message("And to you").waitFor()
  })
  afterEach(() => restore(asha))
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const box = async (selector: string) => {
    const found = await settled(asha.page, () => asha.page.locator(selector).last().boundingBox())
    if (!found) throw new Error(`${selector} is not to be seen`)
    return found
  }

  it("a short thread sits at the bottom without names, and header, messages and composer share their edges", async () => {
    for (const [width, height] of [
      [1360, 860],
      [1920, 1000],
    ] as const) {
      await resize(asha.page, width, height)
      const log = await box("[data-testid=log]")
      const last = await box("[data-testid=message]:not([data-own]) .bubble")
      const own = await box("[data-testid=message][data-own] .bubble")
      const field = await box(".composer-field:not([hidden])")
      const face = await box(".thread-head .avatar")
      expect(log.y + log.height - (last.y + last.height)).toBeLessThan(40)
      expect((await box("[data-testid=day]")).y).toBeGreaterThan(log.y + log.height / 2)
      for (const edge of [face.x, field.x]) expect(Math.abs(edge - last.x)).toBeLessThanOrEqual(1)
      expect(Math.abs(own.x + own.width - (field.x + field.width))).toBeLessThanOrEqual(1)
    }
    expect(await asha.page.locator(".log .group-name").count()).toBe(0)
    // Two senders, and no pause between them: one time.
    expect(await asha.page.locator(".log .group-time").count()).toBe(1)
  })

  it("a sent message animates in place for 120 ms, and its bubble has enough contrast in the dark theme", async () => {
    await asha.context.setOffline(true)
    await asha.say("On my way")
    const row = asha.message("On my way")
    const bubble = row.locator(".bubble")
    await bubble.waitFor()
    await animationsEnd(asha.page)
    const place = () => settled(asha.page, () => bubble.boundingBox())
    const sending = await place()
    expect(await row.getAttribute("data-state")).toBe("sending")
    await asha.context.setOffline(false)
    await expect.poll(() => row.getAttribute("data-state")).toBe("sent")
    expect(await place()).toEqual(sending)
    const { durations, contrast, text } = await bubble.evaluate(async (element) => {
      const root = document.documentElement
      const theme = root.dataset.theme ?? "light"
      root.dataset.theme = "dark"
      const { transitionDuration } = getComputedStyle(element)
      await Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})))
      const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
      const light = (colour: string) => {
        if (!canvas) throw new Error("no canvas")
        canvas.fillStyle = colour
        canvas.fillRect(0, 0, 1, 1)
        const [r = 0, g = 0, b = 0] = [...canvas.getImageData(0, 0, 1, 1).data].map((value) => {
          const part = value / 255
          return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
        })
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
      }
      const ratio = (one: string, other: string) => {
        const [low = 1, high = 1] = [light(one), light(other)].sort((a, b) => a - b)
        return high / low
      }
      const { backgroundColor, color } = getComputedStyle(element)
      const ground = getComputedStyle(document.querySelector(".panel-thread") as Element).backgroundColor
      root.dataset.theme = theme
      return {
        durations: [...new Set(transitionDuration.split(", "))],
        contrast: ratio(backgroundColor, ground),
        text: ratio(backgroundColor, color),
      }
    })
    expect(durations).toEqual(["0.12s"])
    expect(contrast).toBeGreaterThan(1.9)
    expect(text).toBeGreaterThanOrEqual(4.5)
  })

  it("the day label shows while the user scrolls, hides afterwards, and is hidden from screen readers", async () => {
    await asha.pour(60, (n) => `Line ${n}`)
    await asha.message("Line 59").waitFor()
    const day = asha.on("floating-day")
    // The log scrolled to its end by itself.
    expect(await day.count()).toBe(0)
    await asha.on("log").hover()
    await until(async () => {
      await asha.page.mouse.wheel(0, -40)
      return (await asha.page.locator("[data-testid=floating-day][data-shown]").count()) === 1
    })
    expect(await day.innerText()).toBe("Today")
    expect(await day.locator("xpath=..").getAttribute("aria-hidden")).toBe("true")
    await until(async () => (await asha.page.locator("[data-testid=floating-day][data-shown]").count()) === 0)
  })
})
