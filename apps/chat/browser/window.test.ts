import type { Browser } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { canRun, frames, launch, Person, Server, settled, until } from "./world"

/** More than the client holds of one conversation: 2,000, and a margin of 200. */
const MESSAGES = 2_500

describe.skipIf(!canRun)("a conversation longer than the window of loaded messages", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start({ LIMIT_SENDS: "0" })])
    asha = await (await Person.arrive(browser, server, "Asha")).signUp()
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    await ben.open(asha)
    await ben.say("hello")
    await asha.on("conversation-item").filter({ hasText: ben.name }).click()
    await asha.message("hello").waitFor()
    await ben.flood(MESSAGES - 1, (n) => `Line ${n}.`)
    // Nothing is loaded of it but its end.
    await asha.page.reload()
    await asha.on("message").last().waitFor()
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  /**
   * Scrolls on in one direction until the message `to` is mounted, and looks at each frame that no message is missing between two
   * others. Returns how many rows were mounted at most.
   */
  const scroll = (to: number) =>
    asha.page.evaluate(async (to) => {
      const log = document.querySelector<HTMLElement>('[data-testid="log"]') as HTMLElement
      const seqs = () =>
        [...log.querySelectorAll<HTMLElement>('[data-testid="message"]')]
          .map((row) => Number(row.dataset.seq))
          .sort((a, b) => a - b)
      const began = performance.now()
      let most = 0
      const isUp = (seqs()[0] as number) > to
      for (;;) {
        const all = seqs()
        most = Math.max(most, log.querySelectorAll(".log-row").length)
        for (let n = 1; n < all.length; n += 1)
          if (all[n] !== (all[n - 1] as number) + 1) throw new Error(`a hole: ${all[n - 1]}, ${all[n]}`)
        if (all.includes(to)) return most
        if (performance.now() - began > 20_000) throw new Error(`stuck at ${all[0]}`)
        log.scrollTop = isUp ? 0 : log.scrollHeight
        await new Promise(requestAnimationFrame)
      }
    }, to)

  /** Delays the next page, and returns how far it moved a visible message. */
  async function moves(): Promise<number> {
    const older = /messages\/.*before=/
    let isAsked = false
    let letThrough = () => {}
    const held = new Promise<void>((resolve) => {
      letThrough = resolve
    })
    await asha.page.route(older, async (route) => {
      isAsked = true
      await held
      await route.continue()
    })
    // A page that was asked for before may still come, and lead away from the beginning of the rows.
    await until(async () => {
      await asha.on("log").evaluate((log) => log.scrollTo(0, 150))
      await frames(asha.page)
      return isAsked
    })
    await settled(asha.page, () => asha.on("log").evaluate((log) => log.scrollTop))
    const watch = await asha.page.evaluateHandle(() => {
      const log = document.querySelector<HTMLElement>('[data-testid="log"]') as HTMLElement
      const edge = log.getBoundingClientRect().top + 20
      const read = [...log.querySelectorAll<HTMLElement>('[data-testid="message"]')].find(
        (row) => row.getBoundingClientRect().top > edge,
      ) as HTMLElement
      const key = CSS.escape(read.dataset.key as string)
      const at = read.getBoundingClientRect().top
      const before = log.scrollTop
      const watched = { most: 0, came: 0 }
      const look = () => {
        const row = log.querySelector(`[data-key="${key}"]`)
        const moved = row ? Math.abs(row.getBoundingClientRect().top - at) : Number.POSITIVE_INFINITY
        watched.most = Math.max(watched.most, moved)
        if (log.scrollTop > before + 500) watched.came += 1
        // Some frames more, in which the new rows are measured.
        if (watched.came < 8) requestAnimationFrame(look)
      }
      look()
      return watched
    })
    letThrough()
    await until(() => watch.evaluate(({ came }) => came >= 8))
    await asha.page.unroute(older)
    return watch.evaluate(({ most }) => most)
  }

  it("12 20 59: distant messages are dropped and loaded again without a gap and without moving the view", async () => {
    const newer: string[] = []
    asha.page.on("request", (request) => {
      if (/messages\/.*after=/.test(request.url())) newer.push(request.url())
    })
    await scroll(MESSAGES - 2_080)
    // One of these pages fills the window, and the end is dropped.
    for (let n = 0; n < 4; n += 1) expect(await moves()).toBeLessThanOrEqual(1)
    expect(await scroll(1)).toBeLessThan(120)
    expect(newer).toEqual([])
    // Edit a message that is not loaded any more.
    const changed = await ben.page.evaluate(
      async ([id, seq]) => {
        const path = `/api/privatechat/messages/${id}`
        const { data } = await (await fetch(`${path}?before=${seq}&limit=50`)).json()
        const message = data.at(-1)
        await fetch(`${path}/${message.id}`, {
          method: "PATCH",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ content: "changed meanwhile" }),
        })
        return message.seq as number
      },
      [await asha.conversationId(), MESSAGES] as const,
    )
    await scroll(changed)
    expect(newer.length).toBeGreaterThan(0)
    await asha.message("changed meanwhile").waitFor()
    await until(async () => {
      await asha.on("log").evaluate((log) => log.scrollTo(0, log.scrollHeight))
      return (await asha.on("to-end").count()) === 0
    })
    await ben.page.reload()
    await ben.say("and on it goes")
    await asha.message("and on it goes").waitFor()
    expect(asha.complaints).toEqual([])
  })
})
