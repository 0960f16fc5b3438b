// Files of the built client against the real binary: uploads that are cut, reloaded and killed, and messages that wait for them.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { connect, createServer } from "node:net"
import { join } from "node:path"
import { before, describe, test } from "node:test"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { WebSocket } from "ws"
import { token } from "./support/jwt.mjs"
import { conversationOf, get, put, somebody } from "./support/person.mjs"
import { JWT, OPEN, oneNodeOnly, SERVER_KEY, serve } from "./support/server.mjs"
import { raw, sha256, uploads } from "./support/tus.mjs"
import { until } from "./support/wait.mjs"

const FOLDER = fileURLToPath(new URL("../../packages/client/", import.meta.url))
const client = {}

before(async () => {
  await promisify(execFile)(process.execPath, ["build.mjs"], { cwd: FOLDER })
  globalThis.WebSocket ??= WebSocket
  Object.assign(client, await import(pathToFileURL(join(FOLDER, "dist/index.js")).href))
})

const eventually = (look, within = 60_000) => until(look, String(look), within)

/** Waits are a tenth as long, so that a test of many failures is fast. */
const quick = {
  now: () => Date.now(),
  uptime: () => performance.now(),
  after(ms, run) {
    // Limits of a request stay: a loaded machine must not run into them.
    const timer = setTimeout(run, ms < 10_000 ? ms / 10 : ms)
    return () => clearTimeout(timer)
  },
}

/** The storage of a browser, which survives reloads. */
function makeBrowser() {
  const records = new Map()
  const bytes = new Map()
  return {
    storage: client.memoryStorage(),
    bytes,
    uploadStorage: {
      all: async (userId) => [...records.values()].filter((one) => one.userId === userId),
      async put(record, blob) {
        records.set(record.id, structuredClone(record))
        if (blob) bytes.set(record.id, new Blob([await blob.arrayBuffer()]))
      },
      bytes: async (id) => bytes.get(id),
      async delete(id) {
        records.delete(id)
        bytes.delete(id)
      },
    },
  }
}

/** A page of that browser. */
function open(t, browser, options) {
  const { storage, uploadStorage } = browser
  const page = client.createLamplight({ storage, uploadStorage, clock: quick, ...options })
  t.after(() => page.close())
  page.retain()
  return page
}

const file = (bytes, name = "plan.zip", type = "application/zip") =>
  Object.assign(new Blob([bytes], { type }), { name })
const ZIP = (size) => Buffer.concat([Buffer.from("PK\u0003\u0004"), randomBytes(size - 4)])
const rows = (page, id) => page.conversation(id).messages.get().rows
const history = async (server, id, as) =>
  (await get(server, `/api/privatechat/messages/${id}?limit=200`, { as })).body.data

/** Repeatable randomness. */
function seeded(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return (state >>> 0) / 2 ** 32
  }
}

