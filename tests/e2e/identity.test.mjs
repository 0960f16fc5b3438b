// Identification in every form in which it may arrive: ids in headers, cookies, tokens, a proxy's headers.
import assert from "node:assert/strict"
import { connect as tcp } from "node:net"
import { after, describe, test } from "node:test"
import { token } from "./support/jwt.mjs"
import { conversationOf, crowd, get, post, register, somebody } from "./support/person.mjs"
import { JWT, LOCAL, nodeOf, OPEN, serve } from "./support/server.mjs"

const open = await serve({ after }, OPEN)
const local = await serve({ after }, { ...LOCAL, TRUSTED_PROXIES: "127.0.0.1" })
const jwt = await serve({ after }, { ...JWT, LIMIT_LOGINS: "0" })

const CHATS = "/api/privatechat/conversations"
const SESSION = "/api/auth/session"

/** One GET with header lines as they are, which `fetch` would refuse to send. Answers with the status and the body. */
function raw(server, path, lines) {
  return new Promise((resolve, reject) => {
    const socket = tcp(server.port, "127.0.0.1")
    let text = ""
    socket.setEncoding("utf8")
    socket.on("data", (data) => {
      text += data
    })
    socket.on("error", reject)
    socket.on("close", () => {
      const [head, body] = text.split("\r\n\r\n", 2)
      resolve({ status: Number(head.split(" ")[1]), body: JSON.parse(body || "null") })
    })
    const head = [`GET ${path} HTTP/1.1`, "host: 127.0.0.1", "connection: close", ...lines]
    socket.write(Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "utf8"))
  })
}

describe("ids in headers", { concurrency: 4 }, () => {
  test("F3 X-User-Id is percent-encoded UTF-8; plain UTF-8 and a lone % are accepted too", async () => {
    for (const name of ["Жанна", "josé", "用户", "a😀b", "100%", "50%25", "a b", "a+b"]) {
      const [me, other] = [somebody(name), somebody("b")]
      const id = await conversationOf(open, encodeURIComponent(me), other)
      const headers = { "x-user-id": encodeURIComponent(me) }
      const body = { conversationId: id, content: "x" }
      const sent = await post(open, "/api/privatechat/message", body, { headers })
      assert.equal(sent.body.message?.senderId, me, sent.text)
      if (!name.includes("%")) {
        const plain = await raw(open, `${CHATS}/`.slice(0, -1), [`x-user-id: ${me}`])
        assert.equal(plain.body.data?.[0]?.id, id, name)
      }
    }
    const lone = await raw(open, CHATS, ["x-user-id: 100%"])
    assert.equal(lone.status, 200)
    for (const bad of ["%FF", "%00", "%0A", ""]) {
      const refused = await get(open, CHATS, { headers: { "x-user-id": bad } })
      assert.equal(refused.body.code, "invalid", bad)
    }
  })

  test("F3 with AUTH=jwt an encoded id must match the token", async () => {
    const me = somebody("Жанна")
    const held = token(me)
    const as = (id) => get(jwt, CHATS, { token: held, headers: { "x-user-id": id } })
    assert.equal((await as(encodeURIComponent(me))).status, 200)
    const another = await as(encodeURIComponent(somebody("Жанна")))
    assert.equal(another.status, 401)
    assert.match(another.body.error, /X-User-Id/)
    assert.equal((await as("%FF")).status, 401)
  })

  test("F3 X-Socket-Id is decoded too", async (t) => {
    const { join } = crowd(t, open)
    const [me, other] = [somebody("a"), somebody("b")]
    const id = await conversationOf(open, me, other)
    const [mine, second] = [await join(me), await join(me)]
    const encoded = [...mine.id].map((c) => `%${c.charCodeAt(0).toString(16)}`).join("")
    const headers = { "x-user-id": me, "x-socket-id": encoded }
    await post(open, "/api/privatechat/message", { conversationId: id, content: "one" }, { headers })
    await second.sees("new_private_message", (message) => message.content === "one")
    await mine.must("sync", { conversations: {} })
    assert.deepEqual(mine.messages(), [])
  })
})

