// Uses the page in the browsers that the other tests do not use: `make browsers`. SCREENSHOTS names a directory for
// pictures of its steps.
import assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { gradient } from "../e2e/support/media.mjs"
import { post, register } from "../e2e/support/person.mjs"
import { LOCAL, serve } from "../e2e/support/server.mjs"
import { until } from "../e2e/support/wait.mjs"
import { firefox } from "./firefox.mjs"
import { by } from "./support.mjs"
import { webkit } from "./webkit.mjs"

const browsers = {
  Firefox: (t) => firefox(t),
  WebKit: (t) => webkit(t),
  "WebKit without a language": (t) => webkit(t, "C"),
}

for (const [name, launch] of Object.entries(browsers))
  test(`${name}: a user signs up, reads, writes, survives an outage, sends a picture and reads history`, async (t) => {
    const [server, page] = await Promise.all([serve(t, LOCAL), launch(t)])
    const station = async (what) => {
      const { SCREENSHOTS } = process.env
      if (SCREENSHOTS) await page.screenshot(join(SCREENSHOTS, `${name} ${what}.png`.replaceAll(" ", "-")))
    }

    await page.open(`${server.url}/chat`)
    await page.finds(by("signin-form"))
    await station("sign-in")
    await page.click(by("signin-switch"))
    await page.type("[name=username]", "asha")
    await page.type("[name=name]", "Asha")
    await page.type("[name=password]", "a lamp in the window")
    await page.click(by("signin-submit"))
    await page.finds(by("status-menu"))

    // A message of another user appears, and its conversation opens.
    const ben = await register(server, "Ben")
    const asha = await page.evaluate(async () => (await (await fetch("/api/auth/session")).json()).user.id)
    const as = { token: ben.token }
    const opened = await post(server, "/api/privatechat/conversations", { userId: asha }, as)
    const conversationId = opened.body.conversation.id
    const say = async (content) => {
      const { status } = await post(server, "/api/privatechat/message", { conversationId, content }, as)
      assert.equal(status, 201)
    }
    await say("Good evening")
    await page.shows("Good evening")
    await page.click(".row[data-conversation-id]")
    await page.finds("textarea")

    const write = async (text) => {
      await page.type("textarea", text)
      await page.press("textarea", "Enter")
    }
    const stateOf = (text) =>
      page.evaluate((wanted) => {
        const rows = [...document.querySelectorAll('[data-testid="message"]')]
        return rows.filter((row) => row.innerText.includes(wanted)).map((row) => row.innerText)
      }, text)
    for (let n = 0; n < 12; n += 1) {
      await say(`A question, number ${n}, ${"and so on ".repeat(n * 3)}`)
      await write(`An answer, number ${n}, ${"of few words ".repeat(n * 2)}`)
    }
    await page.shows("An answer, number 11,")
    await page.shows("A question, number 11,")
    await station("thread")

    // A message written while the server is away waits, and is sent once.
    await server.stop()
    await write("Written without a server")
    await page.shows("Written without a server")
    await server.start()
    await until(async () => (await stateOf("Written without a server"))[0]?.includes("Sent"), "it is sent")
    assert.equal((await stateOf("Written without a server")).length, 1)

    const home = await mkdtemp(join(tmpdir(), "lamplight-browsers-"))
    t.after(() => rm(home, { recursive: true, force: true }))
    await writeFile(join(home, "evening.png"), gradient(640, 400))
    await page.attach(by("file-input"), join(home, "evening.png"))
    await page.finds(by("upload"))
    await page.press("textarea", "Enter")
    await until(
      () =>
        page.evaluate(() => {
          const picture = document.querySelector('[data-testid="message"] [data-testid="picture"] img')
          return picture?.complete === true && picture.naturalWidth > 0
        }),
      "the picture is shown",
    )
    await station("picture")

    // A new page shows all messages, from the newest to the first.
    assert.deepEqual(await page.complaints(), [])
    await page.open("about:blank")
    await page.open(`${server.url}/chat#/c/${conversationId}`)
    await page.shows("Written without a server")
    await until(async () => {
      await page.evaluate(() => document.querySelector("[role=log]")?.scrollTo(0, 0))
      return page.has("Good evening")
    }, "the page scrolls to the first message")
    await page.shows("A question, number 0")
    await station("beginning")
    assert.deepEqual(await page.complaints(), [])
  })
