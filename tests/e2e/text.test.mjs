// Texts that look alike and differ, and invisible texts, over both wires.
import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { conversationOf, crowd, get, post, put, somebody } from "./support/person.mjs"
import { LOCAL, OPEN, SERVER_KEY, serve } from "./support/server.mjs"

const open = await serve({ after }, { ...OPEN, SERVER_KEY })
const local = await serve({ after }, LOCAL)
const BLANK = ["\u200b", "\u3164", "\u2800", "\u00ad", "\u{e0041}\u{e007f}", " \u00a0\u2003", "\u0301"]

describe("F18 Unicode forms", () => {
  test("user names and passwords match in any Unicode form, and the directory finds them", async () => {
    const made = await post(local, "/api/auth/register", {
      username: "Jos\u00e9",
      password: "p\u00e4ss w\u00f6rd",
      name: "İnci Şen",
    })
    assert.equal(made.status, 201, made.text)
    const again = await post(local, "/api/auth/login", {
      username: " jose\u0301 ",
      password: "pa\u0308ss\u00a0wo\u0308rd",
    })
    assert.equal(again.body.user?.id, made.body.user.id, again.text)
    assert.equal(
      (await post(local, "/api/auth/login", { username: "josé", password: "PÄSS WÖRD" })).status,
      401,
    )
    assert.equal(
      (await post(local, "/api/auth/register", { username: "JOSE\u0301", password: "long enough" })).status,
      409,
    )
    for (const query of ["inci", "İNCİ", " inci\u00a0sen", "jose", "JOSE\u0301"]) {
      const found = await get(local, `/api/users?query=${encodeURIComponent(query)}`, {
        token: made.body.token,
      })
      assert.deepEqual(
        found.body.data.map((user) => user.name),
        ["İnci Şen"],
        query,
      )
    }
  })
})

describe("F19 invisible text", () => {
  test("is refused as a message over either wire", async (t) => {
    const { join } = crowd(t, open)
    const [a, b] = [somebody("a"), somebody("b")]
    const id = await conversationOf(open, a, b)
    const person = await join(a)
    for (const content of BLANK) {
      assert.equal((await person.send(id, content)).code, "empty_message", JSON.stringify(content))
      const answer = await post(open, "/api/privatechat/message", { conversationId: id, content }, { as: a })
      assert.deepEqual([answer.status, answer.body.code], [400, "empty_message"], JSON.stringify(content))
    }
    const kept = "\u202eھ\u200d\u200b"
    assert.equal((await person.send(id, kept)).message.content, kept)
  })

  test("is refused as a name and dropped from a status", async (t) => {
    const { join } = crowd(t, open)
    const a = somebody("a")
    const person = await join(a)
    for (const name of BLANK) {
      const answer = await put(open, `/api/users/${a}`, { name }, { token: SERVER_KEY })
      assert.deepEqual([answer.status, answer.body.code], [400, "invalid"], JSON.stringify(name))
      assert.equal((await person.ask("set_status", { status: "busy", text: name })).success, true)
      assert.equal((await person.ask("set_activity", { activity: { kind: name } })).code, "invalid")
      const registered = await post(local, "/api/auth/register", {
        username: name + name,
        password: "long enough",
      })
      assert.equal(registered.status, 400, JSON.stringify(name))
    }
    const everyone = await get(open, "/api/online-users", {})
    assert.equal(everyone.body.data.find((presence) => presence.userId === a).text, undefined)
  })
})

describe("F20 scripts whose letters need marks", () => {
  test("are accepted in user names", async () => {
    for (const username of ["प्रिया", "สมชาย_น้ำ", "مُحَمَّد", "דָּוִד"]) {
      const made = await post(local, "/api/auth/register", { username, password: "long enough" })
      assert.equal(made.status, 201, made.text)
      assert.equal(
        (await post(local, "/api/auth/login", { username, password: "long enough" })).body.user.name,
        username,
      )
    }
  })
})
