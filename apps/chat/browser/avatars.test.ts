import { mkdir } from "node:fs/promises"
import type { Browser, Locator } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { gradient } from "../../../tests/e2e/support/media.mjs"
import { violations } from "./axe"
import { canStart, closeOthers, launch, Person, phone, restore, Server, serversOfTest, until } from "./world"

const png = (width = 900, height = 500) => ({
  name: "portrait.png",
  mimeType: "image/png",
  buffer: gradient(width, height),
})
const svg = { name: "picture.png", mimeType: "image/png", buffer: Buffer.from("<svg xmlns='x'/>") }
const cut = { ...png(), buffer: gradient(90, 90).subarray(0, 60) }

/** Asha owns the group and has an account picture, Ben is a member and sees both. */
describe.skipIf(!canStart)("pictures of users and groups", () => {
  let browser: Browser
  const server = new Server()
  const start = serversOfTest()
  let asha: Person
  let ben: Person

  beforeAll(async () => {
    ;[browser] = await Promise.all([launch(), server.start()])
    asha = await (await Person.arrive(browser, server, "Asha", { bypassCSP: true })).signUp()
    ben = await (await Person.arrive(browser, server, "Ben", { bypassCSP: true })).signUp()
  })
  afterEach(async () => {
    for (const person of [asha, ben]) await restore(person)
    await closeOthers(browser, asha, ben)
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  const pick = (person: Person, file: { name: string; mimeType: string; buffer: Buffer }) =>
    person.on("picture-input").setInputFiles(file)
  const menu = (person: Person) => person.page.locator('[data-testid="status-menu"]:visible')

  async function openAccount(person: Person) {
    await menu(person).click()
    await person.on("account-open").click()
    await person.on("picture-form").waitFor()
  }

  /** The address of a picture that the browser has decoded; "" while there is none. */
  const shown = (place: Locator) =>
    place
      .locator(".avatar-face img")
      .first()
      .evaluate((one) => {
        const image = one as HTMLImageElement
        return image.complete && image.naturalWidth > 0 ? new URL(image.src).pathname : ""
      })
      .catch(() => "")
  const shows = (place: Locator) => until(async () => /^\/api\/avatars\//.test(await shown(place)))
  const showsNone = (place: Locator) => until(async () => (await place.locator("img").count()) === 0)
  const row = (person: Person, text: string) => person.on("conversation-item").filter({ hasText: text })

  /** Expects no axe violations in either theme. */
  async function isClean({ page }: Person, name?: string) {
    for (const theme of ["dark", "light"]) {
      await page.evaluate((to) => {
        document.documentElement.dataset.theme = to
      }, theme)
      expect(await violations(page)).toEqual([])
      const folder = process.env.SCREENSHOTS
      if (!folder || !name) continue
      await mkdir(folder, { recursive: true })
      await page.screenshot({ path: `${folder}/${name}-${theme}.png` })
    }
  }

  it("a user previews, sets and removes a picture, and others see each change at once", async () => {
    // Another tab of the same user shows it too.
    const tab = await asha.context.newPage()
    await tab.goto(`${server.url}/chat`)
    const card = tab.locator('[data-testid="status-menu"]:visible')
    await card.waitFor()
    // A tab in the background draws a frame a second.
    await asha.page.bringToFront()
    const online = ben.on("online-user").filter({ hasText: asha.name }).first()
    await online.waitFor()
    await openAccount(asha)
    expect(await asha.on("picture-remove").count()).toBe(0)
    await isClean(asha, "account")
    await pick(asha, png())
    const preview = asha.on("picture-preview")
    await preview.waitFor()
    expect(await preview.evaluate((one) => [one.clientWidth, one.clientHeight])).toEqual([80, 80])
    expect(await preview.evaluate((one) => (one as HTMLCanvasElement).width)).toBe(256)
    // The middle of the picture, as the server keeps it: its left edge is not there.
    const red = await preview.evaluate(
      (one) => (one as HTMLCanvasElement).getContext("2d")?.getImageData(1, 128, 1, 1).data[0],
    )
    expect(Math.abs((red ?? 0) - (120 + 100 * (200 / 900)))).toBeLessThan(4)
    await isClean(asha, "account-preview")
    await asha.on("picture-save").click()
    await asha.page.getByText("The picture is changed.").waitFor()
    expect(await asha.focused()).toBe("picture-choose")
    await shows(asha.on("picture-form"))
    await shows(menu(asha))
    await shows(card)
    await shows(online)
    expect(await shown(online)).toBe(await shown(menu(asha)))
    await isClean(asha, "account-set")
    // Another one has another address, which replaces the first everywhere.
    const first = await shown(online)
    await pick(asha, png(300, 700))
    await asha.on("picture-save").click()
    await until(async () => ![first, ""].includes(await shown(online)))
    await asha.on("picture-remove").click()
    await asha.page.getByText("The picture is removed.").waitFor()
    await showsNone(asha.on("picture-form"))
    await showsNone(menu(asha))
    await showsNone(card)
    await showsNone(online)
    await asha.page.keyboard.press("Escape")
    await asha.on("account-dialog").waitFor({ state: "detached" })
    await tab.close()
  })

  it("an unusable file is refused with an explanation, and a failed upload can be retried", async () => {
    await openAccount(asha)
    const alert = asha.on("picture-form").getByRole("alert")
    const says = (text: string) => alert.filter({ hasText: text }).waitFor()
    for (const [file, sentence] of [
      [svg, "This is not a picture that can be shown here. Choose a PNG, JPEG, GIF or WebP."],
      [cut, "This picture cannot be read. It may be damaged."],
    ] as const) {
      await pick(asha, file)
      await says(sentence)
      expect(await asha.on("picture-save").count()).toBe(0)
    }
    await isClean(asha, "account-refused")
    await pick(asha, png())
    await asha.on("picture-preview").waitFor()
    await until(async () => (await alert.textContent()) === "")
    // The upload is blocked: the picture waits for another attempt.
    let tries = 0
    await asha.page.route("**/api/account/avatar", async (route) => {
      tries += 1
      if (tries === 1) await route.abort()
      else if (tries === 2)
        await route.fulfill({
          status: 503,
          contentType: "application/json",
          body: JSON.stringify({ success: false, code: "unavailable", error: "Busy.", retryable: true }),
        })
      else await route.continue()
    })
    const save = asha.on("picture-save")
    await save.click()
    await says("The server cannot be reached right now.")
    await save.filter({ hasText: "Try again" }).click()
    await says("The server is busy, and the picture was not changed.")
    await isClean(asha, "account-failed")
    await save.click()
    await asha.page.getByText("The picture is changed.").waitFor()
    expect(tries).toBe(3)
    await asha.page.keyboard.press("Escape")
  })

  it("an upload shows its progress and can be cancelled", async () => {
    await openAccount(asha)
    const before = await shown(menu(asha))
    let asked = () => {}
    const isAsked = new Promise<void>((resolve) => {
      asked = resolve
    })
    // The request never arrives.
    await asha.page.route("**/api/account/avatar", () => asked())
    await pick(asha, png())
    await asha.on("picture-save").click()
    await isAsked
    await asha.on("picture-form").getByRole("progressbar").waitFor()
    expect(await asha.on("picture-form").getAttribute("aria-busy")).toBe("true")
    await isClean(asha, "account-sending")
    await asha.on("picture-cancel").click()
    await asha.on("picture-preview").waitFor({ state: "detached" })
    expect(await asha.on("picture-form").getAttribute("aria-busy")).toBe("false")
    expect(await asha.on("picture-form").getByRole("alert").textContent()).toBe("")
    expect(await shown(menu(asha))).toBe(before)
    await asha.page.keyboard.press("Escape")
  })

  it("admins set and remove a group's picture, and all members see it at once", async () => {
    await asha.on("new-group").click()
    await asha.on("group-name").fill("Harbour walk")
    await asha.on("picker-search").fill(ben.name)
    await asha.on("pick").filter({ hasText: ben.name }).first().click()
    await asha.on("group-create").click()
    await asha.on("thread-name").filter({ hasText: "Harbour walk" }).waitFor()
    await row(ben, "Harbour walk").click()
    await ben.on("open-details").click()
    await ben.on("details-name").waitFor()
    expect(await ben.on("group-picture").count()).toBe(0)
    await asha.on("open-details").click()
    await asha.on("group-picture").click()
    await asha.on("picture-dialog").waitFor()
    await isClean(asha, "group")
    await pick(asha, png())
    await asha.on("picture-preview").waitFor()
    await isClean(asha, "group-preview")
    await asha.on("picture-save").click()
    await asha.page.getByText("The picture is changed.").waitFor()
    for (const place of [
      row(asha, "Harbour walk"),
      asha.on("details"),
      asha.on("picture-form"),
      row(ben, "Harbour walk"),
      ben.on("details"),
    ])
      await shows(place)
    await ben.on("system").filter({ hasText: "changed the picture of the group" }).waitFor()
    await asha.page.keyboard.press("Escape")
    await asha.on("picture-dialog").waitFor({ state: "detached" })
    await until(async () => (await asha.focused()) === "group-picture")
    await isClean(asha, "group-set")
    // Ben becomes an admin and may change it; then he is demoted while his dialog is open.
    const role = async (to: string) => {
      await asha.on("member").filter({ hasText: ben.name }).click()
      await asha.on(to).click()
    }
    await role("make-admin")
    await ben.on("group-picture").click()
    await pick(ben, png(300, 700))
    await ben.on("picture-preview").waitFor()
    await role("make-member")
    await ben.on("group-picture").waitFor({ state: "detached" })
    await ben.on("picture-save").click()
    await ben
      .on("picture-form")
      .getByRole("alert")
      .filter({ hasText: "Only an admin of this group can do this." })
      .waitFor()
    await ben.page.keyboard.press("Escape")
    await ben.on("picture-dialog").waitFor({ state: "detached" })
    await asha.on("group-picture").click()
    await asha.on("picture-remove").click()
    await asha.page.getByText("The picture is removed.").waitFor()
    for (const person of [asha, ben]) await showsNone(row(person, "Harbour walk"))
    await ben.on("system").filter({ hasText: "removed the picture of the group" }).waitFor()
    await asha.page.keyboard.press("Escape")
    expect([...asha.complaints, ...ben.complaints]).toEqual([])
  })

  it("a photo of more than 5 MB is scaled down and stays upright", async () => {
    // A new user: changes of a profile are rate-limited.
    const dora = await (await Person.arrive(browser, server, "Dora")).signUp()
    await openAccount(dora)
    // 1,200 by 800 as the camera stored it, red on the left; its note says that the left is the top.
    const stored = await dora.page.evaluate(async () => {
      const canvas = document.createElement("canvas")
      canvas.width = 1_200
      canvas.height = 800
      const pen = canvas.getContext("2d") as CanvasRenderingContext2D
      pen.fillStyle = "#e00000"
      pen.fillRect(0, 0, 600, 800)
      pen.fillStyle = "#0000e0"
      pen.fillRect(600, 0, 600, 800)
      const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9))
      return [...new Uint8Array((await blob?.arrayBuffer()) as ArrayBuffer)]
    })
    const segment = (marker: number, data: Buffer) => {
      const head = Buffer.from([0xff, marker, 0, 0])
      head.writeUInt16BE(data.length + 2, 2)
      return Buffer.concat([head, data])
    }
    const orientation = Buffer.from(
      "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
      "latin1",
    )
    const comments = Array.from({ length: 90 }, () => segment(0xfe, Buffer.alloc(65_000, "a")))
    const photo = Buffer.concat([
      Buffer.from(stored.slice(0, 2)),
      segment(0xe1, Buffer.concat([Buffer.from("Exif\0\0", "latin1"), orientation])),
      ...comments,
      Buffer.from(stored.slice(2)),
    ])
    expect(photo.length).toBeGreaterThan(5_500_000)
    await pick(dora, { name: "photo.jpg", mimeType: "image/jpeg", buffer: photo })
    const preview = dora.on("picture-preview")
    await preview.waitFor()
    /** The colors at the top and at the bottom of a picture in the page. */
    const colors = (picture: Locator) =>
      picture.evaluate((one) => {
        const canvas = document.createElement("canvas")
        canvas.width = 100
        canvas.height = 100
        const pen = canvas.getContext("2d") as CanvasRenderingContext2D
        pen.drawImage(one as HTMLImageElement, 0, 0, 100, 100)
        return [20, 80].map((y) => {
          const [red = 0, , blue = 0] = pen.getImageData(50, y, 1, 1).data
          return red > 180 && blue < 60 ? "red" : blue > 180 && red < 60 ? "blue" : "other"
        })
      })
    expect(await colors(preview)).toEqual(["red", "blue"])
    await dora.on("picture-save").click()
    await dora.page.getByText("The picture is changed.").waitFor()
    await shows(dora.on("picture-form"))
    expect(await colors(dora.on("picture-form").locator("img"))).toEqual(["red", "blue"])
    expect(dora.complaints).toEqual([])
  })

  it("a picture can be chosen on a phone", async () => {
    const cleo = await (await Person.arrive(browser, server, "Cleo", { ...phone, bypassCSP: true })).signUp()
    await openAccount(cleo)
    await pick(cleo, png())
    await cleo.on("picture-preview").waitFor()
    await isClean(cleo, "phone-account")
    expect(await cleo.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true)
    await cleo.on("picture-save").tap()
    await cleo.page.getByText("The picture is changed.").waitFor()
    expect(cleo.complaints).toEqual([])
  })

  it("without accounts a group has a picture, and users cannot change their own", async () => {
    const open = await start({ AUTH: "open" })
    const enter = async (id: string) => {
      const person = await Person.arrive(browser, open, id)
      await person.page.locator("[name=userId]").fill(id)
      await person.page.keyboard.press("Enter")
      await menu(person).waitFor()
      return person
    }
    const [noor, omar] = [await enter("noor ü"), await enter("omar")]
    await menu(noor).click()
    await noor.on("sign-out").waitFor()
    expect(await noor.on("account-open").count()).toBe(0)
    await noor.page.keyboard.press("Escape")
    await noor.on("new-group").click()
    await noor.on("group-name").fill("Without accounts")
    await noor.on("picker-search").fill("omar")
    await noor.on("pick").first().click()
    await noor.on("group-create").click()
    await noor.on("open-details").click()
    await noor.on("group-picture").click()
    await pick(noor, png())
    await noor.on("picture-save").click()
    await noor.page.getByText("The picture is changed.").waitFor()
    for (const person of [noor, omar]) await shows(row(person, "Without accounts"))
    expect([...noor.complaints, ...omar.complaints]).toEqual([])
  })
})
