import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { canRun, fastest, frames, isCluster, launch, Person, restore, Server, settled, until } from "./world"

describe.skipIf(!canRun)("more unread messages than one page", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    ben = await (await Person.arrive(browser, server, "Ben", { reducedMotion: "reduce" })).signUp()
    await asha.open(ben)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  // A test that fails must not leave its unread messages to the next one.
  afterEach(async () => {
    await restore(ben)
    await ben.page.evaluate(async () => {
      location.hash = "#/"
      const answer = await fetch("/api/privatechat/conversations")
      for (const { id, headSeq, unread } of (await answer.json()).data) {
        if (unread === 0) continue
        await fetch(`/api/privatechat/conversations/${encodeURIComponent(id)}/read`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ seq: headSeq }),
        })
      }
    })
  })

  const marked = () =>
    ben.page.evaluate(async () => {
      const answer = await fetch("/api/privatechat/conversations")
      return (await answer.json()).data[0].unread as number
    })

  it("21 22: unread messages outside of the page stay unread, and one step leads to the first", async () => {
    await asha.pour(320, (n) => `Line ${n}.`)
    // The number is that of the moment when the conversation is opened.
    await ben.on("conversation-item").filter({ hasText: "320 unread" }).waitFor()
    await ben.on("conversation-item").first().click()
    await ben.message("Line 319.").waitFor()
    await ben.on("to-unread").filter({ hasText: "320 unread" }).waitFor()
    await ben.page.mouse.move(600, 400)
    // Time in which nothing may be marked.
    await ben.page.waitForTimeout(1_500)
    expect(await marked()).toBe(320)
    await expect.poll(() => ben.on("unread").first().innerText()).toContain("320")

    await ben.on("to-unread").click()
    await ben.on("unread-divider").waitFor()
    await ben.message("Line 0.").waitFor()
    await expect.poll(() => ben.on("to-unread").count()).toBe(0)
    const place = await settled(ben.page, () => ben.on("unread-divider").boundingBox())
    const log = await ben.on("log").boundingBox()
    expect((place?.y ?? 0) - (log?.y ?? 0)).toBeLessThan(120)
    // Only messages that came into view are read.
    await until(async () => (await marked()) < 320)
    expect(await marked()).toBeGreaterThan(250)
    await ben.on("to-end").filter({ hasText: "new messages" }).click()
    await expect.poll(marked).toBe(0)
  })

  it("21: read messages are not marked as new if the list loads after the messages", async () => {
    let pass = () => {}
    const held = new Promise<void>((resolve) => {
      pass = resolve
    })
    await ben.page.route(/privatechat\/conversations\?/, async (route) => {
      await held
      await route.continue()
    })
    await ben.page.goto("about:blank")
    // Not a response to the page before, which the navigation would cut.
    const messages = ben.page.waitForResponse(/privatechat\/messages\//)
    await ben.page.goto(`${server.url}/chat#/c/${encodeURIComponent(await asha.conversationId())}`)
    await messages
    await frames(ben.page, 20)
    pass()
    await ben.message("Line 319.").waitFor()
    expect(await ben.on("unread-divider").count()).toBe(0)
    expect(await ben.on("to-end").count()).toBe(0)
  })

  it("21: a conversation with a few pages of unread messages opens at the first one", async () => {
    await asha.pour(120, (n) => `Page ${n}.`)
    await ben.on("conversation-item").filter({ hasText: "120 unread" }).first().click()
    await ben.on("unread-divider").waitFor()
    await ben.message("Page 0.").waitFor()
    const place = await settled(ben.page, () => ben.on("unread-divider").boundingBox())
    const log = await ben.on("log").boundingBox()
    expect((place?.y ?? 0) - (log?.y ?? 0)).toBeLessThan(120)
    expect(await ben.on("to-unread").count()).toBe(0)
  })

  /** The `seq`s in the document, in the order in which they are seen, within the window of the log. */
  const inView = () =>
    ben.page.evaluate(() => {
      const log = document.querySelector<HTMLElement>('[data-testid="log"]')
      const { top, bottom } = log?.getBoundingClientRect() ?? { top: 0, bottom: 0 }
      return [...document.querySelectorAll<HTMLElement>('[data-testid="message"]')]
        .map((row) => ({ seq: Number(row.dataset.seq), box: row.getBoundingClientRect() }))
        .filter(({ box }) => box.bottom > top && box.top < bottom)
        .sort((a, b) => a.box.top - b.box.top)
        .map(({ seq }) => seq)
    })

  /**
   * Scrolls by half a window at a time, each frame, and watches. Answers the `seq`s seen, holes in what was in view at one time,
   * and how far what stood still was moved at most, where nobody scrolled.
   */
  const scroll = (direction: 1 | -1, steps: number) =>
    ben.page.evaluate(
      async ([way, most]) => {
        const log = document.querySelector<HTMLElement>('[data-testid="log"]') as HTMLElement
        const frame = () => new Promise((done) => requestAnimationFrame(done))
        const rows = () => {
          const { top, bottom } = log.getBoundingClientRect()
          return [...log.querySelectorAll<HTMLElement>('[data-testid="message"]')]
            .map((row) => ({ seq: Number(row.dataset.seq), top: row.getBoundingClientRect().top }))
            .filter((row) => row.top > top && row.top < bottom)
            .sort((a, b) => a.top - b.top)
        }
        const seen = new Set<number>()
        let holes = 0
        let moved = 0
        for (let step = 0; step < most; step += 1) {
          log.scrollTop += (way * log.clientHeight) / 2
          await frame()
          await frame()
          const before = rows()
          for (const [i, row] of before.entries()) {
            seen.add(row.seq)
            if (i > 0 && row.seq !== (before[i - 1]?.seq ?? 0) + 1) holes += 1
          }
          // Pages arrive while the user does not scroll.
          for (let wait = 0; wait < 6; wait += 1) {
            await frame()
            const after = new Map(rows().map((row) => [row.seq, row.top]))
            const middle = before[Math.floor(before.length / 2)]
            const now = middle && after.get(middle.seq)
            if (middle) moved = Math.max(moved, Math.abs((now ?? Number.POSITIVE_INFINITY) - middle.top))
          }
        }
        return { first: Math.min(...seen), last: Math.max(...seen), count: seen.size, holes, moved }
      },
      [direction, steps] as const,
    )

  // How the page shows so many does not depend on the number of nodes, and to write them takes a minute.
  it.skipIf(isCluster)(
    "F28 20: the first of 12,000 unread messages shows within a second, and pages both ways without a gap",
    async () => {
      await ben.page.evaluate(() => {
        location.hash = "#/"
      })
      await asha.flood(12_000, (n) => `Flood ${n}. ${"word ".repeat(n % 40)}`)
      const jump = async () => {
        await ben.page.reload()
        await ben.on("conversation-item").first().click()
        // What was in view of an earlier attempt has been read.
        await ben
          .on("to-unread")
          .filter({ hasText: /1[12],\d{3} unread/ })
          .waitFor()
        // From the click to the first paint with the divider in view, as the page's own clock has it.
        return ben.page.evaluate(async () => {
          const began = performance.now()
          document.querySelector<HTMLElement>('[data-testid="to-unread"]')?.click()
          const there = () => {
            const row = document.querySelector('[data-testid="unread-divider"]')?.getBoundingClientRect()
            const log = document.querySelector('[data-testid="log"]')?.getBoundingClientRect()
            return row && log && row.top >= log.top && row.top < log.top + 120
          }
          while (!there() && performance.now() - began < 20_000)
            await new Promise((done) => requestAnimationFrame(done))
          return performance.now() - began
        })
      }
      const took = await fastest(1_000, jump)
      console.log(`the first of 12,000 unread messages after ${Math.round(took)} ms`)
      expect(took).toBeLessThan(1_000)
      await ben.page.mouse.move(600, 400)
      const first = (await settled(ben.page, inView)).at(-1) ?? 0
      await until(async () => (await marked()) < 12_000)
      // Messages far below are not read by it.
      expect(await marked()).toBeGreaterThan(11_700)

      const down = await scroll(1, 35)
      expect(down.holes).toBe(0)
      expect(down.count).toBe(down.last - down.first + 1)
      expect(down.last).toBeGreaterThan(first + 150)
      expect(down.moved).toBeLessThanOrEqual(1)
      const up = await scroll(-1, 60)
      expect(up.holes).toBe(0)
      expect(up.first).toBeLessThan(first - 20)
      expect(up.moved).toBeLessThanOrEqual(1)
      expect(await ben.page.locator(".log-row").count()).toBeLessThan(120)

      // New messages move nothing, and show at the end.
      const place = await settled(ben.page, inView)
      await asha.say("written while Ben is in the past")
      await ben.on("conversation-item").first().getByText("written while Ben is in the past").waitFor()
      expect(await settled(ben.page, inView)).toEqual(place)
      await ben.on("to-end").click()
      await ben.message("written while Ben is in the past").waitFor()
      await expect.poll(marked).toBe(0)
      await expect.poll(() => ben.on("to-end").count()).toBe(0)
    },
    300_000,
  )

  it("F28 16: sending a message leaves the past and scrolls to the end", async () => {
    await ben.page.evaluate(() => {
      location.hash = "#/"
    })
    await asha.flood(400, (n) => `Later ${n}.`)
    await ben.page.reload()
    await ben.on("conversation-item").first().click()
    await ben.on("to-unread").click()
    await ben.on("unread-divider").waitFor()
    await ben.say("an answer out of the past")
    await ben.message("an answer out of the past").waitFor()
    await expect.poll(() => ben.on("to-end").count()).toBe(0)
    await expect.poll(marked).toBe(0)
  })

  it("F28: a failed jump shows an error and can be retried", async () => {
    await ben.page.evaluate(() => {
      location.hash = "#/"
    })
    await asha.flood(400, (n) => `Again ${n}.`)
    await ben.page.reload()
    await ben.on("conversation-item").first().click()
    await ben.on("to-unread").waitFor()
    await ben.page.route(/around=/, (route) => route.abort())
    await ben.on("to-unread").click()
    await ben.page.getByText("Older messages could not be loaded.").first().waitFor()
    await ben.page.unroute(/around=/)
    await ben.on("to-unread").click()
    await ben.on("unread-divider").waitFor()
    await ben.on("to-end").click()
    await expect.poll(marked).toBe(0)
  })

  it("21 22: a link to an unread message does not mark the earlier ones as read", async () => {
    await ben.page.evaluate(() => {
      location.hash = "#/"
    })
    // By one socket: those of several come in no order.
    await asha.flood(400, (n) => `Linked ${n}.`, 1)
    await ben.page.reload()
    await ben.on("conversation-item").filter({ hasText: "400 unread" }).waitFor()
    // As a notification and a search lead there.
    await ben.page.evaluate(async () => {
      const answer = await fetch("/api/privatechat/conversations")
      const { id, headSeq } = (await answer.json()).data[0]
      location.hash = `#/c/${encodeURIComponent(id)}/${headSeq - 120}`
    })
    await ben.message("Linked 279.").waitFor()
    await ben.page.mouse.move(600, 400)
    await ben.on("to-unread").filter({ hasText: "400 unread" }).waitFor()
    expect(await marked()).toBe(400)
    await ben.on("to-unread").click()
    await ben.message("Linked 0.").waitFor()
    await ben.on("unread-divider").waitFor()
    await ben.on("to-end").click()
    await expect.poll(marked).toBe(0)
  })

  it("“Mark all as read” clears the count", async () => {
    await ben.page.evaluate(() => {
      location.hash = "#/"
    })
    await asha.pour(280, (n) => `More ${n}.`)
    // The page has received all unread messages; a reloaded page has only the last of them.
    await ben.page.reload()
    await ben.on("conversation-item").first().click()
    await ben.message("More 279.").waitFor()
    await ben.on("to-unread").filter({ hasText: "280 unread" }).waitFor()
    await ben.page.getByRole("button", { name: "Mark all as read" }).click()
    await expect.poll(marked).toBe(0)
    await expect.poll(() => ben.on("to-unread").count()).toBe(0)
    expect(ben.complaints).toEqual([])
  })
})
