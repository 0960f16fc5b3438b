import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { wav } from "../../../tests/e2e/support/media.mjs"
import { violations } from "./axe"
import { canRun, frames, launch, Person, phone, Server } from "./world"

/** In seconds. */
const LENGTH = 30
const NAMES = ["first.wav", "second.wav"]

describe.skipIf(!canRun)("audio in messages", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha", { bypassCSP: true })).signUp()
    ben = await (await Person.arrive(browser, server, "Ben", { ...phone, bypassCSP: true })).signUp()
    await asha.open(ben)
    for (const name of NAMES) {
      await asha.on("file-input").setInputFiles({ name, mimeType: "audio/wav", buffer: wav(LENGTH) })
      await asha.page.locator('[data-testid="upload"][data-state="ready"]').waitFor()
      await asha.on("send").click()
      await sound(name).waitFor()
    }
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const sound = (name: string, person = asha) => person.on("audio").filter({ hasText: name })
  const button = (name: string, person = asha) => sound(name, person).getByTestId("play")
  const state = (name: string, person = asha) =>
    expect.poll(() => sound(name, person).getAttribute("data-state"))
  const time = async (name: string) => Number(await sound(name).getByTestId("seek").inputValue())

  it("one plays at a time, resumes at its last position, and can be seeked by keyboard", async () => {
    // The duration is known before playback.
    expect(await sound("first.wav").getByTestId("play-time").textContent()).toBe("0:30")
    await button("first.wav").click()
    await state("first.wav").toBe("playing")
    await expect.poll(() => time("first.wav")).toBeGreaterThan(0.2)
    await button("second.wav").click()
    await state("second.wav").toBe("playing")
    await state("first.wav").toBe("paused")
    const left = await time("first.wav")
    expect(left).toBeGreaterThan(0.2)

    const seek = sound("first.wav").getByTestId("seek")
    await seek.press("End")
    expect(await time("first.wav")).toBe(LENGTH)
    await seek.press("Home")
    await seek.press("ArrowRight")
    await seek.press("ArrowRight")
    await seek.press("ArrowLeft")
    expect(await time("first.wav")).toBe(LENGTH / 6)
    expect(await seek.getAttribute("aria-valuetext")).toBe("0:05 of 0:30")
    // The other one still plays: seeking in paused audio does not start it.
    await state("second.wav").toBe("playing")
    await button("first.wav").press("Enter")
    await state("first.wav").toBe("playing")
    await state("second.wav").toBe("paused")
    expect(await time("first.wav")).toBeGreaterThanOrEqual(LENGTH / 6)
    expect(await violations(asha.page)).toEqual([])
    await button("first.wav").press("Enter")
    await state("first.wav").toBe("paused")
  })

  it("the chosen speed applies, also after a reload", async () => {
    const speed = sound("first.wav").getByTestId("speed")
    expect(await speed.getAttribute("aria-label")).toBe("Speed 1×")
    // From above: the actions of the message below would cover it.
    await button("first.wav").hover()
    await speed.click()
    await speed.click()
    expect(await sound("second.wav").getByTestId("speed").textContent()).toBe("2×")
    await asha.page.reload()
    await button("first.wav").hover()
    expect(await speed.textContent()).toBe("2×")
    await speed.click()
    expect(await speed.textContent()).toBe("1×")
  })

  it("playback continues out of view with a pause bar, and ends with the conversation", async () => {
    await button("first.wav").click()
    await state("first.wav").toBe("playing")
    expect(await asha.on("sound-bar").count()).toBe(0)
    await asha.pour(60, (n) => `Line ${n}.`)
    await asha.message("Line 59.").waitFor()
    await asha.on("sound-bar").filter({ hasText: "first.wav" }).waitFor()
    expect(await violations(asha.page)).toEqual([])
    const press = () => asha.on("bar-play").click()
    await press()
    await asha.page.getByRole("button", { name: "Play ⁨first.wav⁩" }).waitFor()
    await press()
    await asha.page.getByRole("button", { name: "Pause ⁨first.wav⁩" }).waitFor()
    await asha.on("log").evaluate((log) => {
      log.scrollTop = 0
    })
    await asha.on("sound-bar").waitFor({ state: "detached" })
    await state("first.wav").toBe("playing")
    await asha.page.evaluate(() => {
      location.hash = "#/"
    })
    await asha.on("conversation-item").click()
    await asha.on("log").evaluate((log) => {
      log.scrollTop = 0
    })
    await sound("first.wav").waitFor()
    await state("first.wav").toBe("paused")
  })

  it("unplayable audio shows an error and plays once it can; touch targets have 44 px", async () => {
    await ben.page.evaluate(
      (id) => {
        location.hash = `#/c/${encodeURIComponent(id)}`
      },
      await asha.conversationId(),
    )
    await ben.on("log").evaluate((log) => {
      log.scrollTop = 0
    })
    await sound("first.wav", ben).waitFor()
    for (const id of ["play", "seek", "speed"]) {
      const box = await sound("first.wav", ben).getByTestId(id).boundingBox()
      expect(Math.min(box?.width ?? 0, box?.height ?? 0), id).toBeGreaterThanOrEqual(44)
    }
    expect(await violations(ben.page)).toEqual([])
    await ben.page.route("**/api/files/**", (route) => route.abort())
    await button("first.wav", ben).tap()
    await state("first.wav", ben).toBe("failed")
    await sound("first.wav", ben).getByText("This cannot be played.").waitFor()
    await ben.page.unroute("**/api/files/**")
    await button("first.wav", ben).tap()
    await state("first.wav", ben).toBe("playing")
    await frames(ben.page)
    expect(ben.complaints).toEqual([])
  })
})
