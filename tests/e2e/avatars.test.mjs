// Avatars: re-encoded pictures of accounts and groups, and access to them.
import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { token } from "./support/jwt.mjs"
import { dimensions, png } from "./support/media.mjs"
import { crowd, get, post, register, request, somebody } from "./support/person.mjs"
import { JWT, LOCAL, OPEN, SERVER_KEY, serve } from "./support/server.mjs"
import { raw } from "./support/tus.mjs"

const CONVERSATIONS = "/api/privatechat/conversations"
const ACCOUNT = "/api/account/avatar"
const ADDRESS = /^\/api\/avatars\/[\w-]{43}$/

const server = await serve({ after }, { ...LOCAL, SERVER_KEY })

const bearer = (account, more = {}) => ({ authorization: `Bearer ${account.token}`, ...more })
const put = (on, path, bytes, headers) =>
  raw(on, "PUT", path, { bytes, headers: { "content-type": "image/png", ...headers } })

test("the page loads pictures of this server only, because another host would see its viewers", async () => {
  for (const path of ["/chat", "/chat/sw.js", "/docs/"]) {
    const { headers } = await get(server, path)
    assert.match(headers.get("content-security-policy"), /img-src 'self' data: blob:;/, path)
  }
})

describe("an account's picture", () => {
  test("is a square without metadata, and others see it set and removed", async (t) => {
    const [asha, ben] = [await register(server, "Asha"), await register(server, "Ben")]
    const { enter } = crowd(t, server)
    const watcher = await enter(ben, { roster: "diff" })
    await enter(asha)
    await watcher.seesOnline(asha.user.id)
    const answer = await put(server, ACCOUNT, png(1_000, 600), bearer(asha))
    assert.equal(answer.status, 200, answer.bytes.toString())
    const { avatarUrl } = answer.body.user
    assert.match(avatarUrl, ADDRESS)
    await watcher.knows(asha.user.id, (one) => one.user?.avatarUrl === avatarUrl)
    const session = await get(server, "/api/auth/session", { token: asha.token })
    assert.equal(session.body.user.avatarUrl, avatarUrl)
    const shown = await raw(server, "GET", avatarUrl, { headers: bearer(ben) })
    assert.equal(shown.status, 200)
    assert.equal(shown.headers["content-type"], "image/jpeg")
    assert.equal(shown.headers["cache-control"], "private, max-age=31536000, immutable")
    assert.equal(shown.headers["x-content-type-options"], "nosniff")
    assert.match(shown.headers["content-security-policy"], /sandbox/)
    assert.deepEqual(dimensions(shown.bytes), [256, 256])
    assert.ok(!shown.bytes.includes("secret"))
    const known = bearer(ben, { "if-none-match": shown.headers.etag })
    assert.equal((await raw(server, "GET", avatarUrl, { headers: known })).status, 304)
    // Another picture has another address.
    const next = (await put(server, ACCOUNT, png(100, 90, 100, 0x20), bearer(asha))).body.user.avatarUrl
    assert.notEqual(next, avatarUrl)
    await watcher.knows(asha.user.id, (one) => one.user?.avatarUrl === next)
    const small = await raw(server, "GET", next, { headers: bearer(asha) })
    assert.deepEqual(dimensions(small.bytes), [90, 90], "it is not made larger")
    const gone = await raw(server, "DELETE", ACCOUNT, { headers: bearer(asha) })
    assert.equal(gone.status, 200, gone.bytes.toString())
    assert.equal(gone.body.user.avatarUrl ?? null, null)
    await watcher.knows(asha.user.id, (one) => one.user && !one.user.avatarUrl)
  })

  test("requires a signed-in user", async () => {
    const asha = await register(server, "Asha")
    const { avatarUrl } = (await put(server, ACCOUNT, png(300, 300), bearer(asha))).body.user
    const cookie = { cookie: `lamplight_session=${asha.token}` }
    assert.equal((await raw(server, "GET", avatarUrl, { headers: cookie })).status, 200, "by the cookie")
    assert.equal((await raw(server, "GET", avatarUrl)).status, 401)
    const wrong = { authorization: "Bearer wrong" }
    assert.equal((await raw(server, "GET", avatarUrl, { headers: wrong })).status, 401)
    assert.equal((await put(server, ACCOUNT, png(9, 9))).status, 401)
    assert.equal((await raw(server, "DELETE", ACCOUNT)).status, 401)
    for (const id of ["nothing", "..%2f..%2fetc%2fpasswd", "%00", "%ff", "x".repeat(500), "a.avatar"]) {
      const answer = await raw(server, "GET", `/api/avatars/${id}`, { headers: bearer(asha) })
      assert.ok([400, 404].includes(answer.status), `${id}: ${answer.status}`)
    }
  })

  test("an invalid or too large picture changes nothing", async () => {
    const asha = await register(server, "Asha")
    const before = (await put(server, ACCOUNT, png(300, 300), bearer(asha))).body.user.avatarUrl
    const picture = png(300, 300)
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    for (const [what, bytes, status] of [
      ["nothing", Buffer.alloc(0), 415],
      ["a page", Buffer.from("<!DOCTYPE html><script>alert(1)</script>"), 415],
      ["SVG", Buffer.from(svg), 415],
      ["a polyglot without a picture", Buffer.from(`GIF89a=1;${svg}`), 415],
      ["PDF", Buffer.from("%PDF-1.7 and so on"), 415],
      ["a cut picture", picture.subarray(0, 60), 415],
      ["a bomb", png(10, 16_000, 60_000), 415],
      ["one that lies", png(10, 16_000, 16_000), 415],
      ["5 MB and a byte", Buffer.concat([picture, Buffer.alloc(5_000_001 - picture.length)]), 413],
    ]) {
      const answer = await put(server, ACCOUNT, bytes, bearer(asha))
      assert.equal(answer.status, status, `${what}: ${answer.bytes}`)
      assert.equal(answer.body.success, false, what)
    }
    const session = await get(server, "/api/auth/session", { token: asha.token })
    assert.equal(session.body.user.avatarUrl, before)
    // HTML after the picture is not stored.
    const both = Buffer.concat([picture, Buffer.from("<script>alert(1)</script>")])
    const kept = (await put(server, ACCOUNT, both, bearer(asha))).body.user.avatarUrl
    const shown = await raw(server, "GET", kept, { headers: bearer(asha) })
    assert.ok(!shown.bytes.includes("script"))
    const whole = Buffer.concat([picture, Buffer.alloc(5_000_000 - picture.length)])
    assert.equal((await put(server, ACCOUNT, whole, bearer(asha))).status, 200, "5 MB are taken")
  })

  test("cannot be set by users of a host application", async (t) => {
    for (const settings of [JWT, OPEN]) {
      const own = await serve(t, settings)
      const who = settings === JWT ? { authorization: `Bearer ${token("asha")}` } : { "x-user-id": "asha" }
      assert.equal((await put(own, ACCOUNT, png(9, 9), who)).status, 404)
    }
  })
})

