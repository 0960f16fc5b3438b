import { randomBytes } from "node:crypto"
import { mkdir } from "node:fs/promises"
import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { gradient, mp4, wav } from "../../../tests/e2e/support/media.mjs"
import { violations } from "./axe"
import { canRun, launch, Person, resize, restore, Server, settled, until } from "./world"

const TYPES: Record<string, [type: string, bytes: () => Buffer]> = {
  png: ["image/png", () => gradient(240, 160)],
  mp4: ["video/mp4", () => mp4(67_000)],
  wav: ["audio/wav", () => wav(2)],
  pdf: ["application/pdf", () => Buffer.concat([Buffer.from("%PDF-1.7 "), randomBytes(300_000)])],
  zip: ["application/zip", () => Buffer.concat([Buffer.from("PK\u0003\u0004"), randomBytes(2_300_000)])],
}

/** Asha looks at the details of her conversation with Ben, who shares files. */
describe.skipIf(!canRun)("the files of a conversation", () => {
  let browser: Browser
  const server = new Server()
  let asha: Person
  let ben: Person
  let place: string

  beforeAll(async () => {
    ;[browser] = await Promise.all([
      launch(),
      server.start({ FILE_QUOTA: "0", LIMIT_SENDS: "0", LIMIT_READS: "0" }),
    ])
    asha = await (await Person.arrive(browser, server, "Asha", { bypassCSP: true })).signUp()
    ben = await (await Person.arrive(browser, server, "Ben", { bypassCSP: true })).signUp()
    await asha.open(ben)
    await asha.say("Hello")
    await ben.open(asha)
    place = await asha.conversationId()
  })
  afterEach(async () => {
    await asha.page.unroute("**/files?*")
    await restore(asha)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  /** Uploads files and sends them in one message. Returns its id and its place. */
  async function share(person: Person, ...names: string[]): Promise<{ id: string; seq: number }> {
    const { request } = person.context
    const headers = { origin: server.url }
    const attachments: string[] = []
    for (const name of names) {
      const [type, bytes] = TYPES[name.split(".").at(-1) ?? ""] as (typeof TYPES)[string]
      const data = bytes()
      const metadata = Object.entries({ filename: name, filetype: type, conversationId: place })
        .map(([key, value]) => `${key} ${Buffer.from(value).toString("base64")}`)
        .join(",")
      const made = await request.post(`${server.url}/api/files`, {
        headers: {
          ...headers,
          "tus-resumable": "1.0.0",
          "upload-length": String(data.length),
          "upload-metadata": metadata,
          "content-type": "application/offset+octet-stream",
        },
        data,
      })
      expect(made.status(), await made.text()).toBe(201)
      attachments.push(made.headers().location?.split("/").at(-1) ?? "")
    }
    const sent = await request.post(`${server.url}/api/privatechat/message`, {
      headers,
      data: { conversationId: place, content: "", attachments },
    })
    expect(sent.status(), await sent.text()).toBe(201)
    return (await sent.json()).message
  }

  async function look({ page }: Person, name: string) {
    for (const theme of ["dark", "light"]) {
      await page.evaluate((to) => {
        document.documentElement.dataset.theme = to
      }, theme)
      expect(await violations(page)).toEqual([])
      const folder = process.env.SCREENSHOTS
      if (!folder) continue
      await mkdir(folder, { recursive: true })
      await page.screenshot({ path: `${folder}/${name}-${theme}.png` })
    }
  }

  async function openDetails(person: Person) {
    await person.on("open-details").waitFor({ state: "attached" })
    if (!(await person.on("details").isVisible())) await person.on("open-details").click()
    await person.on("shared").waitFor()
  }

  const media = (person: Person) => person.on("shared-media")
  const row = (person: Person, name: string) =>
    person.on("shared-file").filter({ has: person.page.locator(`[title="${name}"]`) })
  const isPictureShown = (person: Person) =>
    until(() =>
      media(person)
        .first()
        .evaluate((one) => one.querySelector("img")?.dataset.state === "shown"),
    )
  const jumpedTo = (person: Person, name: string) =>
    person.page.locator(".log-row[data-target]").filter({ hasText: name }).waitFor()

  it("an empty list says so; new files appear and deleted ones disappear, each in its kind", async () => {
    await openDetails(asha)
    await asha.on("shared-empty").waitFor()
    expect(await asha.on("shared-all").count()).toBe(0)
    await look(asha, "empty")
    await share(ben, "paper about the garden.pdf", "garden.png")
    await media(asha).waitFor()
    await row(asha, "paper about the garden.pdf").waitFor()
    expect(await asha.on("shared-empty").count()).toBe(0)
    const second = await share(ben, "pond.png", "film.mp4", "birdsong.wav", "all of it.zip")
    await until(async () => (await media(asha).count()) === 3)
    // The newest message first, and its files in its order.
    const labels = await media(asha).evaluateAll((all) =>
      all.map((one) => one.getAttribute("aria-label") ?? ""),
    )
    expect(labels.map((label) => /(pond\.png|film\.mp4|garden\.png)/.exec(label)?.[0])).toEqual([
      "pond.png",
      "film.mp4",
      "garden.png",
    ])
    expect(labels[1]).toContain("Video")
    expect(await media(asha).nth(1).textContent()).toBe("1:07")
    await isPictureShown(asha)
    expect(await asha.on("shared-file").count()).toBe(3)
    expect(await row(asha, "all of it.zip").textContent()).toMatch(/2\.3 MB · .+ · .*Ben/)
    await look(asha, "details")
    const gone = await ben.context.request.delete(
      `${server.url}/api/privatechat/messages/${place}/${second.id}`,
      { headers: { origin: server.url }, data: {} },
    )
    expect(gone.status()).toBe(200)
    await until(async () => (await media(asha).count()) === 1 && (await asha.on("shared-file").count()) === 1)
  })

  it("a file downloads unchanged, audio plays in its row, and each file leads to its message", async () => {
    await share(ben, "notes.pdf", "voice.wav")
    for (let n = 0; n < 30; n++) await asha.pour(1, () => `line ${n}`)
    await openDetails(asha)
    const link = row(asha, "notes.pdf").locator("a")
    await until(async () => (await link.getAttribute("href")) !== null)
    expect(await link.getAttribute("download")).toBe("notes.pdf")
    const size = await link.evaluate(
      async (one) => (await (await fetch((one as HTMLAnchorElement).href)).arrayBuffer()).byteLength,
    )
    expect(size).toBe(300_009)
    const play = row(asha, "voice.wav").locator("button").first()
    await play.click()
    await asha.on("shared-audio").waitFor()
    await play.click()
    await asha.on("shared-audio").waitFor({ state: "detached" })
    // On a wide screen the panel stays beside the message.
    await resize(asha.page, 1280, 800)
    await row(asha, "notes.pdf").locator('[data-testid="shared-show"]').click()
    await jumpedTo(asha, "notes.pdf")
    expect(await asha.on("details").isVisible()).toBe(true)
    expect(new URL(asha.page.url()).hash).toMatch(/\/details$/)
    // Over the conversation it closes.
    await resize(asha.page, 900, 800)
    await row(asha, "notes.pdf").locator('[data-testid="shared-show"]').click()
    await asha.on("details").waitFor({ state: "detached" })
    await jumpedTo(asha, "notes.pdf")
  })

  it("files are listed by month and kind in pages, with one Tab stop, and the viewer steps through them", async () => {
    await resize(asha.page, 1280, 800)
    for (let n = 0; n < 5; n++)
      await share(ben, ...Array.from({ length: 10 }, (_, file) => `many ${n}-${file}.png`))
    await openDetails(asha)
    await until(async () => (await media(asha).count()) === 6)
    await asha.on("shared-all").click()
    await asha.on("shared-list").waitFor()
    expect(await asha.focused()).toBe("shared-back")
    await until(async () => (await media(asha).count()) >= 36)
    await isPictureShown(asha)
    await look(asha, "all")
    // The rest comes before the end is reached.
    await until(async () => {
      await asha.page.locator(".details-body").evaluate((one) => one.scrollTo(0, one.scrollHeight))
      return (await media(asha).count()) === 51
    })
    const stops = await media(asha).evaluateAll(
      (all) => all.filter((one) => (one as HTMLElement).tabIndex === 0).length,
    )
    expect(stops).toBe(1)
    await media(asha).first().focus()
    for (const key of ["ArrowDown", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "ArrowRight"])
      await asha.page.keyboard.press(key)
    const at = await media(asha).evaluateAll((all) => all.indexOf(document.activeElement as HTMLElement))
    expect(at).toBe(4)
    await asha.page.keyboard.press("Enter")
    await asha.on("viewer").waitFor()
    expect(await asha.on("viewer-place").textContent()).toContain("47 of 51")
    await look(asha, "viewer")
    await asha.page.keyboard.press("ArrowRight")
    await until(async () => /48 of 51/.test((await asha.on("viewer-place").textContent()) ?? ""))
    await asha.page.keyboard.press("Escape")
    await asha.on("viewer").waitFor({ state: "detached" })
    await until(async () => (await asha.focused()) === "shared-media")
    await media(asha).nth(50).click()
    await asha.on("viewer-show").click()
    await asha.on("viewer").waitFor({ state: "detached" })
    await asha.page.locator(".log-row[data-target]").waitFor()
    // Other files have a tab of their own.
    await asha.on("shared-tab-others").click()
    await row(asha, "notes.pdf").waitFor()
    expect(await media(asha).count()).toBe(0)
    await look(asha, "others")
    await asha.on("shared-back").click()
    await asha.on("shared").waitFor()
    await until(async () => (await asha.focused()) === "shared-all")
  })

  it("a list that failed to load shows an error and can be retried", async () => {
    await resize(asha.page, 1280, 800)
    let isDown = true
    await asha.page.route("**/files?*", (route) => (isDown ? route.abort() : route.continue()))
    await asha.page.reload()
    await openDetails(asha)
    await asha.on("shared-retry").waitFor()
    await look(asha, "error")
    isDown = false
    await asha.on("shared-retry").click()
    await until(async () => (await media(asha).count()) === 6)
    await until(async () => (await asha.on("shared-retry").count()) === 0)
  })

  it("the list fits a phone, and a file leads back to the conversation", async () => {
    await share(ben, "holiday.png", "clip.mp4", "a very long name of a paper that nobody will ever read.pdf")
    await resize(asha.page, 390, 844)
    await openDetails(asha)
    await media(asha).first().waitFor()
    await isPictureShown(asha)
    await settled(asha.page, () => asha.on("shared").boundingBox())
    expect(await asha.page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
    await look(asha, "phone")
    await asha.on("shared-all").click()
    await asha.on("shared-list").waitFor()
    await look(asha, "phone-all")
    await asha.on("shared-tab-others").click()
    const long = asha.on("shared-file").first()
    await long.waitFor()
    await look(asha, "phone-others")
    await long.locator('[data-testid="shared-show"]').click()
    await asha.on("details").waitFor({ state: "detached" })
    await jumpedTo(asha, "a very long name")
  })
})
