import type { Browser, CDPSession } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./axe"
import { misfits } from "./fit"
import { animationsEnd, canRun, frames, launch, Person, resize, Server, until } from "./world"

interface Look {
  look: string
  width: number
  height: number
  colorScheme?: "light" | "dark"
  forcedColors?: "active"
  /** The browser's size of text, in px. */
  text?: number
}

const looks: Look[] = [
  { look: "light", width: 1360, height: 860 },
  { look: "dark", width: 1360, height: 860, colorScheme: "dark" },
  { look: "a phone", width: 390, height: 844 },
  { look: "a dark phone", width: 390, height: 844, colorScheme: "dark" },
  { look: "a phone on its side", width: 844, height: 390 },
  { look: "forced colours", width: 1360, height: 860, forcedColors: "active" },
  {
    look: "dark forced colours on a phone",
    width: 390,
    height: 844,
    colorScheme: "dark",
    forcedColors: "active",
  },
  { look: "text of twice its size", width: 1280, height: 800, text: 32 },
  { look: "text of twice its size on a phone", width: 390, height: 844, text: 32 },
]

describe.skipIf(!canRun)("F32: every screen in every appearance", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person
  let devtools: CDPSession

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await Person.arrive(browser, server, "Asha", { bypassCSP: true, reducedMotion: "reduce" })
    devtools = await asha.context.newCDPSession(asha.page)
    await asha.signUp()
    ben = await (await Person.arrive(browser, server, "Ben")).signUp()
    // A user with a long name wrote the last message in a muted group.
    const cleo = await (await Person.arrive(browser, server, "Cleo")).signUp()
    const group = await cleo.page.evaluate(
      async ([ashaId, name]) => {
        const send = (method: string, path: string, body: object) =>
          fetch(path, {
            method,
            headers: { "content-type": "application/json" },
            body: JSON.stringify(body),
          }).then((answer) => answer.json())
        await send("PATCH", "/api/account", { name })
        const { conversation } = await send("POST", "/api/privatechat/conversations", {
          memberIds: [ashaId],
          name: "Everyone who works on the new building",
        })
        await send("POST", "/api/privatechat/message", {
          conversationId: conversation.id,
          content: "The plans are here",
        })
        return conversation.id as string
      },
      [await asha.userId(), "Cleopatra Bartholomäus von und zu Hohenstein-Wettersberg"] as const,
    )
    await cleo.close()
    await asha.page.evaluate(
      (id) =>
        fetch(`/api/privatechat/conversations/${encodeURIComponent(id)}/settings`, {
          method: "PUT",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ mutedUntil: "9999-12-31T00:00:00Z" }),
        }),
      group,
    )
    await ben.open(asha)
    await ben.say(
      "Have you seen the plans for the new building? https://example.com/a-long-address/of-a-page.html",
    )
    await ben.say(
      '```\nconst lamp = on ? "amber" : "none" // a line of code that is wider than a bubble can be\n```',
    )
    await ben.message("const lamp").waitFor()
    await asha.on("conversation-item").first().click()
    await asha.message("const lamp").waitFor()
    await asha.say("Yes. The windows should be larger, as in the first plan.")
    await asha.say("👍")
    await ben.message("👍").waitFor()
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  async function wear({ width, height, colorScheme = "light", forcedColors, text = 16 }: Look) {
    await asha.page.emulateMedia({ colorScheme, forcedColors: forcedColors ?? "none" })
    await devtools.send("Page.enable")
    await devtools.send("Page.setFontSizes", { fontSizes: { standard: text } })
    await resize(asha.page, width, height)
  }

  /** For appearances narrower than three panels. */
  const isNarrow = () => asha.page.evaluate(() => matchMedia("(width < 47.5em)").matches)
  const show = (hash: string) =>
    asha.page.evaluate((next) => {
      location.hash = next
    }, hash)
  const leave = () => asha.page.keyboard.press("Escape")
  /** A dialog over the page in a wide window is a separate screen on a phone. */
  const leaveYou = async () => {
    await leave()
    if (!(await isNarrow())) return
    // A closed layer leaves its entry of the history a moment later, and would leave the next view instead.
    await until(async () => (await asha.page.locator('[role="dialog"]').count()) === 0)
    await until(() => asha.page.evaluate(() => !history.state?.layers))
    await show("#/")
  }

  /** The screens, in an order in which each begins where the one before ends: at the thread. */
  const screens: [name: string, open: () => Promise<void>, close: () => Promise<void>][] = [
    ["the thread", async () => {}, async () => {}],
    [
      "the menu of the conversation",
      async () => {
        await asha.on("thread-menu").click()
        await asha.on("conversation-settings").waitFor()
      },
      leave,
    ],
    [
      "the emoji picker",
      async () => {
        await asha.on("open-emoji").click()
        await asha.on("emoji-picker").locator(".emoji-one").first().waitFor()
      },
      leave,
    ],
    [
      "the menu of a message",
      async () => {
        const message = asha.message("The windows should be larger")
        await message.focus()
        await message.press("Enter")
        await asha.page.getByRole("menuitem", { name: "Delete" }).waitFor()
      },
      leave,
    ],
    [
      "the question before a message is deleted",
      async () => {
        const message = asha.message("The windows should be larger")
        await message.focus()
        await message.press("Enter")
        await asha.page.getByRole("menuitem", { name: "Delete" }).click()
        await asha.on("delete-dialog").waitFor()
      },
      leave,
    ],
    [
      "the details",
      async () => {
        await asha.on("open-details").click()
        await asha.on("details").getByText("Shared files").waitFor()
      },
      () => asha.on("close-details").click(),
    ],
    [
      "the list",
      async () => {
        await show("#/")
        await asha.on("conversation-item").first().waitFor()
      },
      async () => {},
    ],
    [
      "the user's menu",
      async () => {
        await asha.page.locator('[data-testid="status-menu"]:visible').click()
        await asha.on("status-online").waitFor()
      },
      leaveYou,
    ],
    ["the settings", () => asha.openSettings(), leaveYou],
    [
      "the palette",
      async () => {
        await asha.on("open-palette").click()
        await asha.on("palette-field").fill("windows")
        await asha.page.locator('[data-testid="palette-entry"][data-kind="message"]').first().waitFor()
      },
      leave,
    ],
    [
      "the shortcuts",
      async () => {
        await asha.page.keyboard.press("Control+/")
        await asha.on("shortcut-sheet").waitFor()
      },
      leave,
    ],
    [
      "the account",
      async () => {
        await asha.page.locator('[data-testid="status-menu"]:visible').click()
        await asha.on("account-open").click()
        await asha.on("account-dialog").waitFor()
        await asha.on("picture-choose").waitFor()
      },
      leaveYou,
    ],
    [
      "a new group",
      async () => {
        await asha.page.locator('[data-testid="new-group"]:visible').first().click()
        await asha.on("pick").first().waitFor()
      },
      leave,
    ],
    [
      "what a search finds",
      async () => {
        await asha.on("search").fill("windows")
        await asha.on("hit").first().waitFor()
      },
      () => asha.on("search").fill(""),
    ],
    [
      "the people",
      async () => {
        if (await isNarrow()) await show("#/people")
        else if (!(await asha.on("people-search").isVisible()))
          await asha.page.getByRole("button", { name: "Find someone" }).click()
        await asha.on("online-user").first().waitFor()
      },
      async () => {
        if (await isNarrow()) await show("#/")
        else await leave()
      },
    ],
  ]

  it.each(looks)("55: no axe violations, and nothing is cut off or covered: $look", async (look) => {
    await wear(look)
    await show("#/")
    await asha.on("conversation-item").first().click()
    await asha.message("The windows should be larger").waitFor()
    const found: string[] = []
    for (const [name, open, close] of screens) {
      await open()
      for (const one of await violations(asha.page)) found.push(`${name}: ${one}`)
      for (const one of await misfits(asha.page)) found.push(`${name}: ${one}`)
      if (process.env.SHOTS)
        await asha.page.screenshot({
          path: `${process.env.SHOTS}/${look.look}-${name}.png`.replaceAll(" ", "-"),
        })
      await close()
      await frames(asha.page)
    }
    expect(found).toEqual([])
  })

  it("55: with text at 200% the thread fills the page or has at least 320 px", async () => {
    for (const width of [390, 700, 1280, 1700]) {
      await wear({ look: "", width, height: 800, text: 32 })
      await show("#/")
      await asha.on("conversation-item").first().click()
      await asha.message("The windows should be larger").waitFor()
      const thread = (await asha.on("thread").boundingBox())?.width ?? 0
      expect(thread).toBeGreaterThanOrEqual(Math.min(320, width))
      if (width < 1520) expect(Math.round(thread)).toBe(width)
    }
  })

  it("55: with forced colours, focused, selected and own items look different from the others", async () => {
    await wear({ look: "", width: 1360, height: 860, forcedColors: "active" })
    await asha.on("conversation-item").first().click()
    await asha.message("The windows should be larger").waitFor()
    /** The styles that remain to distinguish two elements: no shadow, and fills only in system colors. */
    const edges = (selector: string) =>
      asha.page
        .locator(selector)
        .first()
        .evaluate((element) => {
          const style = getComputedStyle(element)
          const before = getComputedStyle(element, "::before")
          const sides = ["Top", "Right", "Bottom", "Left"].map((side) => {
            const at = (what: string) => style[`border${side}${what}` as keyof CSSStyleDeclaration]
            return `${at("Width")} ${at("Style")} ${at("Color")}`
          })
          const bar = before.content === "none" ? "" : `${before.borderLeftWidth} ${before.borderLeftColor}`
          return [...sides, style.outlineStyle, style.outlineWidth, style.backgroundColor, bar].join(", ")
        })
    const field = ".composer-field:not([hidden])"
    await asha.on("composer").focus()
    await animationsEnd(asha.page)
    const focused = await edges(field)
    await asha.on("log").focus()
    await animationsEnd(asha.page)
    expect(await edges(field)).not.toBe(focused)
    const own = await edges(".message[data-own] .bubble:not([data-emoji])")
    expect(await edges(".message:not([data-own]) .bubble")).not.toBe(own)
    expect(await edges('.row[aria-current="true"]')).toContain("solid, 2px")
    await asha.openSettings()
    const pressed = await edges('.theme-choice[aria-pressed="true"]')
    expect(await edges('.theme-choice[aria-pressed="false"]')).not.toBe(pressed)
    await leave()
    // The marks of presence keep their shapes in the color of the text.
    const lamp = await asha.page
      .locator(".presence-icon:visible")
      .first()
      .evaluate((icon) => [getComputedStyle(icon).color, getComputedStyle(document.body).color])
    expect(lamp[0]).toBe(lamp[1])
  })
})
