import { createHash, randomBytes } from "node:crypto"
import type { Browser, CDPSession } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { gradient } from "../../../tests/e2e/support/media.mjs"
import { violations } from "./axe"
import {
  canRun,
  canStart,
  isCluster,
  launch,
  Person,
  phone,
  resize,
  restore,
  Server,
  serversOfTest,
  settled,
  until,
} from "./world"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
const zip = (size: number) => Buffer.concat([Buffer.from("PK\u0003\u0004"), randomBytes(size - 4)])
const picture = (name: string, width = 600, height = 400) => ({
  name,
  mimeType: "image/png",
  buffer: gradient(width, height),
})
const archive = (name: string, bytes: Buffer) => ({ name, mimeType: "application/zip", buffer: bytes })

describe.skipIf(!canRun)("files", () => {
  let browser: Browser
  const server = new Server()
  const start = serversOfTest()
  let asha: Person
  let ben: Person
  let network: CDPSession

  beforeAll(async () => {
    const fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    ;[browser] = await Promise.all([launch(...fake), server.start({ FILE_QUOTA: "0" })])
    asha = await (
      await Person.arrive(browser, server, "Asha", { bypassCSP: true, permissions: ["microphone"] })
    ).signUp()
    ben = await (await Person.arrive(browser, server, "Ben", { bypassCSP: true })).signUp()
    await asha.open(ben)
    await ben.open(asha)
    network = await asha.context.newCDPSession(asha.page)
    await network.send("Network.enable")
  })
  afterEach(async () => {
    await speed(null)
    await restore(asha)
    await restore(ben)
    // A viewer that a failed test left open would cover the page of the next one.
    if ((await ben.on("viewer").count()) > 0) await ben.page.keyboard.press("Escape")
  })
  afterAll(async () => {
    await browser?.close()
    await server.stop()
  })

  /** The upload rate of Asha's page in bytes a second; null: unlimited. */
  const speed = (uploadThroughput: number | null) =>
    network.send("Network.emulateNetworkConditions", {
      offline: false,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: uploadThroughput ?? -1,
    })

  const pick = (person: Person, ...files: { name: string; mimeType: string; buffer: Buffer }[]) =>
    person.on("file-input").setInputFiles(files)
  const ready = (person: Person, count: number) =>
    until(
      async () => (await person.page.locator('[data-testid="upload"][data-state="ready"]').count()) === count,
    )
  const send = (person: Person) => person.on("send").click()
  const fileNamed = (person: Person, name: string) => person.on("file").filter({ hasText: name })
  const held = (person: Person) =>
    person.page.evaluate(async () => {
      const names = (await indexedDB.databases()).map(({ name }) => name ?? "")
      const name = names.find((one) => one.endsWith(":uploads"))
      if (!name) return 0
      return new Promise<number>((resolve) => {
        const opening = indexedDB.open(name)
        opening.onsuccess = () => {
          const count = opening.result.transaction("bytes").objectStore("bytes").count()
          count.onsuccess = () => {
            resolve(count.result)
            opening.result.close()
          }
        }
      })
    })
  /** The uploads that other members see. */
  const download = (person: Person, name: string) =>
    fileNamed(person, name)
      .last()
      .evaluate(async (link) => {
        const bytes = await (await fetch((link as HTMLAnchorElement).href)).arrayBuffer()
        const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))
        return Array.from(sum, (byte) => byte.toString(16).padStart(2, "0")).join("")
      })

  it("41: picked files show a preview, upload and arrive with and without text, in boxes of fixed size", async () => {
    await asha.say("Before the pictures")
    const bytes = zip(40_000)
    await pick(asha, picture("holiday.png", 1200, 800), archive("plan of the garden.zip", bytes))
    await asha.on("tray").waitFor()
    await ready(asha, 2)
    expect(await asha.on("upload").count()).toBe(2)
    await send(asha)
    await until(async () => (await asha.on("tray").count()) === 0)
    await asha.on("picture").waitFor()
    await fileNamed(ben, "plan of the garden.zip").waitFor()
    expect(await download(ben, "plan of the garden")).toBe(sha256(bytes))
    await until(() =>
      ben
        .on("picture")
        .first()
        .evaluate((one) => (one as HTMLElement).dataset.state === "shown"),
    )
    const box = await ben.on("picture").first().boundingBox()
    expect(Math.round(box?.width ?? 0)).toBe(340)
    expect(Math.abs((box?.width ?? 0) / (box?.height ?? 1) - 1.5)).toBeLessThan(0.02)
    await pick(asha, ...["a", "b", "c", "d"].map((name) => picture(`${name}.png`, 300, 300)))
    await ready(asha, 4)
    await asha.say("Four of them")
    await ben.message("Four of them").locator('[data-testid="picture"]').nth(3).waitFor()
    // Without text the bubble is as wide as its pictures.
    await pick(asha, picture("e.png", 300, 300), picture("f.png", 300, 300))
    await ready(asha, 2)
    await send(asha)
    await ben.on("picture").nth(6).waitFor()
    await until(async () => (await held(asha)) === 0)
  })

  it("17: loading pictures do not move the visible messages", async () => {
    // The pictures wait until the test lets them pass.
    let pass = () => {}
    const gate = new Promise<void>((resolve) => {
      pass = resolve
    })
    await ben.page.route("**/thumbnail", async (route) => {
      await gate
      await route.continue()
    })
    await ben.page.reload()
    await ben.message("Four of them").locator('[data-testid="picture"]').nth(3).waitFor()
    const tops = () =>
      ben.page.$$eval('[data-testid="message"]', (all) =>
        all.map((one) => [(one as HTMLElement).dataset.seq, Math.round(one.getBoundingClientRect().top)]),
      )
    const before = await settled(ben.page, tops)
    pass()
    await until(async () => {
      const states = await ben.page.$$eval('[data-testid="picture"]', (all) =>
        all.map((one) => (one as HTMLElement).dataset.state),
      )
      return states.length > 3 && states.every((state) => state === "shown")
    })
    expect(await settled(ben.page, tops)).toEqual(before)
    await ben.page.unrouteAll({ behavior: "ignoreErrors" })
  })

  it("40: dropped and pasted files are attached; a paste of text and picture inserts the text", async () => {
    const transfer = (text: string | null) =>
      asha.page.evaluateHandle((words) => {
        const data = new DataTransfer()
        if (words !== null) data.setData("text/plain", words)
        data.items.add(new File([new Uint8Array(2_000)], "dropped.bin"))
        return data
      }, text)
    const stored: string[] = []
    asha.page.on("response", async (response) => {
      const place = response.headers().location
      if (response.request().method() === "POST" && response.url().endsWith("/api/files") && place)
        stored.push(place)
    })
    const dropped = await transfer(null)
    await asha.on("log").dispatchEvent("dragenter", { dataTransfer: dropped })
    await asha.on("drop-target").waitFor()
    await asha.on("log").dispatchEvent("dragover", { dataTransfer: dropped })
    await asha.on("log").dispatchEvent("drop", { dataTransfer: dropped })
    await ready(asha, 1)
    expect(await asha.on("drop-target").count()).toBe(0)
    const paste = async (text: string | null) =>
      asha.on("composer").evaluate(
        (field, data) => {
          field.dispatchEvent(
            new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }),
          )
        },
        await transfer(text),
      )
    await paste("words")
    await paste(null)
    await ready(asha, 2)
    // Removed ones are gone from the page, the browser and the server.
    for (let left = 2; left > 0; left--) {
      await asha.on("upload-cancel").first().click()
      await until(async () => (await asha.on("upload").count()) === left - 1)
    }
    expect(await asha.focused()).toBe("composer")
    await until(async () => (await held(asha)) === 0)
    expect(stored.length).toBe(2)
    for (const place of stored) {
      const status = () =>
        asha.page.evaluate(
          async (path) =>
            (await fetch(path, { method: "HEAD", headers: { "tus-resumable": "1.0.0" } })).status,
          place,
        )
      await expect.poll(status).toBeGreaterThanOrEqual(404)
    }
  })

  it("41: a message sent during its upload waits, shows progress to both users, and arrives once", async () => {
    const bytes = zip(3_000_000)
    await speed(600_000)
    await pick(asha, archive("early.zip", bytes))
    await asha.on("upload").waitFor()
    await asha.say("Sent too early")
    await asha.say("And this after it")
    const row = asha.message("Sent too early")
    await row.locator('[data-testid="sending-file"]').waitFor()
    await ben
      .on("sharing")
      .filter({ hasText: /early\.zip.*, \d+%/ })
      .waitFor()
    await until(async () =>
      /\d+%/.test((await row.locator('[data-testid="sending-file"]').textContent()) ?? ""),
    )
    expect(await ben.message("And this after it").count()).toBe(0)
    await speed(null)
    await ben.message("And this after it").waitFor()
    expect(await ben.message("Sent too early").count()).toBe(1)
    expect(await download(ben, "early.zip")).toBe(sha256(bytes))
    await until(async () => (await ben.on("sharing").count()) === 0)
  })

  it("41: an upload survives a network cut and a pause", async () => {
    const bytes = zip(3_000_000)
    await speed(400_000)
    await pick(asha, archive("cut.zip", bytes))
    await until(async () => /\d+%/.test((await asha.on("upload").textContent()) ?? ""))
    await asha.on("upload-pause").click()
    await asha.on("upload-resume").waitFor()
    await asha.on("upload-resume").click()
    await asha.on("upload-pause").waitFor()
    await asha.context.setOffline(true)
    await asha.say("Over a cut")
    await until(async () => (await asha.message("Over a cut").getAttribute("data-state")) === "sending")
    await asha.context.setOffline(false)
    await speed(null)
    await ben.message("Over a cut").waitFor()
    expect(await download(ben, "cut.zip")).toBe(sha256(bytes))
  })

  it("41: an upload survives a reload, in the composer and after Send", async () => {
    const bytes = zip(4_000_000)
    await speed(500_000)
    await pick(asha, archive("reloaded.zip", bytes))
    await until(async () => /\d+%/.test((await asha.on("upload").textContent()) ?? ""))
    await asha.page.reload()
    await asha.on("upload").filter({ hasText: "reloaded.zip" }).waitFor()
    await asha.say("Reloaded")
    await asha.message("Reloaded").locator('[data-testid="sending-file"]').waitFor()
    await asha.page.reload()
    await ben.message("Reloaded").waitFor()
    expect(await ben.message("Reloaded").count()).toBe(1)
    expect(await download(ben, "reloaded.zip")).toBe(sha256(bytes))
    await until(async () => (await held(asha)) === 0)
  })

  it.skipIf(!canStart || isCluster)("41: an upload survives a killed server", async () => {
    const bytes = zip(4_000_000)
    await speed(600_000)
    await pick(asha, archive("killed.zip", bytes))
    await until(async () => /\d+%/.test((await asha.on("upload").textContent()) ?? ""))
    await asha.say("Killed")
    await server.kill()
    await server.again()
    await speed(null)
    await ben.message("Killed").waitFor()
    expect(await download(ben, "killed.zip")).toBe(sha256(bytes))
  })

  it("a refused file shows the reason and can be removed", async () => {
    await asha.page.route("**/api/files", (route) =>
      route.request().method() === "POST"
        ? route.fulfill({
            status: 413,
            contentType: "application/json",
            body: JSON.stringify({ success: false, code: "too_long", error: "The file is too large here." }),
          })
        : route.continue(),
    )
    await pick(asha, archive("huge.zip", zip(1_000)))
    await asha.on("upload").filter({ hasText: "The file is too large here." }).waitFor()
    expect(await violations(asha.page)).toEqual([])
    await asha.on("upload-cancel").click()
    await until(async () => (await asha.on("upload").count()) === 0)
  })

  it("52: the viewer works by keyboard, returns the focus, and has no axe violations in either theme", async () => {
    const four = ben.message("Four of them").locator('[data-testid="picture"]')
    await four.first().scrollIntoViewIfNeeded()
    await four.first().focus()
    await ben.page.keyboard.press("Enter")
    await ben.on("viewer").waitFor()
    const place = (text: string) => ben.on("viewer-place").filter({ hasText: text }).waitFor()
    await place("2 of 7")
    await ben.page.keyboard.press("ArrowRight")
    await place("3 of 7")
    await ben.page.keyboard.press("End")
    await place("7 of 7")
    await ben.page.keyboard.press("ArrowLeft")
    await place("6 of 7")
    const image = ben.page.locator(".viewer-stage img")
    await until(() => image.evaluate((one) => one instanceof HTMLImageElement && one.complete))
    const width = () => image.evaluate((one) => one.clientWidth)
    const before = await settled(ben.page, width)
    expect(before).toBeGreaterThan(0)
    await ben.page.keyboard.press("+")
    await until(async () => (await width()) === Math.round(before * 1.5))
    // A pinch is many small wheel events, which must not zoom the page itself.
    const pinch = (deltaY: number) =>
      ben.page
        .locator(".viewer-stage")
        .evaluate(
          (stage, by) =>
            stage.dispatchEvent(
              new WheelEvent("wheel", { deltaY: by, ctrlKey: true, bubbles: true, cancelable: true }),
            ),
          deltaY,
        )
    for (let turn = 0; turn < 4; turn += 1) expect(await pinch(-10)).toBe(false)
    await until(async () => (await width()) === before * 2)
    await ben.page.keyboard.press("0")
    await until(async () => (await width()) === before)
    expect(await ben.on("viewer-download").getAttribute("download")).toBe("e.png")
    for (const theme of ["light", "dark"]) {
      await ben.page.evaluate((name) => {
        document.documentElement.dataset.theme = name
      }, theme)
      expect(await violations(ben.page)).toEqual([])
    }
    await ben.page.keyboard.press("Escape")
    await until(async () => (await ben.on("viewer").count()) === 0)
    await until(() => four.first().evaluate((one) => one === document.activeElement))
    for (const theme of ["dark", "light"]) {
      await ben.page.evaluate((name) => {
        document.documentElement.dataset.theme = name
      }, theme)
      expect(await violations(ben.page)).toEqual([])
    }
  })

  it("a voice message is recorded, discarded, recorded again and sent", async () => {
    await asha.on("record").click()
    await asha.on("record-cancel").click()
    await until(async () => (await asha.on("recorder").count()) === 0)
    expect(await asha.on("upload").count()).toBe(0)
    await asha.on("record").click()
    await asha.page.locator('.recorder-time:has-text("0:01")').waitFor()
    await asha.on("record-done").click()
    await asha.on("voice-draft").waitFor()
    await ready(asha, 1)
    await send(asha)
    const audio = ben.on("audio").last()
    await audio.waitFor()
    // The server determines the duration, which the recording browser did not write.
    expect(await audio.getByTestId("play-time").textContent()).toMatch(/^0:0[1-9]$/)
  })

  it("an MP4 recording, as older Safari versions make it, shows its duration before it is played", async () => {
    await asha.page.evaluate(() => {
      const supports = MediaRecorder.isTypeSupported.bind(MediaRecorder)
      MediaRecorder.isTypeSupported = (type) => type.startsWith("audio/mp4") && supports(type)
    })
    await asha.on("record").click()
    await asha.page.locator('.recorder-time:has-text("0:01")').waitFor()
    await asha.on("record-done").click()
    await asha.on("voice-draft").waitFor()
    await ready(asha, 1)
    const before = await ben.on("audio").count()
    await send(asha)
    await until(async () => (await ben.on("audio").count()) > before)
    expect(await ben.on("audio").last().getByTestId("play-time").textContent()).toMatch(/^0:0[1-9]$/)
    await asha.page.reload()
    await asha.on("composer").waitFor()
  })

  it("a recording that ends by itself stays in the composer, also when a panel covers it", async () => {
    await asha.page.evaluate(() => {
      const devices = navigator.mediaDevices
      const get = devices.getUserMedia.bind(devices)
      devices.getUserMedia = async (wanted) => {
        const stream = await get(wanted)
        Object.assign(window, { microphone: stream })
        return stream
      }
    })
    const second = asha.page.locator('.recorder-time:has-text("0:01")')
    await asha.on("record").click()
    await second.waitFor()
    await asha.page.evaluate(() => {
      const { microphone } = window as unknown as { microphone: MediaStream }
      for (const track of microphone.getTracks()) track.stop()
    })
    await until(async () => (await asha.on("recorder").count()) === 0)
    await asha.on("voice-draft").waitFor()
    await asha.on("upload-cancel").click()
    await until(async () => (await asha.on("upload").count()) === 0)
    await resize(asha.page, 390, 844)
    await asha.on("record").click()
    await second.waitFor()
    await asha.on("open-details").click()
    await asha.on("details").waitFor()
    await until(async () => (await asha.on("recorder").count()) === 0)
    await asha.page.goBack()
    await asha.on("voice-draft").waitFor()
    const live = await asha.page.evaluate(() =>
      (window as unknown as { microphone: MediaStream }).microphone
        .getTracks()
        .filter(({ readyState }) => readyState === "live"),
    )
    expect(live).toEqual([])
    await asha.on("upload-cancel").click()
    await until(async () => (await asha.on("upload").count()) === 0)
  })

  it("only the start and end of an upload are announced, and a message of files has a text label everywhere", async () => {
    await speed(300_000)
    await pick(asha, archive("aloud.zip", zip(900_000)))
    await until(async () => /\d+%/.test((await asha.on("upload").textContent()) ?? ""))
    const aloud = asha.on("upload").locator('[role="status"]')
    expect(await aloud.textContent()).toContain("Uploading")
    expect(await aloud.textContent()).not.toContain("%")
    await speed(null)
    await ready(asha, 1)
    expect(await aloud.textContent()).toContain("Ready to send")
    await send(asha)
    await fileNamed(asha, "aloud.zip").waitFor()
    const row = asha.on("message").filter({ has: fileNamed(asha, "aloud.zip") })
    await row.hover()
    await row.locator('[data-testid="message-menu"]').click()
    await asha.page.getByRole("menuitem", { name: "Pin", exact: true }).click()
    await asha.on("pins").click()
    await asha.on("pinned-message").filter({ hasText: "aloud.zip" }).waitFor()
    await asha.page.keyboard.press("Escape")
    await row.hover()
    await row.locator('[data-testid="message-menu"]').click()
    await asha.page.getByRole("menuitem", { name: "Delete", exact: true }).click()
    await asha.on("delete-dialog").filter({ hasText: "aloud.zip" }).waitFor()
    await asha.on("delete-confirm").click()
    await fileNamed(ben, "aloud.zip").waitFor({ state: "detached" })
  })

  it("deleting a picture closes its viewer", async () => {
    await pick(asha, picture("gone.png", 300, 300))
    await ready(asha, 1)
    await asha.say("Soon deleted")
    await ben.message("Soon deleted").locator('[data-testid="picture"]').click()
    await ben.on("viewer-place").filter({ hasText: "of" }).waitFor()
    const row = asha.message("Soon deleted")
    await row.hover()
    await row.locator('[data-testid="message-menu"]').click()
    await asha.page.getByRole("menuitem", { name: "Delete", exact: true }).click()
    await asha.on("delete-confirm").click()
    await until(async () => (await ben.on("viewer").count()) === 0)
  })

  it("a picture that failed to load is retried when the network is back, in the viewer too", async () => {
    await ben.page.route("**/api/files/**", (route) => route.abort())
    await pick(asha, picture("over-a-cut.png", 320, 240))
    await ready(asha, 1)
    await asha.say("A picture over a cut")
    const row = ben.message("A picture over a cut")
    const shown = row.locator('[data-testid="picture"]')
    await expect.poll(() => shown.getAttribute("data-state")).toBe("failed")
    await shown.click()
    const viewer = ben.on("viewer")
    await viewer.getByText("This picture cannot be shown.").waitFor()
    await ben.context.setOffline(true)
    await ben.page.unroute("**/api/files/**")
    await ben.context.setOffline(false)
    await viewer.locator("img").waitFor()
    await ben.page.keyboard.press("Escape")
    await expect.poll(() => shown.getAttribute("data-state")).toBe("shown")
  })

  it.skipIf(!canStart)("a refused signed address is requested again, once only", async () => {
    const open = await start({ AUTH: "open" })
    const enter = async (id: string) => {
      const person = await Person.arrive(browser, open, id)
      await person.page.locator("[name=userId]").fill(id)
      await person.page.keyboard.press("Enter")
      await person.page.locator('[data-testid="status-menu"]:visible').waitFor()
      return person
    }
    const [noor, omar] = [await enter("noor"), await enter("omar")]
    await noor.page.getByRole("button", { name: "omar, online" }).click()
    await pick(noor, picture("signed.png", 320, 240))
    await ready(noor, 1)
    await noor.say("A signed one")
    await expect.poll(() => noor.message("A signed one").getAttribute("data-state")).toBe("sent")
    // The server has other keys since the addresses were made: it refuses the first that it is asked for, and for good those of one file.
    let refused: string | null = null
    let isRefusing = false
    let asked = 0
    await omar.page.route("**/api/files/**", (route) => {
      const url = route.request().url()
      if (route.request().method() === "POST") asked += 1
      else if (url.includes("signature=")) {
        const signature = new URL(url).search
        refused ??= signature
        if (isRefusing || signature === refused) return route.fulfill({ status: 403, body: "{}" })
      }
      return route.continue()
    })
    await omar.on("conversation-item").first().click()
    const shown = omar.message("A signed one").locator('[data-testid="picture"]')
    await expect.poll(() => shown.getAttribute("data-state")).toBe("shown")
    expect(asked).toBe(2)
    isRefusing = true
    await omar.page.reload()
    await expect.poll(() => shown.getAttribute("data-state")).toBe("failed")
    await expect.poll(() => asked).toBe(4)
    // A marker: a later message is there, and no further request was sent.
    await noor.say("after it")
    await omar.message("after it").waitFor()
    await expect.poll(() => shown.getAttribute("data-state")).toBe("failed")
    expect(asked).toBe(4)
    await noor.close()
    await omar.close()
  })

  it("a video has a player", async () => {
    const film = await asha.page.evaluate(async () => {
      const canvas = document.createElement("canvas")
      const context = canvas.getContext("2d")
      const recorder = new MediaRecorder(canvas.captureStream(10), { mimeType: "video/webm" })
      const parts: Blob[] = []
      recorder.ondataavailable = ({ data }) => parts.push(data)
      recorder.start(100)
      for (let n = 0; n < 10; n += 1) {
        if (context) context.fillStyle = `hsl(${n * 30} 80% 50%)`
        context?.fillRect(0, 0, 300, 150)
        await new Promise((resolve) => setTimeout(resolve, 60))
      }
      await new Promise((resolve) => {
        recorder.onstop = resolve
        recorder.stop()
      })
      return [...new Uint8Array(await new Blob(parts).arrayBuffer())]
    })
    await pick(asha, { name: "garden.webm", mimeType: "video/webm", buffer: Buffer.from(film) })
    await ready(asha, 1)
    await send(asha)
    const video = ben.on("video").last()
    await video.waitFor()
    await until(() => video.evaluate((one) => (one as HTMLVideoElement).readyState >= 1))
  })

  it("a phone shows and sends files", async () => {
    const carl = await (await Person.arrive(browser, server, "Carl", { ...phone, bypassCSP: true })).signUp()
    carl.viewport = { width: 390, height: 844 }
    await carl.open(asha)
    await pick(
      carl,
      picture("tall.png", 500, 900),
      archive("a very long name of a file that has no end.zip", zip(9_000)),
    )
    await ready(carl, 2)
    expect(await violations(carl.page)).toEqual([])
    // Enter is a new line there.
    await carl.on("composer").fill("From the phone")
    await send(carl)
    await carl.message("From the phone").locator('[data-testid="picture"]').waitFor()
    const wide = await carl.page.evaluate(() => document.documentElement.scrollWidth)
    expect(wide).toBeLessThanOrEqual(390)
    await resize(carl.page, 390, 844)
    await carl.close()
  })

  it("the pages logged no errors", () => {
    expect([...asha.complaints, ...ben.complaints]).toEqual([])
  })
})
