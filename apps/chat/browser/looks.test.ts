import { readFile } from "node:fs/promises"
import { gzipSync } from "node:zlib"
import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { violations } from "./axe"
import {
  canRun,
  closeOthers,
  fastest,
  frames,
  launch,
  Person,
  phone,
  resize,
  restore,
  Server,
  settled,
  until,
} from "./world"

it("59: the initial script is at most 180 KiB gzipped", async () => {
  const dist = new URL("../dist/", import.meta.url)
  const page = await readFile(new URL("index.html", dist), "utf8")
  let bytes = 0
  const sizeOf = async (name: string) => gzipSync(await readFile(new URL(name, dist))).length
  for (const [, name] of page.matchAll(/(?:src|href)="\/chat\/([^"]+\.js)"/g))
    bytes += await sizeOf(name as string)
  // The texts of one language, whichever it is.
  const texts = [...page.matchAll(/&quot;path&quot;:&quot;\/chat\/(.+?\.js)&quot;/g)]
  const sizes = await Promise.all(texts.map(([, name]) => sizeOf(name as string)))
  expect(sizes.length).toBeGreaterThan(1)
  bytes += Math.max(...sizes)
  expect(bytes).toBeGreaterThan(0)
  expect(bytes).toBeLessThanOrEqual(180 * 1024)
})

