import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { gradient } from "../../../tests/e2e/support/media.mjs"
import { canRun, closeOthers, frames, launch, Person, phone, Server, settled, until } from "./world"

describe.skipIf(!canRun)("touch", () => {
  let browser: Browser
  const server = new Server()
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
  })
  afterEach(() => closeOthers(browser, ben))
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const arrive = async (options = {}) =>
    (await Person.arrive(browser, server, "Asha", { ...phone, ...options })).signUp()
  /** A conversation with Ben in the list, and the list in view. */
  async function withBen(asha: Person) {
    await asha.open(ben)
    await asha.on("composer").fill("hello")
    await asha.on("send").tap()
    await asha.message("hello").waitFor()
    await asha.on("back").tap()
    await asha.on("conversation-item").first().waitFor()
  }
  const focusOpensKeyboard = (asha: Person) =>
    asha.page.evaluate(() => document.activeElement?.matches("input, textarea") ?? false)

  it("56: the composer stays above the keyboard, within the safe areas, and fields do not make the page zoom", async () => {
    const asha = await arrive()
    await withBen(asha)
    const meta = await asha.page.locator('meta[name="viewport"]').getAttribute("content")
    expect(meta).toContain("width=device-width")
    expect(meta).toContain("viewport-fit=cover")
    expect(meta).toContain("interactive-widget=resizes-content")
    // Pinch zoom stays.
    expect(meta).not.toMatch(/user-scalable|maximum-scale/)
    const small = () =>
      asha.page.evaluate(() =>
        [...document.querySelectorAll("input, textarea")]
          .filter((field) => Number.parseFloat(getComputedStyle(field).fontSize) < 16)
          .map((field) => field.outerHTML),
      )
    expect(await small()).toEqual([])
    await asha.on("conversation-item").first().tap()
    await asha.on("composer").waitFor()
    expect(await small()).toEqual([])

    const field = () => asha.page.locator(".composer-field").boundingBox()
    const bottom = async () => {
      const box = await settled(asha.page, field)
      return (box?.y ?? 0) + (box?.height ?? 0)
    }
    // The home bar of a phone without a button.
    const devtools = await asha.context.newCDPSession(asha.page)
    await devtools.send("Emulation.setSafeAreaInsetsOverride", { insets: { top: 47, bottom: 34 } })
    await until(async () => (await bottom()) <= 844 - 34)
    const head = await asha.page.locator(".thread-head").boundingBox()
    expect(head?.y).toBeGreaterThanOrEqual(47)
    await devtools.send("Emulation.setSafeAreaInsetsOverride", { insets: { top: 0, bottom: 0 } })
    await until(async () => (await bottom()) > 844 - 34)

    // A keyboard that shrinks the page, as on Android.
    await asha.on("composer").tap()
    await asha.page.setViewportSize({ width: 390, height: 480 })
    await until(async () => (await bottom()) <= 480)
    expect(await asha.page.evaluate(() => document.body.clientHeight)).toBe(480)
    await asha.page.setViewportSize({ width: 390, height: 844 })
    await until(async () => (await bottom()) > 480)
    // A keyboard that covers the page, as on iOS: only the visible part is smaller.
    const cover = (height: number) =>
      asha.page.evaluate((left) => {
        const seen = window.visualViewport
        if (!seen) throw new Error("no visual viewport")
        Object.defineProperty(seen, "height", { value: left, configurable: true })
        seen.dispatchEvent(new Event("resize"))
      }, height)
    await cover(500)
    await until(async () => (await bottom()) <= 500)
    await cover(844)
    await until(async () => (await bottom()) > 500)
    // A zoomed page is left unchanged.
    await asha.page.evaluate(() => {
      Object.defineProperty(window.visualViewport, "scale", { value: 2, configurable: true })
    })
    await cover(422)
    await frames(asha.page)
    expect(await bottom()).toBeGreaterThan(500)
  })

  it("F34: a tap on a conversation or a person does not open the keyboard, and a tap on the field does", async () => {
    const asha = await arrive()
    await asha.page.getByRole("button", { name: "People" }).tap()
    await asha.on("online-user").filter({ hasText: ben.name }).tap()
    await asha.on("composer").waitFor()
    await frames(asha.page)
    expect(await focusOpensKeyboard(asha)).toBe(false)
    await asha.on("composer").tap()
    expect(await focusOpensKeyboard(asha)).toBe(true)
    await asha.on("composer").fill("hello")
    await asha.on("send").tap()
    await asha.message("hello").waitFor()
    // The keyboard stays for the next message.
    expect(await focusOpensKeyboard(asha)).toBe(true)
    await asha.on("back").tap()
    await asha.on("conversation-item").first().tap()
    await asha.message("hello").waitFor()
    await frames(asha.page)
    expect(await focusOpensKeyboard(asha)).toBe(false)
    // The focus is where a screen reader goes on reading.
    expect(
      await asha.page.evaluate(() => document.activeElement?.closest('[data-testid="thread"]') !== null),
    ).toBe(true)
  })

  it("F34: the emoji picker takes the keyboard's place and does not open it", async () => {
    const asha = await arrive()
    await asha.open(ben)
    // The second time they are loaded already.
    for (let n = 0; n < 2; n += 1) {
      await asha.on("open-emoji").tap()
      await asha.on("emoji-picker").locator(".emoji-one").nth(20).waitFor()
      expect(await focusOpensKeyboard(asha)).toBe(false)
      const box = await asha.on("emoji-picker").boundingBox()
      expect(box).toMatchObject({ x: 0, width: 390 })
      expect(Math.round((box?.y ?? 0) + (box?.height ?? 0))).toBe(844)
      await asha.page.keyboard.press("Escape")
      await asha.on("emoji-picker").waitFor({ state: "detached" })
    }
  })

  it("F34: a swipe changes the picture, and a swipe down closes the viewer", async () => {
    const asha = await arrive()
    await asha.open(ben)
    const files = ["one.png", "two.png"].map((name) => ({
      name,
      mimeType: "image/png",
      buffer: gradient(300, 200),
    }))
    await asha.on("file-input").setInputFiles(files)
    await asha.page.locator('[data-testid="upload"][data-state="ready"]').nth(1).waitFor()
    await asha.on("send").tap()
    await asha.on("picture").nth(1).waitFor()
    await asha.on("picture").first().tap()
    const devtools = await asha.context.newCDPSession(asha.page)
    const swipe = async (x: number, y: number) => {
      const from = { x: 195, y: 420 }
      const touch = (
        type: "touchStart" | "touchMove" | "touchEnd",
        ...touchPoints: { x: number; y: number }[]
      ) => devtools.send("Input.dispatchTouchEvent", { type, touchPoints })
      await touch("touchStart", from)
      await touch("touchMove", { x: from.x + x, y: from.y + y })
      await touch("touchEnd")
    }
    const shown = (name: string) => asha.on("viewer").locator(`img[alt="${name}"]`).waitFor()
    await shown("one.png")
    await swipe(-120, 10)
    await shown("two.png")
    await swipe(120, -10)
    await shown("one.png")
    await swipe(10, 200)
    await asha.on("viewer").waitFor({ state: "detached" })
  })

  it("F34: with more than 999 unread messages the icons stay visible beside the number", async () => {
    const asha = await arrive()
    await withBen(asha)
    const cleo = await (await Person.arrive(browser, server, "Cleo")).signUp()
    await cleo.open(asha)
    await cleo.flood(1_000, (n) => `Line ${n}.`)
    const apart = async (button: ReturnType<Person["on"]>) => {
      await button.locator(".unread-badge").filter({ hasText: "999+" }).waitFor()
      const look = await button.evaluate((one) => ({
        icon: (one.querySelector("svg") as Element).getBoundingClientRect().toJSON(),
        number: (one.querySelector(".unread-badge") as Element).getBoundingClientRect().toJSON(),
        next: one.nextElementSibling?.getBoundingClientRect().left ?? 0,
      }))
      const { icon, number, next } = look
      expect(icon.width).toBeGreaterThanOrEqual(20)
      expect(number.x).toBeGreaterThanOrEqual(icon.x + icon.width - 1)
      expect(number.x + number.width).toBeLessThanOrEqual(next || (asha.page.viewportSize()?.width ?? 0))
    }
    await apart(asha.page.locator(".tab").first())
    await asha.on("conversation-item").filter({ hasText: "hello" }).tap()
    await apart(asha.on("back"))
  })

  it("F34: a tap shows the time of a message, and its menu has it", async () => {
    const asha = await arrive()
    await withBen(asha)
    await ben.on("conversation-item").filter({ hasText: asha.name }).click()
    await ben.say("from Ben")
    await asha.on("conversation-item").first().tap()
    for (const text of ["from Ben", "hello"]) {
      const time = asha.message(text).locator("time")
      await asha.message(text).waitFor()
      expect((await time.boundingBox())?.width).toBeLessThan(2)
      await asha.message(text).locator("[data-content]").tap()
      await until(async () => ((await time.boundingBox())?.width ?? 0) > 20)
      await expect.poll(() => time.evaluate((one) => getComputedStyle(one).opacity)).toBe("1")
      const box = await time.boundingBox()
      expect(box?.x).toBeGreaterThanOrEqual(0)
      expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(390)
    }
    const box = await asha.message("from Ben").locator("[data-content]").boundingBox()
    if (!box) throw new Error("no message")
    const devtools = await asha.context.newCDPSession(asha.page)
    const point = { x: box.x + 20, y: box.y + 15 }
    await devtools.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [point] })
    await asha
      .on("message-time")
      .filter({ hasText: /\d{1,2}:\d\d/ })
      .waitFor()
    await devtools.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] })
    await asha.page.keyboard.press("Escape")
  })
})