describe("cookies", { concurrency: 4 }, () => {
  test("F2 other cookies may have any bytes, and each of several session cookies is checked", async (t) => {
    const { connect } = crowd(t, local)
    const asha = await register(local)
    const ours = `lamplight_session=${asha.token}`
    for (const cookie of [
      `a=ø; ${ours}`,
      `${ours}; b="x; y`,
      `ø; =; ;; ${ours}`,
      `novalue; ${ours};`,
      `lamplight_session=stale; ${ours}`,
      `lamplight_session=; lamplight_session=ø; ${ours}`,
      `lamplight_session="${asha.token}"`,
      `a=${"ß".repeat(2_000)}; ${ours}`,
    ]) {
      const answer = await raw(local, SESSION, [`cookie: ${cookie}`])
      assert.equal(answer.body.user?.id, asha.user.id, cookie)
    }
    const lines = await raw(local, SESSION, ["cookie: a=ø", `cookie: ${ours}`])
    assert.equal(lines.status, 200)
    const cookie = Buffer.from(`a=ø; ${ours}`, "utf8").toString("latin1")
    const client = await connect({ extraHeaders: { cookie } })
    await client.must("join_user", asha.user.id)
    assert.equal((await raw(local, SESSION, ["cookie: lamplight_session=stale; a=ø"])).status, 401)
  })

  test("F2 of two session cookies the one of the page's user is used", async () => {
    const [asha, ben] = [await register(local), await register(local, "Ben")]
    const cookie = `cookie: lamplight_session=${asha.token}; lamplight_session=${ben.token}`
    for (const one of [asha, ben]) {
      const answer = await raw(local, SESSION, [cookie, `x-user-id: ${one.user.id}`])
      assert.equal(answer.body.user?.id, one.user.id)
    }
  })

  test("F10 the cookie is Secure behind several proxies", async () => {
    const signUp = async (proto) => {
      const body = { username: somebody("x").slice(0, 32), password: "a lamp in the window" }
      const headers = { "x-forwarded-proto": proto, "x-forwarded-for": "[2001:db8::1]:5" }
      return (await post(nodeOf(local), "/api/auth/register", body, { headers })).headers.get("set-cookie")
    }
    for (const proto of ["https,http", "HTTPS", "https , https"])
      assert.match(await signUp(proto), /; Secure/)
    for (const proto of ["http", "http,https", ""]) assert.doesNotMatch(await signUp(proto), /; Secure/)
  })
})

describe("tokens", { concurrency: 4 }, () => {
  test("F5 white space around a token is ignored, on either wire", async (t) => {
    const asha = await register(local)
    const me = somebody("a")
    for (const [server, held, id] of [
      [local, asha.token, asha.user.id],
      [jwt, token(me), me],
    ]) {
      const { connect } = crowd(t, server)
      for (const around of [`${held}\n`, `\r\n ${held}\t`, `\ufeff${held}`]) {
        const client = await connect({ auth: { token: around } })
        await client.must("join_user", id)
        await client.must("authenticate", { token: around })
      }
      assert.equal((await get(server, CHATS, { headers: { authorization: `Bearer  ${held} ` } })).status, 200)
    }
  })

  test("F5 white space inside a token is reported, on either wire", async (t) => {
    for (const server of [local, jwt]) {
      const { connect } = crowd(t, server)
      const broken = "eyJhbGciOiJIUzI1NiJ9. e30.c2lnbmF0dXJl"
      const http = await get(server, CHATS, { token: broken })
      const refused = await connect({ auth: { token: broken.replace(" ", "\n") } }).catch((error) => error)
      for (const refusal of [http.body, refused.data]) {
        assert.equal(refusal.code, "unauthenticated")
        assert.match(refusal.error, /inside/)
      }
    }
  })
})
