import type { Browser, Route } from "playwright-core"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { launchChromium } from "../../../tests/e2e/support/chromium.mjs"
import { canRun, closeOthers, frames, launch, Person, phone, resize, Server, settled, until } from "./world"

/** Asha writes to Ben, each test in pages of its own. */
describe.skipIf(!canRun)("the thread", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
  })
  beforeEach(async () => {
    ;[asha, ben] = await Promise.all([
      Person.arrive(browser, server, "Asha", { reducedMotion: "reduce" }).then((person) => person.signUp()),
      Person.arrive(browser, server, "Ben").then((person) => person.signUp()),
    ])
    await asha.open(ben)
  })
  afterEach(async () => {
    const complaints = [asha, ben].flatMap((person) => person?.complaints ?? [])
    await closeOthers(browser)
    expect(complaints).toEqual([])
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const state = (person: Person, text: string) => person.message(text).getAttribute("data-state")
  const toMiddle = () =>
    asha.page.evaluate(() => {
      const log = document.querySelector<HTMLElement>('[data-testid="log"]')
      if (log) log.scrollTop = log.scrollHeight / 2
    })

  it("18: a message above that shrinks, and a reaction removed there, do not move the visible messages", async () => {
    const tall = `Tall. ${"One line after the other. \n".repeat(12)}`
    await asha.pour(60, (n) => (n % 3 ? `Line ${n}.` : `${n}. ${tall}`))
    await asha.message("Line 59.").waitFor()
    await toMiddle()
    await asha.on("to-end").waitFor()
    await settled(asha.page, () => asha.on("log").evaluate((log) => log.scrollTop))
    // The last tall message that is wholly above the view, and a visible one.
    const [above, read] = await asha.page.evaluate(() => {
      const top = document.querySelector('[data-testid="log"]')?.getBoundingClientRect().top ?? 0
      const rows = [...document.querySelectorAll<HTMLElement>('[data-testid="message"]')]
        .map((row) => ({ row, box: row.getBoundingClientRect() }))
        .sort((a, b) => a.box.top - b.box.top)
      const gone = rows.findLast(({ box }) => box.bottom < top && box.height > 200)?.row.dataset
      const seen = rows.find(({ box }) => box.top > top + 20)?.row
      const at = seen?.getBoundingClientRect().top ?? 0
      const watched = { most: 0 }
      Object.assign(window, { watched })
      const watch = () => {
        const now = document.querySelector(`[data-key="${seen?.dataset.key}"]`)?.getBoundingClientRect().top
        watched.most = Math.max(watched.most, Math.abs((now ?? Number.POSITIVE_INFINITY) - at))
        requestAnimationFrame(watch)
      }
      watch()
      return [Number(gone?.seq), seen?.dataset.key]
    })
    expect(above).toBeGreaterThan(0)
    expect(read).toBeTruthy()
    const row = asha.page.locator(`[data-testid="message"][data-seq="${above}"]`)
    /** Changes a message like another device of the sender. */
    const change = (method: string, path: string, body: object) =>
      asha.page.evaluate(
        async ([verb, seq, rest, json]) => {
          const place = `/api/privatechat/messages/${encodeURIComponent(decodeURIComponent(location.hash.replace("#/c/", "")))}`
          const { data } = await (await fetch(`${place}?around=${seq}&limit=1`)).json()
          const answer = await fetch(`${place}/${data[0].id}${rest}`, {
            method: verb,
            headers: { "content-type": "application/json" },
            body: json,
          })
          return answer.status
        },
        [method, above, path, JSON.stringify(body)] as const,
      )
    const most = () =>
      asha.page.evaluate(() => (window as unknown as { watched: { most: number } }).watched.most)
    const height = async () => (await row.boundingBox())?.height ?? 0
    const before = await height()
    const emoji = encodeURIComponent("👍")
    expect(await change("PUT", `/reactions/${emoji}`, {})).toBe(200)
    await until(async () => (await height()) > before)
    expect(await change("DELETE", `/reactions/${emoji}`, {})).toBe(200)
    await until(async () => (await height()) === before)
    expect(await change("DELETE", "", {})).toBe(200)
    await until(async () => (await height()) < 60)
    await frames(asha.page, 8)
    expect(await most()).toBeLessThanOrEqual(1)
  })

  it("26: messages are grouped by sender, and each shows its time on hover and focus", async () => {
    await asha.say("one")
    await asha.say("two")
    await asha.message("two").waitFor()
    await expect.poll(() => state(asha, "two")).toBe("sent")
    await ben.on("conversation-item").first().click()
    await ben.say("three")
    await asha.message("three").waitFor()
    await asha.say("four")
    await asha.message("four").waitFor()
    // Between two people the side of a message shows its sender, and a time shows only after a pause.
    await expect.poll(() => asha.page.locator(".group-gap").count()).toBe(2)
    const heads = asha.page.locator(".group-head")
    expect(await heads.allInnerTexts()).toEqual([expect.stringMatching(/^\d{1,2}:\d\d/)])
    const time = asha.message("one").locator("time")
    const opacity = (wanted: string) =>
      expect.poll(() => time.evaluate((element) => getComputedStyle(element).opacity)).toBe(wanted)
    await asha.page.mouse.move(5, 5)
    await opacity("0")
    await asha.message("one").hover()
    await opacity("1")
    expect(await time.innerText()).toMatch(/^\d{1,2}:\d\d/)
    await asha.page.mouse.move(5, 5)
    await opacity("0")
    await asha.message("one").focus()
    await opacity("1")
  })

  it("27: sending, sent and failed are lasting states, which survive a reload", async () => {
    await asha.say("sent before")
    await expect.poll(() => state(asha, "sent before")).toBe("sent")
    await asha.page.routeWebSocket(/\/api\/socketio/, (socket) => socket.close())
    await asha.page.route(/\/api\/socketio/, (route) => route.abort())
    await asha.page.route("**/api/privatechat/message", (route) => route.abort())
    await asha.page.reload()
    await asha.say("on its way")
    await asha.message("on its way").waitFor()
    expect(await state(asha, "on its way")).toBe("sending")
    await asha.page.reload()
    await asha.message("on its way").waitFor()
    expect(await state(asha, "on its way")).toBe("sending")
    expect(await state(asha, "sent before")).toBe("sent")
    const refuse = (route: Route) =>
      route.fulfill({
        status: 403,
        json: { success: false, error: "You may not write here.", code: "forbidden", retryable: false },
      })
    await asha.page.unroute("**/api/privatechat/message")
    await asha.page.route("**/api/privatechat/message", refuse)
    await expect.poll(() => state(asha, "on its way")).toBe("failed")
    await asha.page.reload()
    await asha.message("on its way").waitFor()
    expect(await state(asha, "on its way")).toBe("failed")
    await asha.page.unroute("**/api/privatechat/message")
    await asha.on("retry").click()
    await expect.poll(() => state(asha, "on its way")).toBe("sent")
    await asha.page.reload()
    await expect.poll(() => state(asha, "on its way")).toBe("sent")
  })

  it("29 F29: the list row shows the failed message; the next one waits for it, and the others for the one before", async () => {
    await asha.page.routeWebSocket(/\/api\/socketio/, (socket) => socket.close())
    await asha.page.route(/\/api\/socketio/, (route) => route.abort())
    await asha.page.reload()
    await asha.on("composer").waitFor()
    let letThrough = () => {}
    const held = new Promise<void>((resolve) => {
      letThrough = resolve
    })
    await asha.page.route("**/api/privatechat/message", async (route) => {
      await held
      await route.fulfill({
        status: 403,
        json: { success: false, error: "You may not write here.", code: "forbidden", retryable: false },
      })
    })
    for (const text of ["The first", "The second", "The third", "The fourth"]) {
      await asha.say(text)
      await asha.message(text).waitFor()
    }
    letThrough()
    await expect.poll(() => state(asha, "The first")).toBe("failed")
    await expect
      .poll(() => asha.on("waiting").allInnerTexts())
      .toEqual([
        "Waiting for the message that was not sent",
        "Waiting for the message before it",
        "Waiting for the message before it",
      ])
    const row = asha.on("conversation-item").first()
    await expect.poll(() => row.locator(".row-said").textContent()).toBe("Not sent: The first")
    expect(await asha.on("message").getByText("You may not write here.").count()).toBe(1)
    // Once it is gone, the next one is tried, refused, and named.
    await asha.on("delete").click()
    await expect.poll(() => row.locator(".row-said").textContent()).toBe("Not sent: The second")
    await expect.poll(() => asha.on("waiting").count()).toBe(2)
  })

  it("39: returned text never overwrites newer text and never lands in another conversation", async () => {
    const cleo = await (await Person.arrive(browser, server, "Cleo")).signUp()
    await asha.say("to Ben")
    await expect.poll(() => state(asha, "to Ben")).toBe("sent")
    await asha.open(cleo)
    await asha.say("to Cleo")
    await expect.poll(() => state(asha, "to Cleo")).toBe("sent")
    await asha.page.routeWebSocket(/\/api\/socketio/, (socket) => socket.close())
    await asha.page.route(/\/api\/socketio/, (route) => route.abort())
    await asha.page.route("**/api/privatechat/message", (route) =>
      route.fulfill({
        status: 403,
        json: { success: false, error: "You may not write here.", code: "forbidden", retryable: false },
      }),
    )
    await asha.page.reload()
    const row = (other: Person) => asha.on("conversation-item").filter({ hasText: other.name })
    const field = asha.on("composer")
    await row(ben).click()
    await asha.on("thread-name").filter({ hasText: ben.name }).waitFor()
    await asha.say("refused for Ben")
    await expect.poll(() => state(asha, "refused for Ben")).toBe("failed")
    await asha.on("delete").click()
    const back = asha.page.getByRole("button", { name: "Put it back" })
    await back.waitFor()
    await field.fill("newer for Ben")
    await row(cleo).click()
    await asha.on("thread-name").filter({ hasText: cleo.name }).waitFor()
    await field.fill("for Cleo")
    await back.dispatchEvent("click")
    // A marker: the click has been handled.
    await row(ben).filter({ hasText: "refused for Ben" }).waitFor()
    expect(await field.inputValue()).toBe("for Cleo")
    await row(ben).click()
    await asha.on("thread-name").filter({ hasText: ben.name }).waitFor()
    await expect.poll(() => field.inputValue()).toBe("refused for Ben\nnewer for Ben")
    await row(cleo).click()
    await asha.on("thread-name").filter({ hasText: cleo.name }).waitFor()
    await expect.poll(() => field.inputValue()).toBe("for Cleo")
  })

  it("39: the text of a message that is refused at once returns to the field", async () => {
    await asha.page.route("**/api/privatechat/messages/**", (route) =>
      route.fulfill({
        status: 403,
        json: { success: false, error: "You may not read here.", code: "forbidden", retryable: false },
      }),
    )
    await asha.page.reload()
    await asha.page.getByText("The messages could not be loaded.").first().waitFor()
    await asha.say("too early")
    await asha.page.getByText("Your text is back in the message field.").waitFor()
    await expect.poll(() => asha.on("composer").inputValue()).toBe("too early")
  })

  it("42: the remaining length shows before the limit, and a text past it is not sent", async () => {
    const field = asha.on("composer")
    await field.fill("x".repeat(7_499))
    expect(await asha.on("length").count()).toBe(0)
    await field.fill("x".repeat(7_500))
    await asha.on("length").filter({ hasText: "500 left" }).waitFor()
    await field.fill("😀".repeat(8_000))
    await asha.on("length").filter({ hasText: "0 left" }).waitFor()
    expect(await field.getAttribute("aria-invalid")).toBe("false")
    await field.fill("😀".repeat(8_001))
    await asha.on("length").filter({ hasText: "1 too many" }).waitFor()
    expect(await field.getAttribute("aria-invalid")).toBe("true")
    await field.press("Enter")
    await asha.page.getByText("This is 1 character longer than a message may be.").waitFor()
    expect(await field.inputValue()).toBe("😀".repeat(8_001))
    await field.fill("short enough")
    await field.press("Enter")
    await asha.message("short enough").waitFor()
    expect(await asha.on("message").count()).toBe(1)
  })

  it("51: the thread is an ARIA log; each new message is announced once, and history never", async () => {
    expect(await asha.page.getByRole("log").count()).toBeLessThanOrEqual(1)
    await asha.say("the first")
    await ben.on("conversation-item").first().click()
    await ben.message("the first").waitFor()
    await asha.pour(130, (n) => `Old ${n}.`)
    await ben.message("Old 129.").waitFor()
    await expect.poll(() => asha.on("receipt").last().getAttribute("data-receipt")).toBe("read")
    const log = ben.page.getByRole("log", { name: `Messages with ${asha.name}` })
    await log.waitFor()
    expect(await log.getAttribute("aria-live")).toBe("off")
    await ben.page.addInitScript(() => {
      const spoken: string[] = []
      Object.assign(window, { spoken })
      // The additions to a live region, which a screen reader would announce.
      new MutationObserver((changes) => {
        for (const { addedNodes, target } of changes) {
          const region = (target as Element).closest?.("[aria-live=polite], [role=log]:not([aria-live=off])")
          if (!region) continue
          for (const node of addedNodes) spoken.push(node.textContent ?? "")
        }
      }).observe(document, { subtree: true, childList: true })
    })
    await ben.page.reload()
    await ben.message("Old 129.").waitFor()
    const spoken = () => ben.page.evaluate(() => (window as unknown as { spoken: string[] }).spoken)
    // Older pages come, and rows go and come.
    await until(async () => {
      await ben.page.evaluate(() => {
        const element = document.querySelector<HTMLElement>('[data-testid="log"]')
        if (element) element.scrollTop = 0
      })
      return ben.page.getByText("This is the beginning").isVisible()
    })
    await asha.say("a new one")
    await ben.on("to-end").filter({ hasText: "1 new message" }).click()
    await ben.message("a new one").waitFor()
    await ben.say("my own")
    await ben.message("my own").waitFor()
    // After leaving and returning, the messages are history.
    await ben.page.evaluate(() => {
      location.hash = "#/"
    })
    await ben.on("log").waitFor({ state: "detached" })
    await ben.on("conversation-item").first().click()
    await ben.message("my own").waitFor()
    await asha.say("another")
    await ben.message("another").waitFor()
    await expect.poll(spoken).toEqual([`${asha.name}: a new one`, `${asha.name}: another`])
  })

  it("15 F31: a thread at its end stays there through any resize", async () => {
    await asha.pour(60, (n) => `Line ${n}. ${"More of the same, to make it longer. ".repeat(n % 5)}`)
    await asha.message("Line 59.").waitFor()
    const gap = () =>
      asha.page.evaluate(() => {
        const log = document.querySelector('[data-testid="log"]')
        return log ? Math.round(log.scrollHeight - log.clientHeight - log.scrollTop) : -1
      })
    const gaps: number[] = []
    for (let attempt = 0; attempt < 10; attempt += 1) {
      await asha.page.setViewportSize({ width: 1360, height: 860 })
      await asha.page.setViewportSize({ width: 680, height: 430 })
      await resize(asha.page, 680, 430)
      gaps.push(await settled(asha.page, gap))
      await resize(asha.page, 1360, 860)
      gaps.push(await settled(asha.page, gap))
    }
    expect(gaps.filter((one) => one > 2)).toEqual([])
    expect(await asha.on("to-end").count()).toBe(0)
  })

  it("F35: user names distinguish two people of one name, wherever both are listed", async () => {
    const name = `Twin ${Date.now()}`
    const twins: Person[] = []
    for (const one of ["Cleo", "Dora"]) {
      const twin = await (await Person.arrive(browser, server, one)).signUp()
      twin.name = name
      await twin.page.locator('[data-testid="status-menu"]:visible').click()
      await twin.on("account-open").click()
      await twin
        .on("account-handle")
        .filter({ hasText: `@${twin.username}` })
        .waitFor()
      await twin.page.locator('[data-testid="account-name"] [name="name"]').fill(name)
      await twin.page.getByRole("button", { name: "Change name" }).click()
      await twin.page.getByText("Your name is changed.").waitFor()
      twins.push(twin)
    }
    const handles = twins.map(({ username }) => `@${username}`).sort()
    const shown = (rows: ReturnType<Person["on"]>) =>
      expect
        .poll(async () =>
          (await rows.filter({ hasText: name }).locator(".row-handle").allInnerTexts()).sort(),
        )
        .toEqual(handles)
    await asha.on("people-search").fill(name)
    await shown(asha.on("online-user"))
    for (const { username } of twins)
      await asha.page
        .getByRole("button", { name: `${name} @${username}, online` })
        .first()
        .waitFor()
    // Other people show no user name.
    await asha.on("people-search").fill("")
    await asha.on("online-user").filter({ hasText: ben.name }).waitFor()
    expect(await asha.on("online-user").filter({ hasText: ben.name }).locator(".row-handle").count()).toBe(0)
    for (const { username } of twins) {
      await asha
        .on("online-user")
        .filter({ hasText: `@${username}` })
        .first()
        .click()
      await asha.on("thread-name").filter({ hasText: name }).waitFor()
      await asha.on("open-details").click()
      await asha
        .on("details-handle")
        .filter({ hasText: `@${username}` })
        .waitFor()
      await asha.on("close-details").click()
      await asha.on("details").waitFor({ state: "detached" })
      await asha.say(`to ${username}`)
      await asha.message(`to ${username}`).waitFor()
    }
    await shown(asha.on("conversation-item"))
    // In the picker, in the group's members, and where one of them is mentioned.
    await asha.on("new-group").click()
    await asha.on("group-name").fill("Twins")
    await asha.on("picker-search").fill(name)
    await shown(asha.on("pick"))
    for (const { username } of twins)
      await asha
        .on("pick")
        .filter({ hasText: `@${username}` })
        .click()
    await asha.on("group-create").click()
    await asha.on("thread-name").filter({ hasText: "Twins" }).waitFor()
    await asha.on("composer").pressSequentially("@Twin")
    await shown(asha.on("mention-option"))
    await asha.on("composer").fill("")
    await asha.on("open-details").click()
    await shown(asha.on("member"))
  })

  it("F37: an unfinished status text survives closing the menu", async () => {
    const card = asha.page.locator('[data-testid="status-menu"]:visible')
    await card.click()
    await asha.on("status-text").fill("half a status")
    await asha.page.keyboard.press("Escape")
    await asha.on("status-text").waitFor({ state: "detached" })
    await card.click()
    expect(await asha.on("status-text").inputValue()).toBe("half a status")
    await asha.on("status-text").press("Enter")
    await card.filter({ hasText: "half a status" }).waitFor({ state: "attached" })
    await asha.on("status-text").fill("")
    await asha.on("status-text").press("Enter")
    await expect.poll(() => card.textContent()).not.toContain("half a status")
  })

  it("F37: a name of 120 letters is cut off within its row, with the time beside it", async () => {
    const long = `${"Wolfeschlegelsteinhausen".repeat(5)}`
    for (const options of [{}, phone]) {
      const cleo = await (await Person.arrive(browser, server, "Cleo", options)).signUp()
      await cleo.page.evaluate(async (name) => {
        await fetch("/api/account", {
          method: "PATCH",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ name }),
        })
      }, long)
      // In a group, where names stand over messages.
      await cleo.page.evaluate(
        async (memberIds) => {
          const answer = await fetch("/api/privatechat/conversations", {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ memberIds }),
          })
          location.hash = `#/c/${(await answer.json()).conversation.id}`
        },
        [await asha.userId(), await ben.userId()],
      )
      await cleo.page.reload()
      await cleo.on("composer").fill("from a long name")
      await cleo.on("send").click()
      await cleo.message("from a long name").waitFor()
      if (options === phone) await resize(asha.page, 390, 844)
      await asha.page.evaluate(() => {
        location.hash = "#/"
      })
      const row = asha.on("conversation-item").filter({ hasText: "from a long name" }).first()
      await row.waitFor()
      const overflows = (person: Person) =>
        person.page.evaluate(() =>
          // The rows of a log reach under the space for its scrollbar; what they have does not.
          [...document.querySelectorAll<HTMLElement>("header, .row, .group-head, .bubble, .panel, body")]
            .filter((element) => element.checkVisibility() && element.scrollWidth > element.clientWidth + 1)
            .map((element) => element.className || element.tagName),
        )
      expect(await overflows(asha)).toEqual([])
      await row.click()
      const head = asha.page.locator(".group-head").filter({ hasText: long }).first()
      await head.waitFor()
      expect(await overflows(asha)).toEqual([])
      const time = await head.locator("time").boundingBox()
      const log = await asha.on("log").boundingBox()
      expect((time?.x ?? 0) + (time?.width ?? 0)).toBeLessThanOrEqual((log?.x ?? 0) + (log?.width ?? 0))
      expect(time?.width).toBeGreaterThan(20)
      expect(await overflows(cleo)).toEqual([])
      await cleo.close()
    }
  })
})