/** A phone of some width, and a tablet. */
const devices = [360, 390, 430].map((width) => ({ name: `${width} px`, viewport: { width, height: 780 } }))
const tablet = { name: "a tablet", viewport: { width: 820, height: 1_180 } }

describe.skipIf(!canRun)("touch targets", () => {
  let browser: Browser
  const server = new Server()
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
  })
  afterEach(() => closeOthers(browser, ben))
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  /** Touch targets with less than 44 px, or with another target within them. Links within a text are as high as the text. */
  const small = (person: Person) =>
    settled(person.page, () =>
      person.page.evaluate(() => {
        // A menu covers what is behind it.
        const root =
          document.querySelector("[role=menu], .dialog, .emoji-menu, .menu[role=dialog]") ?? document
        const all = [
          ...root.querySelectorAll<HTMLElement>(
            "button, a[href], input, textarea, label.menu-item, [role=menuitem], [role=checkbox]",
          ),
        ].filter((one) => {
          const { width, height, top, bottom, left, right } = one.getBoundingClientRect()
          const isShown = one.checkVisibility({ visibilityProperty: true, opacityProperty: true })
          const isWhole = top >= 0 && bottom <= innerHeight && left >= 0 && right <= innerWidth
          return (
            isShown &&
            isWhole &&
            width > 4 &&
            height > 4 &&
            !one.closest("[inert], .bubble-words, [data-content] > a")
          )
        })
        return all
          .filter((one) => {
            const { width, height, left, top } = one.getBoundingClientRect()
            const [x, y] = [left + width / 2, top + height / 2]
            const hits = (dx: number, dy: number) => {
              const [px, py] = [x + dx, y + dy]
              if (px < 0 || py < 0 || px >= innerWidth || py >= innerHeight) return true
              const hit = document.elementFromPoint(px, py)
              return hit !== null && (one.contains(hit) || hit.closest("label")?.contains(one) === true)
            }
            // Covered by something else, such as a menu.
            if (!hits(0, 0)) return false
            /** How far from its middle it is pressed, in both directions along an axis. */
            const extent = (across: boolean) => {
              let all = 1
              for (const sign of [1, -1])
                for (
                  let far = 1;
                  far < 44 && hits(across ? sign * far : 0, across ? 0 : sign * far);
                  far += 1
                )
                  all += 1
              return all
            }
            const isWide = width >= 43.5 || extent(true) >= 44
            const isHigh = height >= 43.5 || extent(false) >= 44
            return !isWide || !isHigh
          })
          .map((one) => {
            const { width, height } = one.getBoundingClientRect()
            return `${Math.round(width)} x ${Math.round(height)}: ${one.outerHTML.slice(0, 120)}`
          })
      }),
    )

  it.each([...devices, tablet])(
    "56: every target has 44 px in every view, on $name",
    async ({ viewport }) => {
      const asha = await Person.arrive(browser, server, "Asha", { ...phone, viewport })
      await asha.on("signin-form").waitFor()
      expect(await small(asha)).toEqual([])
      await asha.signUp()
      expect(await small(asha)).toEqual([])
      if (viewport.width < 760) await asha.page.getByRole("button", { name: "People" }).tap()
      else await asha.page.getByRole("button", { name: "Find someone" }).first().tap()
      await asha.on("online-user").filter({ hasText: ben.name }).waitFor()
      await asha.on("people-search").fill(ben.name)
      expect(await small(asha)).toEqual([])
      await asha.on("online-user").filter({ hasText: ben.name }).first().tap()
      await asha.on("composer").fill("A message with `code`\n```\nand a block\n```")
      await asha.on("send").tap()
      const row = asha.message("A message with")
      await expect.poll(() => row.getAttribute("data-state")).toBe("sent")
      await asha.page.evaluate(async () => {
        const place = `/api/privatechat/messages/${encodeURIComponent(decodeURIComponent(location.hash.replace("#/c/", "")))}`
        const { data } = await (await fetch(place)).json()
        for (const emoji of ["👍", "🎉"])
          await fetch(`${place}/${data[0].id}/reactions/${encodeURIComponent(emoji)}`, {
            method: "PUT",
            headers: { "content-type": "application/json" },
            body: "{}",
          })
      })
      await asha.page.locator(".reaction").nth(1).waitFor()
      expect(await small(asha)).toEqual([])
      // The page never scrolls sideways.
      expect(await asha.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true)
      await asha.on("open-details").tap()
      await asha.on("details").waitFor()
      expect(await small(asha)).toEqual([])
      await asha.on("close-details").tap()
      await asha.on("details").waitFor({ state: "detached" })
      await asha.on("thread-menu").tap()
      await asha.page.getByRole("menuitem").first().waitFor()
      expect(await small(asha)).toEqual([])
      await asha.page.keyboard.press("Escape")
      await asha.page.getByRole("menuitem").first().waitFor({ state: "detached" })
      // The rest is as wide in every window of a phone.
      if (viewport.width !== 390 && viewport.width < 760) return
      const covered = async (opener: ReturnType<Person["on"]>, testId: string) => {
        await opener.tap()
        await asha.on(testId).locator("button, input").first().waitFor()
        expect(await small(asha)).toEqual([])
        await asha.page.keyboard.press("Escape")
        await asha.on(testId).waitFor({ state: "detached" })
      }
      await covered(asha.on("open-emoji"), "emoji-picker")
      if (viewport.width < 760) await asha.on("back").tap()
      await covered(asha.on("new-group").first(), "group-dialog")
      await covered(asha.on("open-palette"), "palette")
      await asha.page.locator('[data-testid="status-menu"]:visible').tap()
      await asha.on("status-busy").waitFor()
      expect(await small(asha)).toEqual([])
      await covered(asha.on("account-open"), "account-dialog")
      await asha.openSettings()
      for (const place of [0, 10_000]) {
        await asha.page.locator(".dialog, .you").evaluate((one, top) => one.scrollTo({ top }), place)
        expect(await small(asha)).toEqual([])
      }
      expect(asha.complaints).toEqual([])
    },
  )
})