describe("a group's picture", () => {
  for (const wire of ["open", "jwt"]) {
    test(`is set by an admin as an entry of the log (${wire})`, async (t) => {
      const own = await serve(t, { ...(wire === "jwt" ? JWT : OPEN), SERVER_KEY })
      const people = ["owner", "member", "stranger"].map((name) => somebody(name))
      const [owner, member, stranger] = people
      const as = (id) => (wire === "jwt" ? { token: token(id) } : { as: id })
      const headers = (id) =>
        wire === "jwt" ? { authorization: `Bearer ${token(id)}` } : { "x-user-id": id }
      const { connect } = crowd(t, own)
      const client = await connect(wire === "jwt" ? { auth: { token: token(member) } } : {})
      await client.must("join_user", { userId: member, roster: "none" })
      const { conversation } = (
        await post(own, CONVERSATIONS, { memberIds: [member, somebody()], name: "The group" }, as(owner))
      ).body
      const path = `${CONVERSATIONS}/${conversation.id}/avatar`
      const statuses = await Promise.all(
        [member, stranger].map(async (id) => (await put(own, path, png(300, 300), headers(id))).status),
      )
      assert.deepEqual(statuses, [403, 404])
      const set = await put(own, path, png(300, 300), headers(owner))
      assert.equal(set.status, 200, set.bytes.toString())
      const { avatarUrl, kind } = set.body.entry
      assert.equal(kind, "details")
      assert.match(avatarUrl, ADDRESS)
      const entry = await client.sees("conversation_entry", (one) => one.kind === "details")
      assert.equal(entry.avatarUrl, avatarUrl)
      const list = async (id) => (await get(own, CONVERSATIONS, as(id))).body.data[0].avatarUrl ?? null
      assert.equal(await list(member), avatarUrl)
      // As a picture of a page is asked for, which has no header of its own.
      const shown = await raw(own, "GET", avatarUrl)
      assert.equal(shown.status, 200)
      assert.deepEqual(dimensions(shown.bytes), [256, 256])
      const host = { authorization: `Bearer ${SERVER_KEY}` }
      assert.equal((await put(own, path, png(30, 30), host)).status, 200, "the host application may")
      assert.equal((await request(own, "DELETE", path, as(member))).status, 403)
      assert.equal((await request(own, "DELETE", path, as(owner))).status, 200)
      assert.equal(await list(member), null)
      const direct = (await post(own, CONVERSATIONS, { userId: member }, as(owner))).body.conversation
      const of = `${CONVERSATIONS}/${direct.id}/avatar`
      const refused = await put(own, of, png(30, 30), headers(owner))
      assert.deepEqual([refused.status, refused.body.code], [400, "invalid"], "of two people")
    })
  }
})