describe.skipIf(!canRun)("scrolling, focus and speed", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person
  let conversation = ""

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (
      await Person.arrive(browser, server, "Asha", { bypassCSP: true, reducedMotion: "reduce" })
    ).signUp()
    ben = await (await Person.arrive(browser, server, "Ben", { bypassCSP: true })).signUp()
    await asha.open(ben)
    await asha.pour(230, (n) => `Line ${n}. ${"More of the same, to make it longer. ".repeat(n % 4)}`)
    await asha.page.reload()
    await asha.message("Line 229.").waitFor()
    conversation = await asha.conversationId()
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })
  // A test that fails must not leave its page, its window or its text to the next one.
  beforeEach(async () => {
    for (const person of [asha, ben])
      await person.page.evaluate((id) => {
        location.hash = `#/c/${encodeURIComponent(id)}`
      }, conversation)
    for (const person of [asha, ben]) {
      await person.on("log").waitFor()
      await person.on("composer").fill("")
    }
  })
  afterEach(async () => {
    for (const person of [asha, ben]) await restore(person)
    await closeOthers(browser, asha, ben)
  })

  const place = () => asha.page.evaluate(() => document.querySelector('[data-testid="log"]')?.scrollTop ?? -1)

  /** Leads to the end of the log. */
  const toEnd = () =>
    until(async () => {
      const pill = asha.on("to-end")
      if ((await pill.count()) > 0) await pill.click({ timeout: 1_000 }).catch(() => {})
      await settled(asha.page, place)
      return (await pill.count()) === 0
    })

  it("12 13: loading older pages moves the visible messages by at most one pixel", async () => {
    // Neither the browser's anchoring nor its bouncing works against the virtualiser's.
    const styles = await asha.on("log").evaluate((log) => {
      const { overflowAnchor, overscrollBehavior } = getComputedStyle(log)
      return { overflowAnchor, overscrollBehavior }
    })
    expect(styles).toEqual({ overflowAnchor: "none", overscrollBehavior: "none" })
    // Responses are delayed, so that the position of a visible message can be measured.
    let letThrough = () => {}
    let held = Promise.resolve()
    await asha.page.route(/messages\/.*before=/, async (route) => {
      await held
      await route.continue()
    })
    for (const from of [150, 0]) {
      held = new Promise((resolve) => {
        letThrough = resolve
      })
      const before = await asha.page.evaluate(async (top) => {
        const log = document.querySelector<HTMLElement>('[data-testid="log"]')
        if (!log) throw new Error("no log")
        const frame = () => new Promise(requestAnimationFrame)
        const height = log.scrollHeight
        log.scrollTop = top
        for (let n = 0; n < 8; n += 1) await frame()
        const edge = log.getBoundingClientRect().top + 20
        const read = [...log.querySelectorAll<HTMLElement>('[data-testid="message"]')].find(
          (row) => row.getBoundingClientRect().top > edge,
        )
        const at = read?.getBoundingClientRect().top ?? 0
        const watched = { most: 0, ends: false }
        Object.assign(window, { watched })
        const watch = async () => {
          while (!watched.ends) {
            await frame()
            const row = log.querySelector(`[data-key="${read?.dataset.key}"]`)
            const moved = row ? Math.abs(row.getBoundingClientRect().top - at) : Number.POSITIVE_INFINITY
            watched.most = Math.max(watched.most, moved)
          }
        }
        void watch()
        return height
      }, from)
      letThrough()
      const height = () =>
        asha.page.evaluate(() => document.querySelector('[data-testid="log"]')?.scrollHeight ?? 0)
      await until(async () => (await height()) > before + 500)
      await settled(asha.page, height)
      const most = await asha.page.evaluate(() => {
        const { watched } = window as unknown as { watched: { most: number; ends: boolean } }
        watched.ends = true
        return watched.most
      })
      expect(most).toBeLessThanOrEqual(1)
    }
  })

  it("14 16 23: new messages do not move a thread that is scrolled up; a pill counts them and jumps to the end", async () => {
    await asha.page.evaluate(() => {
      const log = document.querySelector<HTMLElement>('[data-testid="log"]')
      if (log) log.scrollTop = log.scrollHeight / 2
    })
    await asha.on("to-end").waitFor()
    const before = await settled(asha.page, place)
    await ben.say("while you were reading")
    await asha.on("to-end").filter({ hasText: "1 new message" }).waitFor()
    await frames(asha.page)
    expect(await place()).toBe(before)
    await asha.on("to-end").click()
    await asha.message("while you were reading").waitFor()
    await expect.poll(() => asha.on("to-end").count()).toBe(0)
    expect(await asha.page.locator(".log-row").count()).toBeLessThan(120)
  })

  it("15: a thread at its end stays there when the window changes", async () => {
    const gap = () =>
      asha.page.evaluate(() => {
        const log = document.querySelector('[data-testid="log"]')
        return log ? log.scrollHeight - log.clientHeight - log.scrollTop : -1
      })
    const atEnd = () => until(async () => Math.abs(await settled(asha.page, gap)) <= 2)
    await toEnd()
    await atEnd()
    await resize(asha.page, 1360, 500)
    await atEnd()
    await asha.on("composer").fill("a\nb\nc\nd\ne")
    await atEnd()
    await asha.on("composer").fill("")
    await resize(asha.page, 1000, 860)
    await atEnd()
  })

  it("52 53: each list is one Tab stop; arrow keys move within, Enter opens, Esc leaves, F6 switches panels", async () => {
    const { keyboard } = asha.page
    await asha.on("composer").focus()
    const focus = (testId: string) => expect.poll(() => asha.focused()).toBe(testId)
    await keyboard.press("Escape")
    await focus("conversation-item")
    await keyboard.press("Enter")
    await focus("composer")
    await keyboard.press("F6")
    await focus("people-search")
    await keyboard.press("ArrowDown")
    await focus("online-user")
    await keyboard.press("F6")
    await focus("conversation-item")
    await keyboard.press("Shift+F6")
    await focus("people-search")
    await asha.on("composer").focus()
    await keyboard.press("Tab")
    await focus("open-emoji")
    await keyboard.press("Tab")
    await focus("record")
    await keyboard.press("Tab")
    await focus("send")
    await asha.on("log").focus()
    await keyboard.press("ArrowUp")
    await focus("message")
  })

  it("33: copying across messages keeps their order, names and times", async () => {
    await ben.say("the last of them")
    await asha.message("the last of them").waitFor()
    await toEnd()
    const { copied, texts } = await asha.page.evaluate(() => {
      const rows = [...document.querySelectorAll<HTMLElement>('[data-testid="message"] [data-content]')]
        .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
        .slice(-3)
      getSelection()?.setBaseAndExtent(rows[0] as Node, 0, rows[2] as Node, 1)
      const data = new DataTransfer()
      rows[0]?.dispatchEvent(
        new ClipboardEvent("copy", { clipboardData: data, bubbles: true, cancelable: true }),
      )
      getSelection()?.removeAllRanges()
      return { copied: data.getData("text/plain"), texts: rows.map((row) => row.innerText.trim()) }
    })
    expect(texts.at(-1)).toBe("the last of them")
    const order = texts.map((text) => copied.indexOf(text))
    expect(order.every((at) => at >= 0)).toBe(true)
    expect([...order].sort((a, b) => a - b)).toEqual(order)
    expect(copied).toMatch(/You, .*:\n/)
    expect(copied).toContain(`${ben.name}, `)
  })

  it("59: switching to another conversation takes less than 150 ms", async () => {
    const cleo = await (await Person.arrive(browser, server, "Cleo")).signUp()
    await asha.open(cleo)
    await asha.say("hello")
    await asha.message("hello").waitFor()
    const switchToBen = async () => {
      await asha.on("conversation-item").filter({ hasText: cleo.name }).click()
      await expect.poll(() => asha.on("message").count()).toBe(1)
      return asha.page.evaluate(async (name) => {
        const rows = [...document.querySelectorAll<HTMLElement>('[data-testid="conversation-item"]')]
        const began = performance.now()
        rows.find((row) => row.textContent?.includes(name))?.click()
        while (document.querySelectorAll('[data-testid="message"]').length < 5) {
          if (performance.now() - began > 20_000) throw new Error(`the thread of ${name} did not come`)
          await new Promise(requestAnimationFrame)
        }
        return performance.now() - began
      }, ben.name)
    }
    expect(await fastest(150, switchToBen)).toBeLessThan(150)
    await cleo.close()
  })

  it("58: the theme is known before the first paint and can be chosen", async () => {
    await asha.openSettings()
    await asha.on("theme-dark").click()
    await asha.page.keyboard.press("Escape")
    await asha.page.reload({ waitUntil: "commit" })
    await asha.page.waitForSelector("body", { state: "attached" })
    expect(await asha.page.evaluate(() => document.documentElement.dataset.theme)).toBe("dark")
    await asha.page.locator('[data-testid="status-menu"]:visible').waitFor()
    expect(await violations(asha.page)).toEqual([])
    await asha.openSettings()
    await asha.on("theme-system").click()
    expect(await violations(asha.page)).toEqual([])
    await asha.page.keyboard.press("Escape")
  })

  it("60: another user's conversation shows an error in place of its messages", async () => {
    await asha.page.evaluate(() => {
      location.hash = "#/c/no-such-conversation"
    })
    await asha.page.getByText("This conversation cannot be shown").waitFor()
    expect(await violations(asha.page)).toEqual([])
    await asha.page.getByRole("button", { name: "Back to conversations" }).last().click()
  })

  it("55: sign-in, list, thread and phone layout have no axe violations", async () => {
    const stranger = await Person.arrive(browser, server, "Stranger", { bypassCSP: true, ...phone })
    await stranger.on("signin-form").waitFor()
    expect(await violations(stranger.page)).toEqual([])
    await stranger.signUp()
    expect(await violations(stranger.page)).toEqual([])
    await stranger.page.getByRole("button", { name: "People" }).click()
    await stranger.on("online-user").first().waitFor()
    expect(await violations(stranger.page)).toEqual([])
    await stranger.on("online-user").first().click()
    await stranger.on("composer").waitFor()
    expect(await violations(stranger.page)).toEqual([])
    await ben.on("message").first().waitFor()
    expect(await violations(ben.page)).toEqual([])
    await resize(ben.page, 900, 700)
    await ben.page.getByRole("button", { name: "Show people" }).click()
    await ben.page.getByRole("dialog", { name: "People" }).waitFor()
    expect(await violations(ben.page)).toEqual([])
    await stranger.close()
  })
})
