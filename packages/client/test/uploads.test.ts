/** Uploads: messages that wait for them, faults that they survive, and their progress. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import type { LamplightOptions, UploadRecord } from "../src/options.js"
import { makeUploadStorage, refused } from "./support/files.js"
import { Browser, makeTab, makeWorld, type Tab, type World } from "./support/harness.js"
import type { Peer } from "./support/server.js"

let world: Required<World>
let storage: ReturnType<typeof makeUploadStorage>
let browser: Browser
const tabs: Tab[] = []

beforeEach(() => {
  world = makeWorld()
  storage = makeUploadStorage()
  browser = new Browser()
  world.server.addConversation("7", "me", "ben")
})
afterEach(() => {
  for (const { client } of tabs.splice(0)) client.close()
})

async function open(options: LamplightOptions = {}): Promise<Tab> {
  const tab = makeTab(world, { uploadStorage: storage, ...options }, browser)
  tabs.push(tab)
  tab.client.retain()
  tab.client.conversation("7").open()
  await world.clock.advance(100)
  return tab
}

const file = (text: string, name = "a.txt") =>
  Object.assign(new Blob([text], { type: "text/plain" }), { name })
const rows = ({ client }: Tab) => client.conversation("7").messages.get().rows
const uploads = ({ client }: Tab) => client.uploads.get()
const sends = () =>
  world.server.seen.filter(({ what }) => what === "send_private_message").map(({ body }) => body)
const requests = (method: string) => world.files.seen.filter(({ what }) => what.startsWith(`${method} `))

test("F23 a file is sent although the storage of uploads never answers", async () => {
  const never = () => new Promise<never>(() => {})
  const tab = await open({ uploadStorage: { all: never, put: never, bytes: never, delete: never } })
  const adding = tab.client.uploads.add("7", file("hello"))
  // The part loads, which takes real time.
  await expect.poll(() => uploads(tab).length).toBe(1)
  await world.clock.advance(11_000)
  const upload = await adding
  expect(upload).toMatchObject({ durable: false, state: "ready" })
  await tab.client.conversation("7").send("", { uploads: [upload] })
  await world.clock.advance(1_000)
  expect(sends()).toMatchObject([{ attachments: ["file-1"] }])
})

describe("messages with files", () => {
  test("they wait in the outbox, and so do the messages behind them", async () => {
    const tab = await open()
    const talk = tab.client.conversation("7")
    world.files.hangs = true
    const upload = await tab.client.uploads.add("7", file("hello"))
    expect(await talk.send("", { uploads: [] })).toMatchObject({ ok: false })
    expect(await talk.send("look", { uploads: [upload] })).toMatchObject({ ok: true })
    await talk.send("behind")
    await world.clock.advance(1_000)
    expect(rows(tab).map(({ waitingFor }) => waitingFor)).toEqual(["upload", "earlier"])
    expect(rows(tab)[0]?.files).toEqual([{ uploadId: upload.id, name: "a.txt", type: "text/plain", size: 5 }])
    expect(uploads(tab)[0]?.clientMessageId).toBe(rows(tab)[0]?.clientMessageId)
    expect(sends()).toEqual([])
    world.files.hangs = false
    // The request that hangs is given up.
    await world.clock.advance(130_000)
    expect(sends().map(({ content, attachments }) => [content, attachments])).toEqual([
      ["look", ["file-1"]],
      ["behind", undefined],
    ])
    expect(new TextDecoder().decode(world.files.stored.get("file-1")?.bytes)).toBe("hello")
    expect(world.files.stored.get("file-1")?.metadata).toEqual({
      filename: "a.txt",
      filetype: "text/plain",
      conversationId: "7",
    })
    expect(uploads(tab)).toEqual([])
    expect(storage.records.size).toBe(0)
  })

  test("they keep their files over a reload, before and after the last byte", async () => {
    let tab = await open()
    world.files.hangs = true
    const upload = await tab.client.uploads.add("7", file("hello"))
    await tab.client.conversation("7").send("", { uploads: [upload] })
    tab.client.close()
    world.files.hangs = false
    // The message cannot be sent, the file can.
    world.server.refuse = (what) =>
      /message/.test(what) ? { success: false, code: "unavailable", error: "", retryable: true } : undefined
    tab = await open()
    await world.clock.advance(10_000)
    expect(uploads(tab)[0]?.state).toBe("ready")
    tab.client.close()
    world.server.refuse = () => undefined
    tab = await open()
    await world.clock.advance(60_000)
    expect(sends().at(-1)).toMatchObject({ attachments: ["file-1"] })
    expect(requests("POST").length).toBe(1 + 1)
    expect(rows(tab).map(({ state }) => state)).toEqual(["sent"])
    expect(storage.records.size).toBe(0)
  })

  test("they fail when their bytes are missing or the server refuses a file permanently", async () => {
    let tab = await open()
    world.files.hangs = true
    const upload = await tab.client.uploads.add("7", file("hello"))
    await tab.client.conversation("7").send("gone", { uploads: [upload] })
    tab.client.close()
    await storage.delete(upload.id)
    world.files.hangs = false
    tab = await open()
    await world.clock.advance(1_000)
    expect(rows(tab)[0]).toMatchObject({ state: "failed", error: { code: "not_found" } })
    await tab.client.outbox.discard(rows(tab)[0]?.clientMessageId ?? "")
    world.files.instead = () => refused(415, "unsupported_media")
    const other = await tab.client.uploads.add("7", file("hello"))
    await tab.client.conversation("7").send("", { uploads: [other] })
    await world.clock.advance(1_000)
    expect(rows(tab)[0]).toMatchObject({ state: "failed", error: { message: "It is unsupported_media." } })
    // The user tries again, and the operator has allowed it meanwhile.
    world.files.instead = () => undefined
    tab.client.outbox.retry(rows(tab)[0]?.clientMessageId ?? "")
    await world.clock.advance(1_000)
    expect(rows(tab)[0]?.state).toBe("sent")
  })
})

describe("an upload", () => {
  test("reports when the storage is full", async () => {
    const tab = await open({ keepBytes: 8 })
    world.files.hangs = true
    await tab.client.uploads.add("7", file("12345"))
    await tab.client.uploads.add("7", file("6789"))
    expect(uploads(tab).map(({ durable }) => durable)).toEqual([true, false])
    expect([...storage.records.values()].map(({ size }: UploadRecord) => size)).toEqual([5])
  })

  test("waits without a network and continues at once when it is back", async () => {
    const tab = await open()
    tab.wires.httpDown = true
    await tab.client.uploads.add("7", file("hello"))
    await world.clock.advance(200_000)
    expect(uploads(tab)[0]).toMatchObject({ state: "waiting", sent: 0 })
    tab.wires.httpDown = false
    tab.environment.tell("wake")
    await world.clock.advance(0)
    expect(uploads(tab)[0]?.state).toBe("ready")
  })

  test("restarts if the server has lost it, and requests the offset after a failure", async () => {
    const tab = await open()
    const answers = [refused(503, "unavailable"), refused(410, "not_found")]
    world.files.instead = (what) => (what.startsWith("POST") ? undefined : answers.shift())
    await tab.client.uploads.add("7", file("hello"))
    await world.clock.advance(10_000)
    expect(world.files.seen.map(({ what }) => what)).toEqual([
      "POST /api/files",
      "PATCH /api/files/file-1",
      "HEAD /api/files/file-1",
      "POST /api/files",
      "PATCH /api/files/file-2",
    ])
    expect(uploads(tab)[0]?.state).toBe("ready")
  })

  test("waits for a scanner, and fails if the scanner blocks it", async () => {
    const tab = await open()
    let state = "processing"
    world.files.instead = (what) =>
      /^(PATCH|HEAD)/.test(what)
        ? new Response(null, { status: 200, headers: { "upload-offset": "5", "file-state": state } })
        : undefined
    const upload = await tab.client.uploads.add("7", file("hello"))
    await tab.client.conversation("7").send("", { uploads: [upload] })
    await world.clock.advance(60_000)
    expect(uploads(tab)[0]?.state).toBe("processing")
    expect(sends()).toEqual([])
    state = "ready"
    await world.clock.advance(30_000)
    expect(rows(tab)[0]?.state).toBe("sent")
    state = "blocked"
    await tab.client.uploads.add("7", file("hello"))
    await world.clock.advance(1_000)
    expect(uploads(tab)[0]).toMatchObject({ state: "failed", error: { code: "blocked" } })
  })

  test("is paused, resumed and cancelled, on the server too", async () => {
    const tab = await open()
    world.files.instead = (what) => (what.startsWith("PATCH") ? new Promise(() => {}) : undefined)
    const upload = await tab.client.uploads.add("7", file("hello"))
    await world.clock.advance(0)
    expect(uploads(tab)[0]?.state).toBe("uploading")
    tab.client.uploads.pause(upload.id)
    await world.clock.advance(0)
    expect(uploads(tab)[0]?.state).toBe("paused")
    tab.client.uploads.cancel(upload.id)
    await world.clock.advance(0)
    expect(uploads(tab)).toEqual([])
    expect(world.files.stored.size).toBe(0)
    expect(storage.records.size).toBe(0)
  })

  test("uses a fresh token after a refusal", async () => {
    let serial = 0
    const getToken = () => {
      const claims = { sub: "me", exp: world.clock.now() / 1000 + 300 }
      const token = `e30.${btoa(JSON.stringify(claims))}.${++serial}`
      world.server.tokens.set(`Bearer ${token}`, "me")
      return token
    }
    const tab = await open({ userId: undefined as never, getToken })
    let isRefused = false
    world.files.instead = (what) => {
      if (isRefused || !what.startsWith("PATCH")) return undefined
      isRefused = true
      return refused(401, "unauthenticated")
    }
    await tab.client.uploads.add("7", file("hello"))
    await world.clock.advance(0)
    expect(uploads(tab)[0]?.state).toBe("ready")
    const [first, second] = requests("PATCH").map(({ who }) => who)
    expect(first).not.toBe(second)
  })

  test("is hidden from the next user and returns with its user", async () => {
    let sub = "me"
    const getToken = () => {
      const claims = { sub, exp: world.clock.now() / 1000 + 300 }
      const token = `e30.${btoa(JSON.stringify(claims))}.${Math.random()}`
      world.server.tokens.set(`Bearer ${token}`, sub)
      return token
    }
    const tab = makeTab(world, { uploadStorage: storage, userId: undefined as never, getToken }, browser)
    tabs.push(tab)
    let release = tab.client.retain()
    await world.clock.advance(100)
    tab.wires.httpDown = true
    await tab.client.uploads.add("7", file("hello"))
    const as = async (user: string) => {
      release()
      await world.clock.advance(60_000)
      sub = user
      release = tab.client.retain()
      await world.clock.advance(60_000)
    }
    await as("ben")
    expect(tab.client.me.get().user?.id).toBe("ben")
    expect(uploads(tab)).toEqual([])
    tab.wires.httpDown = false
    await world.clock.advance(60_000)
    await as("me")
    expect(uploads(tab)[0]?.state).toBe("ready")
    expect(requests("POST").every(({ who }) => world.server.tokens.get(who ?? "") === "me")).toBe(true)
  })
})

describe("uploads of others", () => {
  const tell = (event: object) => {
    for (const peer of world.server.peers as Set<Peer>) peer.send("file_progress", event)
    return world.clock.advance(0)
  }
  const film = { conversationId: "7", fileId: "f", userId: "ben", name: "film.mp4", size: 100 }

  test("they show until shortly after their end, or until events stop", async () => {
    const tab = await open()
    const { sharing } = tab.client
    await tell({ ...film, received: 40, state: "uploading" })
    expect(sharing.get()).toEqual([{ ...film, received: 40, state: "uploading" }])
    await tell({ ...film, received: 100, state: "ready" })
    expect(sharing.get()[0]?.state).toBe("ready")
    await world.clock.advance(4_000)
    expect(sharing.get()).toEqual([])
    await tell({ ...film, received: 100, state: "ready" })
    expect(sharing.get()).toEqual([])
    await tell({ ...film, received: 1, state: "uploading" })
    await world.clock.advance(60_000)
    expect(sharing.get()).toEqual([])
  })
})

describe("addresses of files", () => {
  const shared = {
    id: "f",
    name: "a.png",
    type: "image/png",
    size: 1,
    url: "/api/files/f",
    thumbnailUrl: "/api/files/f/thumbnail",
    state: "ready" as const,
  }

  test("they are signed while subscribed, and renewed before they expire", async () => {
    const tab = await open()
    world.files.stored.set("f", { size: 1, bytes: new Uint8Array(1), metadata: {} })
    const start = world.clock.now()
    world.files.expiresAt = () => new Date(world.clock.now() + 12 * 3_600_000).toISOString()
    const whole = tab.client.fileUrl(shared)
    const small = tab.client.fileUrl(shared, "thumbnail")
    expect(whole.get()).toBeNull()
    const stops = [whole, small].map((store) => store.subscribe(() => {}))
    await world.clock.advance(0)
    expect(whole.get()).toBe("/api/files/f?signature=1")
    expect(small.get()).toBe("/api/files/f/thumbnail?signature=1")
    await world.clock.advance(start + 11.9 * 3_600_000 - world.clock.now())
    expect(whole.get()).toBe("/api/files/f?signature=2")
    for (const stop of stops) stop()
    await world.clock.advance(24 * 3_600_000)
    expect(requests("POST").length).toBe(2)
  })

  test("a refused address is requested again, at most once a minute", async () => {
    const tab = await open()
    world.files.stored.set("f", { size: 1, bytes: new Uint8Array(1), metadata: {} })
    world.files.expiresAt = () => new Date(world.clock.now() + 12 * 3_600_000).toISOString()
    const whole = tab.client.fileUrl(shared)
    const small = tab.client.fileUrl(shared, "thumbnail")
    const stops = [whole, small].map((store) => store.subscribe(() => {}))
    await world.clock.advance(0)
    expect(whole.get()).toBe("/api/files/f?signature=1")
    tab.client.renewFileUrl("f")
    tab.client.renewFileUrl("another")
    await world.clock.advance(0)
    expect([whole.get(), small.get()]).toEqual([
      "/api/files/f?signature=2",
      "/api/files/f/thumbnail?signature=2",
    ])
    tab.client.renewFileUrl("f")
    await world.clock.advance(59_000)
    expect(whole.get()).toBe("/api/files/f?signature=2")
    await world.clock.advance(1_000)
    tab.client.renewFileUrl("f")
    await world.clock.advance(0)
    expect(whole.get()).toBe("/api/files/f?signature=3")
    for (const stop of stops) stop()
  })

  test("they are null for a forbidden file, and unsigned with a cookie", async () => {
    const tab = await open()
    const store = tab.client.fileUrl(shared)
    store.subscribe(() => {})
    await world.clock.advance(100_000)
    expect(store.get()).toBeNull()
    world.server.isLocal = true
    world.server.session = "me"
    const local = await open({ userId: undefined as never })
    expect(local.client.fileUrl(shared, "thumbnail").get()).toBe("/api/files/f/thumbnail")
  })
})