/** A proxy that resets each connection after so many bytes as `limit` says. */
async function cutting(t, target, limit) {
  const { port } = new URL(target)
  const links = new Set()
  const server = createServer((near) => {
    const far = connect(Number(port), "127.0.0.1")
    let left = limit()
    links.add(near)
    near.on("data", (chunk) => {
      far.write(chunk.subarray(0, left))
      left -= chunk.length
      if (left > 0) return
      // What was passed on arrives before the end.
      near.destroy()
      far.end()
    })
    far.on("data", (chunk) => near.destroyed || near.write(chunk))
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      one.on("error", () => {})
      one.on("close", () => other.destroy())
    }
    near.on("close", () => links.delete(near))
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  t.after(() => {
    for (const link of links) link.destroy()
    server.close()
  })
  return `http://127.0.0.1:${server.address().port}`
}

describe("uploads by the client", () => {
  test("a message sent before its uploads end waits for them and keeps its order", async (t) => {
    const server = await serve(t, OPEN)
    const [asha, ben] = [somebody("asha"), somebody("ben")]
    const id = await conversationOf(server, asha, ben)
    const page = open(t, makeBrowser(), { url: server.url, userId: asha })
    const other = open(t, makeBrowser(), { url: server.url, userId: ben })
    await eventually(() => page.connection.get().status === "connected" && page.me.get().user)
    other.conversation(id).open()
    page.conversation(id).open()
    const [one, two] = [ZIP(9_000_000), ZIP(1_000)]
    const talk = page.conversation(id)
    const first = await page.uploads.add(id, file(one, "Ünter lagen.zip"))
    const second = await page.uploads.add(id, file(two, "small.zip"))
    const states = new Set()
    page.uploads.subscribe(() => {
      for (const { state, id } of page.uploads.get()) if (id === first.id) states.add(state)
    })
    assert.equal((await talk.send("", {})).ok, false)
    assert.equal((await talk.send("", { uploads: [first, second] })).ok, true)
    assert.equal((await talk.send("after it")).ok, true)
    assert.equal(rows(page, id)[0].files.length, 2)
    assert.equal(rows(page, id)[0].waitingFor, "upload")
    assert.equal(rows(page, id)[1].waitingFor, "earlier")
    await eventually(() => rows(page, id).length === 2 && rows(page, id).every((row) => row.state === "sent"))
    await eventually(() => rows(other, id).length === 2)
    for (const reader of [page, other]) {
      const [message, after] = rows(reader, id)
      assert.deepEqual(
        message.attachments.map(({ name, size }) => [name, size]),
        [
          ["Ünter lagen.zip", one.length],
          ["small.zip", two.length],
        ],
      )
      assert.equal(after.content, "after it")
    }
    const [sent] = rows(other, id)
    const down = await uploads(server, ben).download(sent.attachments[0].id)
    assert.equal(sha256(down.bytes), sha256(one))
    assert.ok(states.has("uploading"), [...states].join())
    await eventually(() => page.uploads.get().length === 0)
  })

  test("M1: uploads cut at random bytes and reloaded are complete, and one message is sent", async (t) => {
    const server = await serve(t, { ...OPEN, FILE_QUOTA: "0" })
    const seeds = (process.env.SEEDS ?? "1,2,3").split(",").map(Number)
    for (const seed of seeds) {
      const random = seeded(seed)
      const [asha, ben] = [somebody("asha"), somebody("ben")]
      const id = await conversationOf(server, asha, ben)
      let cuts = 0
      // The first requests pass, the bytes are cut, and in the end everything passes.
      const url = await cutting(t, server.url, () => {
        cuts++
        return cuts > 40 ? Number.POSITIVE_INFINITY : 1_000 + random() * 400_000
      })
      const browser = makeBrowser()
      const options = { url, userId: asha, random }
      let page = open(t, browser, options)
      await eventually(() => page.me.get().user)
      const bytes = randomBytes(2_000_000)
      const upload = await page.uploads.add(id, file(bytes, `cut ${seed}.bin`))
      assert.equal((await page.conversation(id).send("cut", { uploads: [upload] })).ok, true)
      for (let reloads = 0; reloads < 3; reloads++) {
        const before = cuts
        await eventually(() => cuts >= before + 3 || page.outbox.get().items.length === 0)
        page.close()
        page = open(t, browser, options)
      }
      const messages = await eventually(async () => {
        const all = await history(server, id, ben)
        return all.length ? all : null
      })
      await eventually(() => page.outbox.get().items.length === 0)
      const [message] = messages
      assert.equal((await history(server, id, ben)).length, 1, `seed ${seed}`)
      const down = await uploads(server, ben).download(message.attachments[0].id)
      assert.equal(sha256(down.bytes), sha256(bytes), `seed ${seed}`)
      await eventually(() => browser.bytes.size === 0)
      assert.ok(cuts > 3, `seed ${seed}: ${cuts} cuts`)
    }
  })

  test("an upload can be paused, reloaded, resumed, and cancelled in the client and on the server", async (t) => {
    const server = await serve(t, OPEN)
    const [asha, ben] = [somebody("asha"), somebody("ben")]
    const id = await conversationOf(server, asha, ben)
    let room = 3_000_000
    const url = await cutting(t, server.url, () => room)
    const browser = makeBrowser()
    let page = open(t, browser, { url, userId: asha })
    await eventually(() => page.me.get().user)
    const bytes = randomBytes(5_000_000)
    const upload = await page.uploads.add(id, file(bytes, "big.bin"))
    const now = () => page.uploads.get().find((one) => one.id === upload.id)
    page.uploads.pause(upload.id)
    await eventually(() => now().state === "paused")
    page.close()
    room = Number.POSITIVE_INFINITY
    page = open(t, browser, { url, userId: asha })
    await eventually(() => now()?.state === "paused" && now().bytes)
    assert.equal(now().durable, true)
    page.uploads.resume(upload.id)
    await eventually(() => now().state === "ready")
    const [record] = await browser.uploadStorage.all(asha)
    assert.equal(
      (await uploads(server, asha).head(record.fileId)).headers["upload-offset"],
      `${bytes.length}`,
    )
    page.uploads.cancel(upload.id)
    await eventually(() => page.uploads.get().length === 0)
    await eventually(async () => (await uploads(server, asha).head(record.fileId)).status === 404)
    await eventually(() => browser.bytes.size === 0)
  })

  test("a refused upload fails its message, which can be discarded or sent again", async (t) => {
    const server = await serve(t, {
      ...OPEN,
      FILE_TYPES: "image/*, application/zip",
      MAX_FILE_SIZE: "100000",
    })
    const [asha, ben] = [somebody("asha"), somebody("ben")]
    const id = await conversationOf(server, asha, ben)
    const browser = makeBrowser()
    const page = open(t, browser, { url: server.url, userId: asha })
    await eventually(() => page.me.get().user)
    const talk = page.conversation(id)
    talk.open()
    const liar = await page.uploads.add(id, file(Buffer.alloc(100, "a"), "x.png", "image/png"))
    await talk.send("look", { uploads: [liar] })
    await eventually(() => rows(page, id)[0]?.state === "failed")
    assert.match(rows(page, id)[0].error.message, /cannot be uploaded here/)
    const huge = await page.uploads.add(id, file(ZIP(200_000)))
    await eventually(() => page.uploads.get().find((one) => one.id === huge.id)?.state === "failed")
    assert.equal(page.uploads.get().find((one) => one.id === huge.id).error.code, "too_long")
    page.uploads.cancel(huge.id)
    // Behind the one that failed.
    const fine = await page.uploads.add(id, file(ZIP(1_000)))
    await talk.send("", { uploads: [fine] })
    await eventually(() => page.uploads.get().find((one) => one.id === fine.id)?.state === "ready")
    await eventually(() => rows(page, id)[1]?.waitingFor === "earlier-failed")
    // Retry tries the upload again, which is refused again.
    page.outbox.retry(rows(page, id)[0].clientMessageId)
    await eventually(() => rows(page, id)[0].state === "sending")
    await eventually(() => rows(page, id)[0].state === "failed")
    assert.equal(await page.outbox.discard(rows(page, id)[0].clientMessageId), "look")
    await eventually(() => rows(page, id).length === 1 && rows(page, id)[0].state === "sent")
    await eventually(() => page.uploads.get().length === 0 && browser.bytes.size === 0)
  })

  test("Retry uploads a file again that the server deleted before its message arrived", async (t) => {
    const server = await serve(t, OPEN)
    const [asha, ben] = [somebody("asha"), somebody("ben")]
    const id = await conversationOf(server, asha, ben)
    const browser = makeBrowser()
    const page = open(t, browser, { url: server.url, userId: asha })
    await eventually(() => page.me.get().user)
    page.conversation(id).open()
    const bytes = ZIP(50_000)
    const upload = await page.uploads.add(id, file(bytes))
    await eventually(() => page.uploads.get()[0]?.state === "ready")
    const [{ fileId }] = await browser.uploadStorage.all(asha)
    // As the server's sweep does it after 24 hours.
    assert.equal((await uploads(server, asha).tus("DELETE", `/api/files/${fileId}`)).status, 204)
    await page.conversation(id).send("late", { uploads: [upload] })
    await eventually(() => rows(page, id)[0]?.state === "failed")
    page.outbox.retry(rows(page, id)[0].clientMessageId)
    await eventually(() => rows(page, id)[0]?.state === "sent")
    const [file_] = rows(page, id)[0].attachments
    assert.equal(sha256((await uploads(server, ben).download(file_.id)).bytes), sha256(bytes))
    assert.equal((await history(server, id, ben)).length, 1)
  })

  test("M3: an upload survives a killed server", { skip: oneNodeOnly("kills its node") }, async (t) => {
    const server = await serve(t, OPEN)
    const [asha, ben] = [somebody("asha"), somebody("ben")]
    const id = await conversationOf(server, asha, ben)
    let limit = 4_000_000
    const url = await cutting(t, server.url, () => limit)
    const page = open(t, makeBrowser(), { url, userId: asha })
    await eventually(() => page.me.get().user)
    const bytes = randomBytes(12_000_000)
    const upload = await page.uploads.add(id, file(bytes, "big.bin"))
    await page.conversation(id).send("killed", { uploads: [upload] })
    await eventually(() => page.uploads.get()[0]?.state === "uploading")
    await server.kill()
    limit = Number.POSITIVE_INFINITY
    await server.start()
    const message = await eventually(async () => (await history(server, id, ben))[0])
    assert.equal(
      sha256((await uploads(server, ben).download(message.attachments[0].id)).bytes),
      sha256(bytes),
    )
  })

  test("one of two tabs uploads, both show it, and the other continues when it closes", async (t) => {
    const server = await serve(t, OPEN)
    const [asha, ben] = [somebody("asha"), somebody("ben")]
    const id = await conversationOf(server, asha, ben)
    const browser = makeBrowser()
    const tabs = new Set()
    const tails = new Map()
    const shared = {
      openChannel(_name, receive) {
        tabs.add(receive)
        return {
          post: (message) => {
            for (const tab of tabs) if (tab !== receive) queueMicrotask(() => tab(structuredClone(message)))
          },
          close: () => void tabs.delete(receive),
        }
      },
      withLock(name, work, ifAvailable) {
        const tail = tails.get(name)
        if (tail && ifAvailable) return Promise.resolve(undefined)
        const run = (tail ?? Promise.resolve()).then(work)
        const end = run.catch(() => {}).then(() => tails.get(name) === end && tails.delete(name))
        tails.set(name, end)
        return run
      },
    }
    let limit = 1_000_000
    const creations = []
    const fetcher = (url, options) => {
      if (options?.method === "POST" && url.endsWith("/api/files")) creations.push(url)
      return fetch(url, options)
    }
    const url = await cutting(t, server.url, () => limit)
    const options = { url, userId: asha, fetch: fetcher, ...shared }
    const one = open(t, browser, options)
    const two = open(t, browser, options)
    await eventually(() => one.me.get().user && two.me.get().user)
    const bytes = randomBytes(6_000_000)
    const upload = await one.uploads.add(id, file(bytes, "big.bin"))
    await one.conversation(id).send("two tabs", { uploads: [upload] })
    await eventually(() => two.uploads.get()[0]?.id === upload.id && two.uploads.get()[0].bytes)
    // Before that, the other tab begins anew.
    await eventually(async () => (await browser.uploadStorage.all(asha))[0].fileId !== null)
    one.close()
    limit = Number.POSITIVE_INFINITY
    const message = await eventually(async () => (await history(server, id, ben))[0])
    assert.equal(
      sha256((await uploads(server, ben).download(message.attachments[0].id)).bytes),
      sha256(bytes),
    )
    assert.equal(creations.length, 1)
    await eventually(() => two.uploads.get().length === 0 && browser.bytes.size === 0)
  })

  test("with a token, each request uses the current one, and pictures get signed addresses", async (t) => {
    const server = await serve(t, { ...JWT, SERVER_KEY })
    const id = "room"
    const memberIds = ["asha", "ben"]
    await put(server, `/api/privatechat/conversations/${id}`, { memberIds }, { token: SERVER_KEY })
    let given = 0
    const used = new Set()
    const getToken = () => token("asha", { jti: `${++given}` })
    const page = open(t, makeBrowser(), {
      url: server.url,
      getToken,
      fetch(url, options) {
        if (url.includes("/api/files")) used.add(options.headers.authorization)
        return fetch(url, options)
      },
    })
    await eventually(() => page.me.get().user && page.connection.get().status === "connected")
    page.conversation(id).open()
    const bytes = ZIP(10_000_000)
    const upload = await page.uploads.add(id, file(bytes))
    await page.conversation(id).send("", { uploads: [upload] })
    await eventually(() => rows(page, id)[0]?.state === "sent")
    assert.ok(used.size >= 1 && [...used].every((one) => one.startsWith("Bearer ")))
    const [attachment] = rows(page, id)[0].attachments
    const address = page.fileUrl(attachment)
    assert.equal(address.get(), null)
    const stop = address.subscribe(() => {})
    const found = await eventually(() => address.get())
    const down = await raw(server, "GET", found.slice(server.url.length))
    assert.equal(sha256(down.bytes), sha256(bytes))
    stop()
  })

  test("other members see the progress of an upload and its end", async (t) => {
    const server = await serve(t, OPEN)
    const [asha, ben] = [somebody("asha"), somebody("ben")]
    const id = await conversationOf(server, asha, ben)
    const other = open(t, makeBrowser(), { url: server.url, userId: ben })
    const page = open(t, makeBrowser(), { url: server.url, userId: asha })
    await eventually(() => other.connection.get().status === "connected")
    other.conversation(id).open()
    const { sharing } = other
    const seen = []
    sharing.subscribe(() => seen.push(...sharing.get()))
    const gate = uploads(server, asha)
    const made = await gate.create(id, 1_000_000, { name: "film.mp4" })
    const fileId = made.headers.location.split("/").at(-1)
    await gate.patch(fileId, 0, ZIP(450_000))
    await eventually(() => sharing.get()[0]?.received <= 450_000)
    assert.deepEqual(
      sharing.get().map(({ name, userId, state }) => [name, userId, state]),
      [["film.mp4", asha, "uploading"]],
    )
    await gate.tus("DELETE", `/api/files/${fileId}`)
    await eventually(() => seen.some(({ state }) => state === "failed"))
    await eventually(() => sharing.get().length === 0)
    // A file whose message has come is not shared any more.
    await eventually(() => page.me.get().user)
    const upload = await page.uploads.add(id, file(ZIP(200_000)))
    await page.conversation(id).send("", { uploads: [upload] })
    await eventually(() => rows(other, id).length === 1)
    await eventually(() => sharing.get().length === 0)
  })
})