describe.skipIf(!canRun)("classic scrollbars", () => {
  it("35: reserved scrollbar space prevents sideways movement", async () => {
    const server = new Server()
    // Test browsers hide scrollbars by default.
    const [browser] = await Promise.all([
      launchChromium({ ignoreDefaultArgs: ["--hide-scrollbars"] }),
      server.start(),
    ])
    try {
      const asha = await (await Person.arrive(browser, server, "Asha")).signUp()
      const ben = await (await Person.arrive(browser, server, "Ben")).signUp()
      await asha.open(ben)
      await asha.say("alone")
      await asha.message("alone").waitFor()
      const measure = () =>
        asha.page.evaluate(() =>
          ['[data-testid="log"]', '[data-testid="conversations"]', '[data-testid="people"]'].map((one) => {
            const element = document.querySelector<HTMLElement>(one)
            return {
              width: element?.clientWidth,
              bar: (element?.offsetWidth ?? 0) - (element?.clientWidth ?? 0),
              scrolls: (element?.scrollHeight ?? 0) > (element?.clientHeight ?? 0),
            }
          }),
        )
      const before = await settled(asha.page, measure)
      for (const { bar } of before) expect(bar).toBeGreaterThan(0)
      expect(before[0]?.scrolls).toBe(false)
      await asha.pour(80, (n) => `Line ${n}.`)
      await asha.message("Line 79.").waitFor()
      const after = await settled(asha.page, measure)
      expect(after[0]?.scrolls).toBe(true)
      expect(after.map(({ width }) => width)).toEqual(before.map(({ width }) => width))
    } finally {
      await browser.close()
      await server.stop()
    }
  })
})
