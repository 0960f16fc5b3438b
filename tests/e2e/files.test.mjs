// Files: uploads by tus that resume after every cut, access to files, and their display in browsers.
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { token } from "./support/jwt.mjs"
import { mp4, png, wav } from "./support/media.mjs"
import { conversationOf, crowd, get, post, put, request, somebody } from "./support/person.mjs"
import { objectsOf, S3_PORT } from "./support/s3.mjs"
import { JWT, OPEN, oneNodeOnly, SERVER_KEY, serve } from "./support/server.mjs"
import { BYTES, openPatch, raw, sha256, uploads } from "./support/tus.mjs"
import { until } from "./support/wait.mjs"

const MESSAGES = "/api/privatechat/messages"
const ZIP = (size) => Buffer.concat([Buffer.from("PK\u0003\u0004"), randomBytes(size - 4)])

const server = await serve({ after }, { ...OPEN, SERVER_KEY, MAX_FILE_SIZE: "20000000", FILE_QUOTA: "0" })

/** Two people with a conversation and a socket each. */
async function pair(t, on = server) {
  const { join: enter } = crowd(t, on)
  const person = async (name) => {
    const id = somebody(name)
    return { id, client: await enter(id), files: uploads(on, id) }
  }
  const [asha, ben] = [await person("asha"), await person("ben")]
  const conversationId = await conversationOf(on, asha.id, ben.id)
  const send = (by, attachments, content = "") =>
    by.client.ask("send_private_message", { conversationId, content, attachments })
  return { asha, ben, conversationId, send, person }
}

