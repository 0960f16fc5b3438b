import type { Browser, WebSocketRoute } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { canRun, closeOthers, launch, Person, restore, Server, serversOfTest, until } from "./world"

/** Asha and Ben in one conversation. Each test controls the time, the connection or the tabs. */
describe.skipIf(!canRun)("time and lost connections", () => {
  let browser: Browser
  const server = new Server()
  const startServer = serversOfTest()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    // On a loaded machine a page may need longer than the grace period of production to be back.
    ;[browser] = await Promise.all([launch(), server.start({ PRESENCE_GRACE: "60s" })])
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
  })
  afterEach(async () => {
    await restore(ben)
    await closeOthers(browser, ben)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  /** A user whose sockets the test can cut and block. */
  async function arrive(name: string) {
    const person = await Person.arrive(browser, server, name, { timezoneId: "UTC" })
    const open = new Set<WebSocketRoute>()
    const network = {
      isBlocked: false,
      /** The numbers of opened sockets and of refused requests and sockets. */
      made: 0,
      refused: 0,
      cut() {
        for (const socket of open) void socket.close({ code: 1001 })
        open.clear()
      },
    }
    await person.page.routeWebSocket(/\/api\/socketio/, (socket) => {
      if (network.isBlocked) {
        network.refused += 1
        return void socket.close({ code: 1001 })
      }
      network.made += 1
      open.add(socket)
      socket.connectToServer()
    })
    await person.page.route(/\/api\/socketio/, (route) => {
      if (!network.isBlocked) return route.continue()
      network.refused += 1
      return route.abort()
    })
    await person.page.reload()
    await person.signUp()
    return { person, network }
  }

  it("10 F30: a short loss of the connection changes no shown presence", async () => {
    const { person, network } = await arrive("Asha")
    asha = person
    await asha.open(ben)
    await asha.say("before")
    await ben.on("conversation-item").filter({ hasText: asha.name }).click()
    await ben.message("before").waitFor()
    await asha.page.locator('[data-testid="thread-presence"] [data-presence="online"]').waitFor()
    await asha.page.locator('[data-testid="conversation-item"] [data-presence="online"]').waitFor()
    const card = asha.page.locator('[data-testid="status-menu"]:visible')
    await card.filter({ hasText: "Online" }).waitFor()
    // Records the shown presence of Ben and of the user from now on. Users of earlier tests may go offline meanwhile.
    await asha.page.evaluate(() => {
      const shown = new Set<string>()
      Object.assign(window, { shown })
      const places =
        '[data-testid="thread-presence"] [data-presence], [data-testid="conversation-item"] [data-presence], [data-testid="status-menu"] [data-presence]'
      const look = () => {
        for (const icon of document.querySelectorAll<HTMLElement>(places))
          shown.add(icon.dataset.presence ?? "")
        shown.add(document.querySelector('[data-testid="status-menu"] .row-preview')?.textContent ?? "")
        shown.add(
          document.querySelector('[data-testid="online-count"]')?.textContent?.replace(/\d+/, "n") ?? "",
        )
      }
      look()
      new MutationObserver(look).observe(document.body, {
        subtree: true,
        childList: true,
        attributes: true,
        characterData: true,
      })
    })
    const shown = () =>
      asha.page.evaluate(() => {
        const page = window as unknown as { shown: Set<string> }
        const found = [...page.shown]
        page.shown.clear()
        return found
      })
    // On a loaded machine a loss may take longer than 5 s, and is then correctly reported.
    let took = Number.POSITIVE_INFINITY
    let found: string[] = []
    for (let attempt = 1; attempt <= 5 && took >= 4_500; attempt += 1) {
      await shown()
      const began = Date.now()
      // Over polling, the page notices with the next request.
      const { refused } = network
      network.isBlocked = true
      network.cut()
      await ben.say(`during loss ${attempt}`)
      await until(() => network.refused > refused)
      network.isBlocked = false
      await ben.say(`back after loss ${attempt}`)
      await asha.message(`back after loss ${attempt}`).waitFor()
      took = Date.now() - began
      found = await shown()
    }
    expect(took).toBeLessThan(4_500)
    expect(
      found.filter((one) => !["online", "Online", "n people online", "n person online", ""].includes(one)),
    ).toEqual([])
    expect(asha.complaints).toEqual([])
  })

  it("F30: a page that is loading does not report a lost connection", async () => {
    const { person, network } = await arrive("Asha")
    network.isBlocked = true
    await person.page.reload()
    const card = person.page.locator('[data-testid="status-menu"]:visible')
    await card.filter({ hasText: "Connecting…" }).waitFor()
    await card.locator('[data-presence="unknown"]').waitFor()
    // It does once it has lasted.
    await card.filter({ hasText: "Not connected" }).waitFor()
    network.isBlocked = false
    await card.filter({ hasText: "Online" }).waitFor()
  })

  it("11: a user is away once all tabs are idle, with the time since then", async () => {
    // A tab that was loaded anew counts as used through the grace period, which is a minute in the other tests.
    const brief = await startServer({ PRESENCE_GRACE: "1s" })
    asha = await Person.arrive(browser, brief, "Asha")
    await asha.context.clock.install()
    await asha.page.reload()
    await asha.signUp()
    const dan = await Person.arrive(browser, brief, "Dan")
    await dan.context.clock.install()
    await dan.page.reload()
    await dan.signUp()
    const tab = await dan.context.newPage()
    /** The reports of the tabs: whether they were used in the last minute. */
    const reportsOfTabs: string[] = []
    for (const [name, page] of [
      ["first", dan.page],
      ["second", tab],
    ] as const) {
      const look = (sent: unknown) => {
        const found = /"user_activity",\{"active":(true|false)\}/.exec(String(sent))
        if (found) reportsOfTabs.push(`${name} ${found[1]}`)
      }
      page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => look(payload)))
      page.on("request", (request) => look(request.postData()))
    }
    await dan.page.reload()
    await tab.goto(`${brief.url}/chat`)
    for (const page of [dan.page, tab])
      await page.locator('[data-testid="status-menu"]:visible').filter({ hasText: "Online" }).waitFor()
    await asha.open(dan)
    const line = asha.on("thread-presence")
    await line.locator('[data-presence="online"]').waitFor()
    await asha.page.evaluate(() => {
      const seen = new Set<string>()
      Object.assign(window, { seen })
      const options = { subtree: true, childList: true, attributes: true, characterData: true }
      new MutationObserver(() => {
        const now = document.querySelector<HTMLElement>('[data-testid="thread-presence"] [data-presence]')
        seen.add(now?.dataset.presence ?? "")
      }).observe(document.body, options)
    })
    await dan.page.bringToFront()
    // The second tab is unused for 100 s, and the first one for 50.
    const start = Date.now()
    await dan.context.clock.setSystemTime(start + 50_000)
    await dan.page.mouse.move(300, 300)
    await dan.page.mouse.move(310, 310)
    await dan.context.clock.setSystemTime(start + 100_000)
    // Each tab reports it when the device may have been asleep, or after at most 30 s.
    const wake = () =>
      Promise.all(
        [dan.page, tab].map((page) => page.evaluate(() => window.dispatchEvent(new Event("online")))),
      )
    await wake()
    await until(() => reportsOfTabs.includes("second false") && reportsOfTabs.includes("first true"))
    // A marker, which arrives after the report of the second tab.
    const card = dan.page.locator('[data-testid="status-menu"]:visible')
    await card.click()
    await dan.on("status-text").fill("mending nets")
    await dan.page.keyboard.press("Enter")
    await line.filter({ hasText: "mending nets" }).waitFor()
    const seen = await asha.page.evaluate(() => [...(window as unknown as { seen: Set<string> }).seen])
    expect(seen).toEqual(["online"])
    await dan.on("status-text").fill("")
    await dan.page.keyboard.press("Enter")
    await dan.page.keyboard.press("Escape")

    // The browser may tell of the resting pointer once more, which counts as use.
    let now = start + 100_000
    await until(async () => {
      now += 100_000
      await dan.context.clock.setSystemTime(now)
      await wake()
      return (await line.locator('[data-presence="away"]').count()) > 0
    }, 60_000)
    await asha.context.clock.fastForward(5 * 60_000)
    await line.filter({ hasText: /^Away, active [5-9] min ago$/ }).waitFor()
    await dan.page.mouse.move(400, 400)
    await line.locator('[data-presence="online"]').waitFor()
  })

  it("25: “Today” becomes “Yesterday” at midnight without a reload", async () => {
    const { person } = await arrive("Asha")
    asha = person
    await asha.open(ben)
    await asha.say("by day")
    await expect.poll(() => asha.message("by day").getAttribute("data-state")).toBe("sent")
    const written = await asha.message("by day").locator("time").first().getAttribute("datetime")
    const noon = new Date(written ?? "")
    noon.setUTCHours(12, 0, 0, 0)
    await asha.context.clock.install({ time: noon })
    await asha.page.reload()
    await asha.message("by day").waitFor()
    await expect.poll(() => asha.on("day").allInnerTexts()).toEqual(["Today"])
    const listed = () => asha.on("conversation-item").first().locator("time").innerText()
    expect(await listed()).not.toBe("Yesterday")
    await asha.context.clock.fastForward(12 * 3_600_000 + 1_000)
    await expect.poll(() => asha.on("day").allInnerTexts()).toEqual(["Yesterday"])
    await expect.poll(listed).toBe("Yesterday")
  })

  const events: [string, () => void][] = [
    ["the network is there again", () => window.dispatchEvent(new Event("online"))],
    ["the page is visible again", () => document.dispatchEvent(new Event("visibilitychange"))],
    ["the page is awake again", () => window.dispatchEvent(new PageTransitionEvent("pageshow"))],
  ]
  it.each(events)(
    "44 45: when %s the page reconnects at once and shows the missed messages",
    async (_, happen) => {
      const { person, network } = await arrive("Asha")
      asha = person
      await asha.open(ben)
      await asha.say("before")
      await expect.poll(() => asha.message("before").getAttribute("data-state")).toBe("sent")
      await ben.on("conversation-item").filter({ hasText: asha.name }).click()
      // From now on timers of 200 ms or more, such as the next attempt, do not fire in the page.
      await asha.page.evaluate(() => {
        const set = window.setTimeout
        Object.assign(window, {
          setTimeout: (run: () => void, ms = 0, ...more: unknown[]) =>
            ms >= 200 ? 0 : set(run, ms, ...more),
        })
      })
      network.isBlocked = true
      const { made } = network
      network.cut()
      await ben.say("while nobody listened")
      await expect.poll(() => ben.message("while nobody").getAttribute("data-state")).toBe("sent")
      network.isBlocked = false
      expect(network.made).toBe(made)
      await until(async () => {
        // The page may not have learned of its loss yet.
        await asha.page.evaluate(happen)
        return network.made > made
      })
      await asha.message("while nobody listened").waitFor()
      expect(await asha.on("message").locator("[data-content]").allInnerTexts()).toEqual([
        "before",
        "while nobody listened",
      ])
    },
  )

  it("45: messages between the fetch and the stream show once and in order", async () => {
    const { person } = await arrive("Asha")
    asha = person
    await asha.open(ben)
    await asha.say("before")
    await expect.poll(() => asha.message("before").getAttribute("data-state")).toBe("sent")
    await ben.on("conversation-item").filter({ hasText: asha.name }).click()
    await ben.message("before").waitFor()
    // The history is read, and its answer waits.
    let letThrough = () => {}
    const held = new Promise<void>((resolve) => {
      letThrough = resolve
    })
    let isRead = false
    await asha.page.route("**/api/privatechat/messages/**", async (route) => {
      const answer = await route.fetch()
      isRead = true
      await held
      await route.fulfill({ response: answer })
    })
    await asha.page.reload()
    await until(() => isRead)
    const row = asha.on("conversation-item").first()
    await row.locator('[data-presence="online"]').waitFor()
    await ben.say("in between")
    await row.filter({ hasText: "in between" }).waitFor()
    letThrough()
    await asha.message("in between").waitFor()
    await expect
      .poll(() => asha.on("message").locator("[data-content]").allInnerTexts())
      .toEqual(["before", "in between"])
  })
})