describe("uploads", () => {
  test("OPTIONS returns the server's capabilities", async () => {
    for (const path of ["/api/files", "/api/files/x"]) {
      const { status, headers } = await raw(server, "OPTIONS", path)
      assert.equal(status, 204)
      assert.equal(headers["tus-version"], "1.0.0")
      assert.equal(headers["tus-extension"], "creation,creation-with-upload,checksum,termination,expiration")
      assert.equal(headers["tus-max-size"], "20000000")
    }
  })

  test("a file larger than MAX_PAYLOAD is uploaded in parts and downloaded unchanged", async (t) => {
    const { asha, ben, conversationId, send } = await pair(t)
    const bytes = ZIP(5_000_000)
    const made = await asha.files.create(conversationId, bytes.length, { name: 'Ünter "lagen".zip' })
    assert.equal(made.status, 201)
    assert.equal(made.headers["upload-offset"], "0")
    assert.ok(Date.parse(made.headers["upload-expires"]) > Date.now() + 23 * 3_600_000)
    const id = made.headers.location.split("/").at(-1)
    assert.match(made.headers.location, /^\/api\/files\/[\w-]{43}$/)
    for (let at = 0; at < bytes.length; at += 2_000_000) {
      const part = bytes.subarray(at, at + 2_000_000)
      const put = await asha.files.patch(id, at, part)
      assert.equal(put.status, 204, put.bytes.toString())
      assert.equal(Number(put.headers["upload-offset"]), at + part.length)
    }
    const head = await asha.files.head(id)
    assert.equal(head.headers["upload-offset"], String(bytes.length))
    assert.equal(head.headers["upload-length"], String(bytes.length))
    assert.equal(head.headers["cache-control"], "no-store")
    const own = await asha.files.download(id)
    assert.equal(sha256(own.bytes), sha256(bytes), "its owner has it at once")
    assert.equal((await ben.files.download(id)).status, 404, "others only once it is sent")
    const sent = await send(asha, [id])
    assert.equal(sent.success, true, JSON.stringify(sent))
    const file = {
      id,
      name: 'Ünter "lagen".zip',
      type: "application/zip",
      size: bytes.length,
      url: `/api/files/${id}`,
      state: "ready",
    }
    assert.deepEqual(sent.message.attachments, [file])
    const seen = await ben.client.sees("new_private_message", (one) => one.id === sent.message.id)
    assert.deepEqual(seen.attachments, [file])
    const page = (await get(server, `${MESSAGES}/${conversationId}`, { as: ben.id })).body
    assert.deepEqual(page.data.at(-1).attachments, [file])
    const entries = (await get(server, `${MESSAGES}/${conversationId}?kind=all`, { as: ben.id })).body
    assert.deepEqual(entries.data.at(-1).attachments, [file])
    const down = await ben.files.download(id)
    assert.equal(sha256(down.bytes), sha256(bytes))
    assert.equal(down.headers["content-type"], "application/octet-stream")
    assert.equal(
      down.headers["content-disposition"],
      "attachment; filename=\"_nter _lagen_.zip\"; filename*=UTF-8''%C3%9Cnter%20%22lagen%22.zip",
    )
  })

  test("ranges and conditional requests work", async (t) => {
    const { asha, conversationId } = await pair(t)
    const bytes = ZIP(10_000)
    const id = await asha.files.whole(conversationId, bytes)
    const part = await asha.files.download(id, { range: "bytes=100-199" })
    assert.equal(part.status, 206)
    assert.equal(part.headers["content-range"], "bytes 100-199/10000")
    assert.deepEqual(part.bytes, bytes.subarray(100, 200))
    const last = await asha.files.download(id, { range: "bytes=-10" })
    assert.deepEqual(last.bytes, bytes.subarray(9_990))
    const past = await asha.files.download(id, { range: "bytes=10000-" })
    assert.equal(past.status, 416)
    assert.equal(past.headers["content-range"], "bytes */10000")
    const { etag } = part.headers
    assert.equal((await asha.files.download(id, { "if-none-match": etag })).status, 304)
    const other = await asha.files.download(id, { range: "bytes=0-1", "if-range": '"another"' })
    assert.equal(other.status, 200)
    const head = await raw(server, "HEAD", `/api/files/${id}`, { as: asha.id })
    assert.equal(head.headers["content-length"], "10000")
    assert.equal(head.headers["upload-offset"], undefined)
  })

  test("M3: uploads cut at random bytes and resumed are complete", async (t) => {
    const { asha, conversationId } = await pair(t)
    const cuts = Number(process.env.CUTS ?? 60)
    for (let done = 0; done < cuts; ) {
      const bytes = randomBytes(1_000_000)
      const made = await asha.files.create(conversationId, bytes.length)
      const id = made.headers.location.split("/").at(-1)
      for (let offset = 0; offset < bytes.length; done++) {
        const rest = bytes.subarray(offset)
        const cutAt = Math.floor(Math.random() * rest.length * 1.2)
        const options = cutAt < rest.length ? { cutAt } : {}
        await asha.files.patch(id, offset, rest, options).catch(() => null)
        const head = await asha.files.head(id)
        assert.equal(head.status, 200)
        const now = Number(head.headers["upload-offset"])
        assert.ok(now >= offset && now <= bytes.length, "never back")
        offset = now
      }
      assert.equal(sha256((await asha.files.download(id)).bytes), sha256(bytes))
    }
  })

  test("a checksum mismatch discards the bytes", async (t) => {
    const { asha, conversationId } = await pair(t)
    const bytes = ZIP(300_000)
    const made = await asha.files.create(conversationId, bytes.length)
    const id = made.headers.location.split("/").at(-1)
    const sum = (algorithm, of) => `${algorithm} ${createHash(algorithm).update(of).digest("base64")}`
    const wrong = { "upload-checksum": sum("sha256", "another") }
    const refused = await asha.files.patch(id, 0, bytes, { headers: wrong })
    assert.equal(refused.status, 460)
    assert.equal((await asha.files.head(id)).headers["upload-offset"], "0")
    const half = bytes.subarray(0, 150_000)
    const right = await asha.files.patch(id, 0, half, { headers: { "upload-checksum": sum("sha1", half) } })
    assert.equal(right.status, 204)
    const rest = bytes.subarray(150_000)
    const cut = { headers: { "upload-checksum": sum("sha256", rest) }, cutAt: 100_000 }
    await asha.files.patch(id, 150_000, rest, cut).catch(() => null)
    assert.equal((await asha.files.head(id)).headers["upload-offset"], "150000", "a cut has no checksum")
    const whole = await asha.files.patch(id, 150_000, rest, { headers: cut.headers })
    assert.equal(whole.status, 204)
    assert.equal(sha256((await asha.files.download(id)).bytes), sha256(bytes))
    const unknown = { "upload-checksum": "md5 AAAA" }
    assert.equal((await asha.files.patch(id, 0, half, { headers: unknown })).status, 400)
  })

  test("every invalid request is refused and stores nothing", async (t) => {
    const { asha, ben, conversationId, person } = await pair(t)
    const other = await person("other")
    const { tus, create, patch, head } = asha.files
    const status = async (answer) => (await answer).status
    const length = (value) => ({ headers: { "upload-length": value } })
    assert.equal(await status(create(conversationId, 5, { headers: { "tus-resumable": "0.2.2" } })), 412)
    assert.equal(await status(raw(server, "POST", "/api/files", { bytes: Buffer.alloc(0) })), 401)
    assert.equal(await status(create(conversationId, 20_000_001)), 413)
    for (const wrong of ["-1", "x", "1.5", "99999999999999999999"]) {
      assert.equal(await status(create(conversationId, 0, length(wrong))), 400, wrong)
    }
    const deferred = { headers: { "upload-defer-length": "1" } }
    assert.equal(await status(create(conversationId, 5, deferred)), 400)
    assert.equal(await status(create("nowhere", 5)), 404)
    assert.equal(await status(other.files.create(conversationId, 5)), 404)
    assert.equal(await status(tus("POST", "/api/files", { headers: { "upload-length": 5 } })), 400)
    const twisted = { headers: { "upload-metadata": "filename ???" } }
    assert.equal(await status(create(conversationId, 5, twisted)), 400)
    const made = await create(conversationId, 10)
    const id = made.headers.location.split("/").at(-1)
    const ten = Buffer.from("0123456789")
    const offset = await patch(id, 3, ten.subarray(3))
    assert.equal(offset.status, 409)
    assert.equal(offset.headers["upload-offset"], "0")
    assert.equal(await status(patch(id, 0, Buffer.alloc(11))), 413, "more than it said")
    assert.equal(await status(patch(id, 0, ten, { headers: { "content-type": "text/plain" } })), 415)
    for (const stranger of [ben, other]) {
      assert.equal(await status(stranger.files.patch(id, 0, ten)), 404)
      assert.equal(await status(stranger.files.head(id)), 404)
      assert.equal(await status(stranger.files.tus("DELETE", `/api/files/${id}`)), 404)
      assert.equal(await status(stranger.files.download(id)), 404)
    }
    assert.equal((await head(id)).headers["upload-offset"], "0")
    assert.equal(await status(asha.files.download(id)), 404, "it is not whole")
    for (const path of ["..%2f..%2fetc%2fpasswd", "%00", "x".repeat(500), "%ff"]) {
      const answer = await raw(server, "GET", `/api/files/${path}`, { as: asha.id })
      assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`)
    }
    assert.equal(await status(patch(id, 0, ten)), 204)
    assert.equal(await status(tus("DELETE", `/api/files/${id}`)), 204)
    assert.equal(await status(head(id)), 404)
    assert.equal(await status(patch(id, 10, Buffer.alloc(0))), 404)
    const empty = await create(conversationId, 0)
    assert.equal(empty.status, 201)
    assert.equal((await asha.files.download(empty.headers.location.split("/").at(-1))).status, 200)
  })

  test("a second request takes over from one that hangs", async (t) => {
    const { asha, ben, conversationId } = await pair(t)
    const bytes = ZIP(1_000_000)
    const made = await asha.files.create(conversationId, bytes.length)
    const id = made.headers.location.split("/").at(-1)
    // It announces more bytes, and sends none.
    const stalled = openPatch(server, asha.id, id, 0, bytes.length)
    t.after(() => stalled.cut())
    stalled.more(bytes.subarray(0, 300_000))
    await ben.client.sees("file_progress", (one) => one.fileId === id && one.received > 0)
    const head = await asha.files.head(id)
    assert.equal(head.status, 200)
    const offset = Number(head.headers["upload-offset"])
    const put = await asha.files.patch(id, offset, bytes.subarray(offset))
    assert.equal(put.status, 204, put.bytes.toString())
    assert.equal(sha256((await asha.files.download(id)).bytes), sha256(bytes))
  })
})

describe("types of files", () => {
  test("only types detected from the bytes are displayed, and no script runs", async (t) => {
    const { asha, conversationId } = await pair(t)
    const page = "<!DOCTYPE html><script>alert(document.cookie)</script>"
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    for (const [bytes, type, kept, how] of [
      [page, "text/html", "application/octet-stream", "attachment"],
      [page, "image/png", "application/octet-stream", "attachment"],
      [svg, "image/svg+xml", "application/octet-stream", "attachment"],
      [`<?xml version="1.0"?>${svg}`, "text/xml", "application/octet-stream", "attachment"],
      // Polyglots: a browser that receives them as pictures runs no script in them.
      [`GIF89a/*${page}*/`, "image/gif", "image/gif", "inline"],
      [`GIF89a=1;${page}`, "text/javascript", "image/gif", "inline"],
      ["GIF89a", "image/gif", "application/octet-stream", "attachment"],
      [`%PDF-1.7\n${page}`, "text/html", "application/pdf", "inline"],
      ["just a text", "text/plain", "text/plain", "attachment"],
      [png(10, 10), "text/html", "image/png", "inline"],
      [Buffer.concat([png(10, 10), Buffer.from(page)]), "text/html", "image/png", "inline"],
    ]) {
      const id = await asha.files.whole(conversationId, Buffer.from(bytes), { type, name: "x.html" })
      const { status, headers } = await asha.files.download(id)
      assert.equal(status, 200)
      assert.equal(headers["x-content-type-options"], "nosniff")
      assert.match(headers["content-security-policy"], /default-src 'none'.*sandbox/)
      assert.ok(headers["content-disposition"].startsWith(how), `${type} ${headers["content-disposition"]}`)
      const shown = how === "inline" ? kept : "application/octet-stream"
      assert.equal(headers["content-type"], shown, `${bytes}`.slice(0, 30))
      const sent = await post(
        server,
        "/api/privatechat/message",
        { conversationId, content: "", attachments: [id] },
        { as: asha.id },
      )
      assert.equal(sent.body.message.attachments[0].type, kept)
    }
  })

  test("a file name loses its path and direction marks", async (t) => {
    const { asha, conversationId } = await pair(t)
    for (const [name, kept] of [
      ["../../etc/passwd", "passwd"],
      ["a\u202egnp.exe", "agnp.exe"],
      ['x"; filename=evil.html\r\nSet-Cookie: a=b', 'x"; filename=evil.htmlSet-Cookie: a=b'],
      ["", "file"],
      ["..", "file"],
    ]) {
      const id = await asha.files.whole(conversationId, ZIP(10), { name })
      const { headers } = await asha.files.download(id)
      assert.ok(!("set-cookie" in headers))
      const given = decodeURIComponent(headers["content-disposition"].split("UTF-8''")[1])
      assert.equal(given, kept)
    }
  })

  test("a picture gets a thumbnail without metadata", async (t) => {
    const { asha, ben, conversationId, send } = await pair(t)
    const id = await asha.files.whole(conversationId, png(1_200, 600), { type: "image/png" })
    const sent = await send(asha, [id])
    const [file] = sent.message.attachments
    assert.deepEqual([file.width, file.height, file.type], [1_200, 600, "image/png"])
    const small = await raw(server, "GET", file.thumbnailUrl, { as: ben.id })
    assert.equal(small.status, 200)
    assert.equal(small.headers["content-type"], "image/jpeg")
    assert.ok(!small.bytes.includes("secret"))
    assert.equal((await raw(server, "GET", file.thumbnailUrl, { as: somebody() })).status, 404)
    const { etag } = small.headers
    const again = await raw(server, "GET", file.thumbnailUrl, {
      as: ben.id,
      headers: { "if-none-match": etag },
    })
    assert.equal(again.status, 304)
  })

  test("a picture has a blur hash, and sound and video a duration", async (t) => {
    const { asha, ben, conversationId, send } = await pair(t)
    const picture = await asha.files.whole(conversationId, png(1_200, 600), { type: "image/png" })
    const sound = await asha.files.whole(conversationId, wav(1.5), { name: "note.wav", type: "audio/wav" })
    const film = await asha.files.whole(conversationId, mp4(12_340), { name: "film.mp4", type: "video/mp4" })
    const sent = await send(asha, [picture, sound, film])
    const seen = await ben.client.sees("new_private_message", (one) => one.id === sent.message.id)
    for (const { attachments } of [sent.message, seen]) {
      const [{ blurHash }, { duration }, video] = attachments
      assert.match(blurHash, /^[!-~]{28}$/)
      assert.equal(duration, 1.5)
      assert.deepEqual([video.width, video.height, video.duration], [640, 360, 12.34])
    }
  })

  test("a decompression bomb gets no thumbnail", async (t) => {
    const { asha, conversationId, send } = await pair(t)
    const before = await (server.nodes?.[0] ?? server).memory()
    const id = await asha.files.whole(conversationId, png(10, 16_000, 60_000), { type: "image/png" })
    const sent = await send(asha, [id])
    assert.equal(sent.message.attachments[0].thumbnailUrl, undefined)
    assert.ok((await (server.nodes?.[0] ?? server).memory()) - before < 200_000_000)
  })
})

describe("permission to download a file", () => {
  test("M15: members of its conversation may download it while they are members and it exists", async (_t) => {
    const [asha, ben, carl] = ["asha", "ben", "carl"].map((name) => somebody(name))
    const id = somebody("room")
    const members = (memberIds) =>
      put(server, `/api/privatechat/conversations/${id}`, { memberIds }, { token: SERVER_KEY })
    await members([asha, ben, carl])
    const files = uploads(server, asha)
    const bytes = ZIP(1_000)
    const file = await files.whole(id, bytes)
    const sent = await post(
      server,
      "/api/privatechat/message",
      { conversationId: id, content: "here", attachments: [file] },
      { as: asha },
    )
    assert.equal(sent.status, 201)
    const of = (who) => uploads(server, who).download(file)
    const signed = async (who) => (await request(server, "POST", `/api/files/${file}/url`, { as: who })).body
    assert.equal((await of(ben)).status, 200)
    assert.equal((await of(somebody())).status, 404)
    assert.equal((await raw(server, "GET", `/api/files/${file}`)).status, 401)
    const { url, expiresAt } = await signed(carl)
    const hours = (Date.parse(expiresAt) - Date.now()) / 3_600_000
    assert.ok(hours > 11.9 && hours < 12.1)
    assert.equal(sha256((await raw(server, "GET", url)).bytes), sha256(bytes), "without a header")
    for (const [from, to] of [
      [/user=carl/, "user=karl"],
      [/expires=\d+/, "expires=9999999999999"],
      [/signature=.{10}/, "signature=AAAAAAAAAA"],
    ]) {
      assert.equal((await raw(server, "GET", url.replace(from, to))).status, 404, `${from}`)
    }
    await members([asha, ben])
    assert.equal((await of(carl)).status, 404, "removed")
    assert.equal((await raw(server, "GET", url)).status, 404, "removed, by a signed address")
    assert.equal((await signed(carl)).success, false)
    const address = (await signed(ben)).url
    await request(server, "DELETE", `${MESSAGES}/${id}/${sent.body.message.id}`, { as: asha })
    for (const who of [asha, ben]) assert.equal((await of(who)).status, 404, "deleted")
    assert.equal((await raw(server, "GET", address)).status, 404, "deleted, by a signed address")
  })

  test("M15: a user blocked by the owner cannot download the file in any way until the block ends", async (t) => {
    const { asha, ben, conversationId, send } = await pair(t)
    const picture = png(400, 200)
    const file = await asha.files.whole(conversationId, picture, { type: "image/png" })
    const answer = await ben.files.whole(conversationId, picture, { type: "image/png" })
    for (const [by, id] of [
      [asha, file],
      [ben, answer],
    ]) {
      assert.equal((await send(by, [id])).success, true)
    }
    const sign = (by, id) => request(server, "POST", `/api/files/${id}/url`, { as: by.id })
    const { url } = (await sign(ben, file)).body
    const statuses = async (by, id) => {
      const small = await raw(server, "GET", `/api/files/${id}/thumbnail`, { as: by.id })
      const part = await by.files.download(id, { range: "bytes=0-9" })
      return [(await by.files.download(id)).status, part.status, small.status, (await sign(by, id)).status]
    }
    const all = [200, 206, 200, 200]
    const none = [403, 403, 403, 403]
    await request(server, "PUT", `/api/blocks/${encodeURIComponent(ben.id)}`, { as: asha.id })
    assert.deepEqual(await statuses(ben, file), none, "who was blocked")
    const refused = await raw(server, "GET", url)
    assert.deepEqual([refused.status, refused.body.code], [403, "forbidden"], "by a signed address")
    assert.doesNotMatch(refused.body.error, /block/i)
    assert.deepEqual(await statuses(asha, answer), all, "who blocked keeps what they got")
    assert.deepEqual(await statuses(ben, answer), all, "one's own")
    for (const by of [asha, ben]) {
      const made = await by.files.create(conversationId, 10)
      assert.deepEqual([made.status, made.body.code], [403, "forbidden"], "an upload is a write")
    }
    await request(server, "DELETE", `/api/blocks/${encodeURIComponent(ben.id)}`, { as: asha.id })
    assert.deepEqual(await statuses(ben, file), all)
    assert.equal((await raw(server, "GET", url)).status, 200)
  })

  test("a token is required and sufficient", async (t) => {
    const own = await serve(t, { ...JWT, SERVER_KEY })
    const bearer = (text) => ({ authorization: `Bearer ${text}` })
    const id = "room"
    const memberIds = ["asha", "ben"]
    await put(own, `/api/privatechat/conversations/${id}`, { memberIds }, { token: SERVER_KEY })
    const bytes = ZIP(1_000)
    const made = await uploads(own).create(id, bytes.length, { bytes, headers: bearer(token("asha")) })
    assert.equal(made.status, 201)
    const path = made.headers.location
    assert.equal((await raw(own, "GET", path, { headers: bearer(token("asha")) })).status, 200)
    assert.equal((await raw(own, "GET", path, { headers: bearer(token("ben")) })).status, 404)
    assert.equal((await raw(own, "GET", path)).status, 401)
    assert.equal((await raw(own, "GET", path, { headers: bearer("x") })).status, 401)
    assert.equal((await raw(own, "GET", path, { headers: bearer(SERVER_KEY) })).status, 403)
  })

  test("a message accepts only files of its sender, each once, over both wires", async (t) => {
    const { asha, ben, conversationId, send } = await pair(t)
    const post_ = async (by, attachments) =>
      (
        await post(
          server,
          "/api/privatechat/message",
          { conversationId, content: "", attachments },
          { as: by.id },
        )
      ).body
    for (const over of [send, post_]) {
      const [one, two] = await Promise.all([1, 2].map(() => asha.files.whole(conversationId, ZIP(100))))
      const begun = (await asha.files.create(conversationId, 10)).headers.location.split("/").at(-1)
      for (const [by, files] of [
        [ben, [one]],
        [asha, ["nothing"]],
        [asha, [begun]],
      ]) {
        assert.equal((await over(by, files)).code, "invalid")
      }
      assert.equal((await over(asha, [])).code, "empty_message")
      const many = Array.from({ length: 11 }, (_, index) => `f${index}`)
      assert.equal((await over(asha, many)).code, "too_long")
      const sent = await over(asha, [two, one, two])
      assert.deepEqual(
        sent.message.attachments.map((file) => file.id),
        [two, one],
      )
      assert.equal((await over(asha, [one])).code, "invalid", "sent already")
      assert.equal((await asha.files.tus("DELETE", `/api/files/${one}`)).status, 403)
    }
  })
})

describe("progress", () => {
  test("other members see the progress of an upload and its end", async (t) => {
    const { asha, ben, conversationId } = await pair(t)
    const bytes = ZIP(1_000_000)
    const made = await asha.files.create(conversationId, bytes.length, { name: "plan.zip" })
    const id = made.headers.location.split("/").at(-1)
    await asha.files.patch(id, 0, bytes.subarray(0, 400_000))
    const { received, ...begun } = await ben.client.sees("file_progress", (one) => one.fileId === id)
    assert.ok(received <= 400_000)
    assert.deepEqual(begun, {
      conversationId,
      fileId: id,
      userId: asha.id,
      name: "plan.zip",
      size: bytes.length,
      state: "uploading",
    })
    await asha.files.patch(id, 400_000, bytes.subarray(400_000))
    const ended = await ben.client.sees("file_progress", (one) => one.fileId === id && one.state === "ready")
    assert.equal(ended.received, bytes.length)
    // After the end no event follows; another file's event is the marker.
    const other = await asha.files.whole(conversationId, ZIP(10))
    await ben.client.sees("file_progress", (one) => one.fileId === other && one.state === "ready")
    const all = ben.client.all("file_progress").filter((one) => one.fileId === id)
    assert.equal(all.at(-1).state, "ready")
    assert.equal(asha.client.all("file_progress").length, 0, "one's own upload")
  })

  test("an upload over a slow network stays active for others", async (t) => {
    const { asha, ben, conversationId } = await pair(t)
    const made = await asha.files.create(conversationId, 100_000)
    const id = made.headers.location.split("/").at(-1)
    const slow = openPatch(server, asha.id, id, 0, 100_000)
    t.after(() => slow.cut())
    // Far from what is collected before it is written.
    const sends = setInterval(() => slow.more(Buffer.alloc(10)), 100)
    t.after(() => clearInterval(sends))
    const moves = (one) => one.fileId === id && one.received > 0
    const { state } = await ben.client.sees("file_progress", moves)
    assert.equal(state, "uploading")
  })

  test("an aborted upload ends its progress, and an invisible user shows none", async (t) => {
    const { asha, ben, conversationId } = await pair(t)
    const made = await asha.files.create(conversationId, 1_000)
    const id = made.headers.location.split("/").at(-1)
    await asha.files.patch(id, 0, Buffer.alloc(100))
    await ben.client.sees("file_progress", (one) => one.fileId === id && one.state === "uploading")
    await asha.files.tus("DELETE", `/api/files/${id}`)
    await ben.client.sees("file_progress", (one) => one.fileId === id && one.state === "failed")
    await asha.client.must("set_status", { status: "invisible" })
    const hidden = await asha.files.whole(conversationId, ZIP(100))
    const shown = await ben.files.whole(conversationId, ZIP(100))
    await asha.client.sees("file_progress", (one) => one.fileId === shown)
    assert.ok(!ben.client.all("file_progress").some((one) => one.fileId === hidden))
  })
})

test("an uploading user has the activity sharing_file without a conversation", async (t) => {
  const { asha, ben, conversationId, person } = await pair(t)
  const watcher = await person("watcher")
  const shares = (one) => one.activities?.some((activity) => activity.kind === "sharing_file")
  for (const by of [ben, watcher]) await by.client.must("watch_presence", { userIds: [asha.id] })
  await asha.client.must("set_activity", { activity: { kind: "in_call", conversationId } })
  const made = await asha.files.create(conversationId, 1_000)
  const id = made.headers.location.split("/").at(-1)
  await asha.files.patch(id, 0, Buffer.alloc(100))
  for (const by of [ben, watcher]) {
    const shown = await by.client.knows(asha.id, shares)
    assert.deepEqual(shown.activities, [{ kind: "in_call" }, { kind: "sharing_file" }])
  }
  const listed = await get(server, "/api/online-users", { as: watcher.id })
  const one = listed.body.data.find((other) => other.userId === asha.id)
  assert.deepEqual(one.activities, [{ kind: "in_call" }, { kind: "sharing_file" }])
  await asha.files.patch(id, 100, Buffer.alloc(900))
  for (const by of [ben, watcher]) await by.client.knows(asha.id, (one) => one.status && !shares(one))
  assert.equal(watcher.client.all("file_progress").length, 0, "who is not in the conversation")
  const watched = JSON.stringify(watcher.client.events)
  assert.ok(!watched.includes(conversationId), "the conversation is private")
  // Given up, it ends too.
  const next = (await asha.files.create(conversationId, 1_000)).headers.location.split("/").at(-1)
  await asha.files.patch(next, 0, Buffer.alloc(100))
  await watcher.client.knows(asha.id, shares)
  await asha.files.tus("DELETE", `/api/files/${next}`)
  await watcher.client.knows(asha.id, (one) => one.status && !shares(one))
  // An invisible user is offline, also while uploading.
  const before = watcher.client.mark()
  await asha.client.must("set_status", { status: "invisible" })
  await watcher.client.seesOffline(asha.id)
  const hidden = (await asha.files.create(conversationId, 1_000)).headers.location.split("/").at(-1)
  await asha.files.patch(hidden, 0, Buffer.alloc(100))
  const shown = (await ben.files.create(conversationId, 1_000)).headers.location.split("/").at(-1)
  await ben.files.patch(shown, 0, Buffer.alloc(100))
  await asha.client.sees("file_progress", (one) => one.fileId === shown)
  const told_ = JSON.stringify(watcher.client.events.slice(before))
  assert.ok(!told_.includes("sharing_file"), told_)
})

describe("limits", () => {
  test("the quota and the allowed types, detected from the bytes, are enforced", async (t) => {
    const own = await serve(t, {
      ...OPEN,
      SERVER_KEY,
      MAX_FILE_SIZE: "0",
      FILE_QUOTA: "1000000",
      FILE_TYPES: "image/*, application/zip",
    })
    const [asha, ben] = [somebody("asha"), somebody("ben")]
    const id = await conversationOf(own, asha, ben)
    const files = uploads(own, asha)
    assert.equal((await files.create(id, 5, { type: "text/plain" })).status, 415)
    const liar = await files.create(id, 100, { bytes: Buffer.alloc(100, "a"), type: "image/png" })
    assert.equal(liar.status, 415, "it is none")
    const file = liar.headers.location.split("/").at(-1)
    assert.equal((await files.head(file)).status, 404)
    assert.equal((await files.create(id, 900_000)).status, 201)
    const over = await files.create(id, 100_000)
    assert.equal(over.status, 413)
    assert.equal(over.body.code, "too_long")
    assert.equal((await uploads(own, ben).create(id, 100_000)).status, 201, "another's")
  })

  test("allowed origins may use tus", async (t) => {
    const own = await serve(t, { ...OPEN, ALLOWED_ORIGINS: "https://app.example" })
    const headers = {
      origin: "https://app.example",
      "access-control-request-method": "PATCH",
      "access-control-request-headers": "tus-resumable,upload-offset,upload-checksum,content-type",
    }
    const { status, headers: answer } = await raw(own, "OPTIONS", "/api/files/x", { headers })
    assert.equal(status, 204)
    assert.match(answer["access-control-allow-methods"], /PATCH/)
    for (const name of ["tus-resumable", "upload-offset", "upload-metadata", "upload-length"]) {
      assert.ok(answer["access-control-allow-headers"].includes(name), name)
    }
    const made = await raw(own, "POST", "/api/files", { headers: { origin: "https://app.example" } })
    assert.ok(made.headers["access-control-expose-headers"].includes("upload-offset"))
    assert.ok(made.headers["access-control-expose-headers"].includes("location"))
  })
})

const ONE = oneNodeOnly("looks into one directory")

test("M3: uploads survive kill -9, before and after a message has the file", { skip: ONE }, async (t) => {
  const own = await serve(t, { ...OPEN, SERVER_KEY })
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(own, asha, ben)
  const files = uploads(own, asha)
  const bytes = ZIP(3_000_000)
  const made = await files.create(id, bytes.length)
  const file = made.headers.location.split("/").at(-1)
  let offset = 0
  for (let round = 0; round < 3; round++) {
    const part = bytes.subarray(offset, offset + 500_000)
    assert.equal((await files.patch(file, offset, part)).status, 204)
    offset += part.length
    // Some of these bytes are on the disk when the process dies, and none was acknowledged.
    const dying = files.patch(file, offset, bytes.subarray(offset, offset + 400_000), { cutAt: 300_000 })
    await dying.catch(() => null)
    await own.kill()
    await own.start()
    const now = Number((await files.head(file)).headers["upload-offset"])
    assert.ok(now >= offset, "what was acknowledged is there")
    offset = now
  }
  assert.equal((await files.patch(file, offset, bytes.subarray(offset))).status, 204)
  await own.kill()
  await own.start()
  const message = { conversationId: id, content: "", attachments: [file] }
  const sent = await post(own, "/api/privatechat/message", message, { as: asha })
  assert.equal(sent.status, 201, sent.text)
  await own.kill()
  await own.start()
  assert.equal(sha256((await uploads(own, ben).download(file)).bytes), sha256(bytes))
  await request(own, "DELETE", `${MESSAGES}/${id}/${sent.body.message.id}`, { as: asha })
  await own.kill()
  await own.start()
  const left = async () => {
    if (S3_PORT) return objectsOf(file)
    const root = join(own.home, "data", "files")
    const found = await Promise.all(["uploads", "objects"].map((name) => readdir(join(root, name))))
    return found.flat()
  }
  await until(async () => (await left()).length === 0, "its bytes are gone", 60_000)
})

// A connection that is closed with bytes unread is reset, and half of the clients never see why.
test("f8 a client that keeps sending to a refused upload can read the reason", async (t) => {
  const { asha, ben, conversationId } = await pair(t)
  const bytes = randomBytes(6_000_000)
  const file = await asha.files.create(conversationId, { size: 100 })
  const tus = { "tus-resumable": "1.0.0", "content-type": BYTES, "upload-offset": 0 }
  const path = `/api/files/${file}`
  for (let round = 0; round < 10; round++) {
    const tries = [
      [404, raw(server, "PATCH", path, { as: ben.id, headers: tus, bytes })],
      [
        412,
        raw(server, "PATCH", path, { as: asha.id, headers: { ...tus, "tus-resumable": "0.2.0" }, bytes }),
      ],
      [
        415,
        raw(server, "PATCH", path, { as: asha.id, headers: { ...tus, "content-type": "text/plain" }, bytes }),
      ],
      [401, raw(server, "PATCH", path, { headers: tus, bytes })],
      [
        400,
        raw(server, "POST", "/api/files", {
          as: asha.id,
          headers: { ...tus, "upload-length": "many" },
          bytes,
        }),
      ],
    ]
    for (const [status, answer] of tries) {
      const { status: got, body } = await answer
      assert.equal(got, status)
      assert.equal(body.success, false)
    }
  }
})

test("an id in a path that is not UTF-8 is refused like elsewhere", async () => {
  for (const path of ["/api/files/%FF", "/api/files/%FF/thumbnail"]) {
    const { status, body } = await get(server, path, { as: somebody("asha") })
    assert.deepEqual([status, body.code], [400, "invalid"], path)
  }
})

test("many concurrent uploads take little memory", { skip: ONE }, async (t) => {
  const own = await serve(t, { ...OPEN, SERVER_KEY, FILE_QUOTA: "0" })
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(own, asha, ben)
  const files = uploads(own, asha)
  await files.whole(id, ZIP(1_000_000))
  const before = await own.memory()
  const bytes = ZIP(8_000_000)
  let most = 0
  const watch = setInterval(async () => {
    most = Math.max(most, await own.memory().catch(() => 0))
  }, 50)
  const all = await Promise.all(Array.from({ length: 20 }, () => files.whole(id, bytes)))
  clearInterval(watch)
  assert.equal(new Set(all).size, 20)
  assert.equal(sha256((await files.download(all[7])).bytes), sha256(bytes))
  assert.ok(most - before < 64_000_000, `${most - before} bytes for 20 uploads of ${bytes.length}`)
})
