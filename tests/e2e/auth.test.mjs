// Authentication: open, local accounts, the host application's tokens; cookies and other sites' pages.
import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import WebSocket from "ws"
import { seconds, token } from "./support/jwt.mjs"
import { conversationOf, crowd, get, post, put, register, request, somebody } from "./support/person.mjs"
import { JWT, LOCAL, NODES, nodeOf, OPEN, SERVER_KEY, serve } from "./support/server.mjs"
import { PATIENCE_MS, until, within } from "./support/wait.mjs"

const open = await serve({ after }, { ...OPEN, SERVER_KEY })
const local = await serve({ after }, { ...LOCAL, SERVER_KEY, ALLOWED_ORIGINS: "https://app.example" })
const jwt = await serve(
  { after },
  { ...JWT, SERVER_KEY, JWT_ISSUER: "https://host.example", JWT_AUDIENCE: "chat" },
)
const good = { iss: "https://host.example", aud: "chat" }

const CHATS = "/api/privatechat/conversations"

/** The refusal with which a connection is turned away. */
async function turnedAway(connecting) {
  const error = await connecting.then(
    () => assert.fail("it connected"),
    (error) => error,
  )
  return { ...error.data, message: error.message }
}

describe("GET /api/auth", () => {
  const ask = (server, options) => get(server, "/api/auth", options)

  test("returns the AUTH mode and no user without a session, which is not an error", async () => {
    for (const [server, auth] of [
      [open, "open"],
      [jwt, "jwt"],
    ]) {
      for (const options of [{}, { token: await token(good) }, { token: "nonsense" }]) {
        const answer = await ask(server, options)
        assert.equal(answer.status, 200)
        assert.deepEqual(answer.body, { success: true, auth, user: null })
      }
    }
    const nobody = { success: true, auth: "local", registration: "open", user: null }
    for (const options of [{}, { token: "nonsense" }, { headers: { cookie: "lamplight=nonsense" } }]) {
      const answer = await ask(local, options)
      assert.equal(answer.status, 200)
      assert.deepEqual(answer.body, nobody)
      assert.equal(answer.headers.get("www-authenticate"), null)
    }
  })

  test("returns the signed-in user, only with the cookie, until the sign-out", async () => {
    const asha = await register(local)
    const signedIn = { success: true, auth: "local", registration: "open", user: asha.user }
    assert.deepEqual((await ask(local, { token: asha.token })).body, signedIn)
    const other = { token: asha.token, headers: { "x-user-id": "somebody-else" } }
    assert.equal((await ask(local, other)).body.user, null)
    const foreign = await ask(local, { token: asha.token, headers: { origin: "https://evil.example" } })
    assert.equal(foreign.status, 403)
    await post(local, "/api/auth/logout", {}, { token: asha.token })
    assert.equal((await ask(local, { token: asha.token })).body.user, null)
  })
})

describe("AUTH=open", { concurrency: 4 }, () => {
  test("requests before join_user are unauthenticated, and a socket belongs to one user", async (t) => {
    const { connect } = crowd(t, open)
    const client = await connect()
    const payloads = {
      user_activity: [],
      set_status: [{ status: "busy" }],
      set_activity: [{ activity: null }],
      watch_presence: [{ userIds: ["a"] }],
      unwatch_presence: [{ userIds: ["a"] }],
      join_conversation: ["1"],
      leave_conversation: ["1"],
      send_private_message: [{ conversationId: "1", content: "x" }],
      typing: [{ conversationId: "1", isTyping: true }],
      mark_read: [{ conversationId: "1", seq: 1 }],
      sync: [{ conversations: {} }],
    }
    for (const [name, args] of Object.entries(payloads)) {
      const answer = await client.ask(name, ...args)
      assert.equal(answer.code, "unauthenticated", name)
      assert.deepEqual(Object.keys(answer).sort(), ["code", "error", "retryable", "success"])
      assert.match(answer.error, /^[A-Z].*\.$/)
      assert.match(answer.error, /join_user/, "what helps: nobody can sign in here")
      // A caller without permission does not learn of other errors in the request.
      assert.equal((await client.ask(name, ["nonsense"])).code, "unauthenticated", name)
    }
    for (const name of ["authenticate", "no_such_event"])
      assert.equal((await client.ask(name, { token: "x" })).code, "unauthenticated", name)
    const a = somebody("a")
    const joined = await client.must("join_user", { userId: a, name: "Asha" })
    assert.equal(joined.sessionId, client.id)
    assert.equal(joined.roster, "full")
    assert.deepEqual(joined.user, { id: a, name: "Asha", avatarUrl: null })
    assert.equal((await client.ask("join_user", somebody("b"))).code, "conflict")
    await client.must("join_user", a)
    await client.must("user_activity", a)
    assert.equal((await client.ask("authenticate", { token: "x" })).code, "invalid")
  })

  test("a refusal is sent as error_message if no acknowledgement was requested", async (t) => {
    const { connect } = crowd(t, open)
    const client = await connect()
    client.socket.emit("send_private_message", { conversationId: "1", content: "x" })
    const refusal = await client.sees("error_message")
    assert.equal(refusal.code, "unauthenticated")
    assert.equal(refusal.success, false)
    client.socket.emit("join_user", somebody("a"))
    client.socket.emit("no_such_event", 1, 2, 3)
    await client.sees("error_message", (data) => data.code === "invalid")
    client.socket.emit("send_private_message", { conversationId: "1", content: "x" })
    await client.sees("error_message", (data) => data.code === "not_found")
  })

  test("over HTTP the user is taken from the header, then from the body", async () => {
    const [a, b, c] = ["a", "b", "c"].map(somebody)
    const id = await conversationOf(open, a, b)
    const body = { conversationId: id, content: "x" }
    const send = (more, options) => post(open, "/api/privatechat/message", { ...body, ...more }, options)
    const nameless = await send({})
    assert.equal(nameless.status, 401)
    // There is no sign-in here, so the error does not suggest one.
    for (const way of ["X-User-Id", "?userId="]) assert.ok(nameless.body.error.includes(way), nameless.text)
    assert.ok(!/sign in/i.test(nameless.body.error), nameless.text)
    assert.equal((await get(open, `${CHATS}?userId=${a}`)).status, 200)
    assert.equal((await send({ senderId: a })).body.message.senderId, a)
    assert.equal((await send({ userId: a })).body.message.senderId, a)
    assert.equal((await send({ senderId: b, userId: c }, {})).body.message.senderId, b)
    assert.equal((await send({ senderId: c }, { as: a })).body.message.senderId, a, "the header counts first")
    assert.equal((await send({ senderId: c })).body.code, "not_found")
    assert.equal((await send({}, { as: "" })).status, 400)
    assert.equal((await get(open, "/api/online-users")).status, 200, "asked by nobody")
    assert.equal((await get(open, CHATS)).status, 401)
    assert.equal((await get(open, "/api/users")).status, 401)
    assert.equal((await post(open, `${CHATS}/${id}/read`, { seq: 1, userId: b })).status, 200)
  })

  test("a name stays when another tab sends none, and can be changed", async (t) => {
    const { join } = crowd(t, open)
    const a = somebody("a")
    const watcher = await join(somebody("w"), { roster: "full" })
    await join(a, { name: "Asha" })
    await watcher.knows(a, (one) => one.user?.name === "Asha")
    const bare = await join(a)
    assert.equal(bare.joined.user.name, "Asha")
    await conversationOf(open, somebody("b"), a)
    assert.equal((await join(a)).joined.user.name, "Asha")
    await join(a, { name: "Asha B." })
    await watcher.knows(a, (one) => one.user?.name === "Asha B.")
  })

  test("h11: the host application closes a user's sockets, who may come back", async (t) => {
    const { join } = crowd(t, open)
    const [a, b] = ["a", "b"].map(somebody)
    const [client, other] = [await join(a), await join(b, { roster: "diff" })]
    await other.seesOnline(a)
    const signOut = (id) => request(open, "POST", `/api/users/${id}/sign-out`, { token: SERVER_KEY })
    assert.equal((await signOut(somebody("unknown"))).status, 404)
    assert.deepEqual((await signOut(a)).body, { success: true })
    await client.sees("(disconnect)", (why) => why === "io server disconnect")
    await other.seesOffline(a)
    await join(a)
    await other.seesOnline(a)
  })

  test("account routes answer 404", async () => {
    for (const [method, path] of [
      ["POST", "/api/auth/register"],
      ["POST", "/api/auth/login"],
      ["POST", "/api/auth/logout"],
      ["GET", "/api/auth/session"],
      ["PATCH", "/api/account"],
    ]) {
      const body = method === "GET" ? undefined : { username: "asha", password: "long enough" }
      const answer = await request(open, method, path, { body })
      assert.equal(answer.status, 404, path)
      assert.equal(answer.body.code, "not_found")
      assert.match(answer.body.error, /^This server has no accounts/, path)
    }
    // Whatever is sent there, and by which method.
    for (const server of [open, jwt]) {
      for (const [method, options] of [
        ["POST", { body: "{bad", headers: { "content-type": "application/json" } }],
        ["POST", { body: "text", headers: { "content-type": "text/plain" } }],
        ["POST", {}],
        ["DELETE", {}],
        ["GET", {}],
      ]) {
        const answer = await fetch(`${server.url}/api/auth/login`, { method, ...options })
        assert.equal(answer.status, 404, `${method} ${options.body}`)
        assert.equal((await answer.json()).code, "not_found")
      }
    }
  })
})

describe("AUTH=local", { concurrency: 4 }, () => {
  test("missing authentication is reported before any other error", async () => {
    for (const [method, path, body] of [
      ["POST", "/api/privatechat/message", "{bad"],
      ["POST", CHATS, "[]"],
      ["PUT", "/api/users/5", "{bad"],
      ["GET", `${CHATS}?limit=abc`],
    ]) {
      const answer = await fetch(local.url + path, {
        method,
        body,
        headers: { "content-type": "application/json" },
      })
      assert.equal(answer.status, 401, path)
      assert.equal((await answer.json()).code, "unauthenticated")
    }
  })

  test("signing out needs no body", async () => {
    const asha = await register(local)
    const headers = { authorization: `Bearer ${asha.token}` }
    const out = await fetch(`${local.url}/api/auth/logout`, { method: "POST", headers })
    assert.equal(out.status, 200)
    assert.equal((await fetch(`${local.url}/api/auth/session`, { headers })).status, 401)
  })

  test("a request of one user's page is refused after another user has signed in", async () => {
    const [asha, ben] = [await register(local), await register(local)]
    const made = await post(local, "/api/auth/login", { username: ben.username, password: ben.password })
    const cookie = made.headers.get("set-cookie").split(";")[0]
    for (const proof of [{ cookie }, { authorization: `Bearer ${ben.token}` }]) {
      const as = (id) => ({ headers: { ...proof, "x-user-id": id } })
      assert.equal((await get(local, "/api/privatechat/conversations", as(ben.user.id))).status, 200)
      for (const id of [asha.user.id, "nobody", " "]) {
        assert.equal((await get(local, "/api/privatechat/conversations", as(id))).status, 401, id)
      }
      const refused = await post(local, "/api/auth/logout", {}, as(asha.user.id))
      assert.equal(refused.status, 401)
      assert.equal(refused.headers.get("set-cookie"), null, "it is not theirs to take away")
      assert.equal((await get(local, "/api/auth/session", { headers: proof })).status, 200)
    }
  })

  test("register, sign in, who am I, sign out; the cookie is HttpOnly and SameSite=Lax", async () => {
    const asha = await register(local)
    const made = await post(local, "/api/auth/login", { username: asha.username, password: asha.password })
    assert.equal(made.status, 200)
    assert.equal(made.body.user.id, asha.user.id)
    assert.notEqual(made.body.token, asha.token)
    const cookie = made.headers.get("set-cookie")
    assert.match(cookie, /; HttpOnly/i)
    assert.match(cookie, /; SameSite=Lax/i)
    assert.match(cookie, /; Path=\//i)
    const headers = { cookie: cookie.split(";")[0] }
    assert.equal((await get(local, "/api/auth/session", { headers })).body.user.id, asha.user.id)
    assert.equal((await get(local, "/api/auth/session", { token: made.body.token })).status, 200)
    assert.equal((await get(local, "/api/auth/session")).status, 401)
    assert.equal((await post(local, "/api/auth/logout", {}, { headers })).status, 200)
    assert.equal((await get(local, "/api/auth/session", { headers })).status, 401)
    assert.equal(
      (await get(local, "/api/auth/session", { token: asha.token })).status,
      200,
      "the other one stays",
    )
    for (const [username, password] of [
      [asha.username, "wrong password"],
      ["nobody-by-this-name", asha.password],
      [asha.username.toUpperCase(), "x"],
      ["", ""],
    ]) {
      const wrong = await post(local, "/api/auth/login", { username, password })
      assert.equal(wrong.status, 401)
      assert.equal(wrong.body.error, "The user name or the password is wrong.")
    }
    const again = await post(local, "/api/auth/register", {
      username: asha.username,
      password: "long enough",
    })
    assert.equal(again.body.code, "conflict")
    for (const bad of [
      { username: "x", password: "long enough" },
      { username: "asha b", password: "long enough" },
      { username: "<b>", password: "long enough" },
      { username: "someone", password: "short" },
      { username: "someone", password: "x".repeat(257) },
      { username: "someone" },
      { username: "someone", password: "long enough", name: "x".repeat(201) },
    ]) {
      assert.equal((await post(local, "/api/auth/register", bad)).body.code, "invalid", JSON.stringify(bad))
    }
  })

  test("a socket needs a token, which may come in auth, the header or the cookie", async (t) => {
    const { connect } = crowd(t, local)
    const asha = await register(local)
    for (const options of [
      { auth: { token: asha.token } },
      { extraHeaders: { authorization: `Bearer ${asha.token}` } },
      { extraHeaders: { cookie: `other=1; lamplight_session=${asha.token}` } },
      { extraHeaders: { cookie: `lamplight_session=${asha.token}` }, transports: ["polling"] },
    ]) {
      const client = await connect(options)
      assert.equal((await client.must("join_user", asha.user.id)).user.id, asha.user.id)
      client.close()
    }
    for (const options of [{}, { auth: { token: "x".repeat(43) } }, { auth: { token: "" } }]) {
      const refusal = await turnedAway(connect(options))
      assert.equal(refusal.code, "unauthenticated")
      assert.ok(refusal.error)
    }
    for (const options of [{ auth: { token: 5 } }, { auth: { token: { a: 1 } } }]) {
      assert.equal((await turnedAway(connect(options))).code, "invalid")
    }
    const client = await connect({ auth: { token: asha.token } })
    assert.equal((await client.ask("join_user", "somebody-else")).code, "forbidden")
    const key = await turnedAway(connect({ auth: { token: SERVER_KEY } }))
    assert.ok(["forbidden", "unauthenticated"].includes(key.code))
  })

  test("with a token, the user's own events arrive from the connect on, before join_user", async (t) => {
    const { connect, enter } = crowd(t, local)
    const [asha, ben] = [await register(local), await register(local, "Ben")]
    const early = await connect({ auth: { token: ben.token } })
    const sender = await enter(asha)
    const made = await post(local, CHATS, { userId: ben.user.id }, { token: asha.token })
    await sender.send(made.body.conversation.id, "early")
    await early.sees("new_private_message")
    const online = await get(local, `/api/online-users?excludeUserId=${asha.user.id}`, { token: asha.token })
    assert.ok(!online.text.includes(ben.user.id), "announced without join_user")
    await early.must("sync", { conversations: {} })
  })

  test("signing out is announced at once, and ends this session's sockets only", async (t) => {
    // Long enough not to be mistaken for "at once" on any machine.
    const server = await serve(t, { ...LOCAL, PRESENCE_GRACE: "60s" })
    const { enter } = crowd(t, server)
    const [asha, ben] = [await register(server), await register(server, "Ben")]
    const watcher = await enter(asha, { roster: "full" })
    const tab = await enter(ben)
    const second = await post(server, "/api/auth/login", { username: ben.username, password: ben.password })
    const phone = await enter({ ...ben, token: second.body.token })
    await watcher.seesOnline(ben.user.id)
    await post(server, "/api/auth/logout", {}, { token: ben.token })
    await tab.sees("(disconnect)", (reason) => reason === "io server disconnect")
    const since = watcher.mark()
    assert.ok(phone.socket.connected)
    await phone.must("user_activity")
    assert.deepEqual(
      watcher.all("user_offline", since).filter((data) => data.userId === ben.user.id),
      [],
    )
    const began = performance.now()
    await post(server, "/api/auth/logout", {}, { token: second.body.token })
    const gone = await watcher.sees("user_offline", (data) => data.userId === ben.user.id)
    const took = performance.now() - began
    t.diagnostic(`signing out was seen after ${took.toFixed(0)} ms`)
    assert.equal(gone.reason, "signed_out")
    assert.ok(took < 30_000, `${took} ms: announced at once, without the grace of a minute`)
  })

  test("h11: the operator signs an account out by the server key", async (t) => {
    const { enter } = crowd(t, local)
    const [asha, ben] = [await register(local), await register(local, "Ben")]
    const second = await post(local, "/api/auth/login", { username: asha.username, password: asha.password })
    const phone = { ...asha, token: second.body.token }
    const sockets = [await enter(asha), await enter(phone)]
    const other = await enter(ben)
    const signOut = (id, held) => request(local, "POST", `/api/users/${id}/sign-out`, { token: held })
    assert.equal((await signOut(asha.user.id, ben.token)).status, 403)
    assert.equal((await signOut("nobody", SERVER_KEY)).status, 404)
    for (let n = 0; n < 2; n++)
      assert.deepEqual((await signOut(asha.user.id, SERVER_KEY)).body, { success: true })
    for (const socket of sockets) await socket.sees("(disconnect)", (why) => why === "io server disconnect")
    for (const { token } of [asha, phone])
      assert.equal((await get(local, "/api/auth/session", { token })).status, 401)
    await other.must("user_activity")
    assert.equal((await post(local, "/api/auth/login", asha)).status, 200)
  })

  test("join_user cannot change the user; a fresh session of the same user keeps the socket", async (t) => {
    const { connect } = crowd(t, local)
    const asha = await register(local)
    const client = await connect({ auth: { token: asha.token } })
    const joined = await client.must("join_user", {
      userId: asha.user.id,
      name: "The administrator",
      avatarUrl: "https://evil.example/a.png",
    })
    assert.deepEqual(joined.user, asha.user)
    const fresh = await post(local, "/api/auth/login", { username: asha.username, password: asha.password })
    const renewed = await client.must("authenticate", { token: fresh.body.token })
    assert.ok(Date.parse(renewed.expiresAt) > Date.now())
    // The socket now belongs to the fresh session: the end of that session closes it, and the end of the old one does not.
    await post(local, "/api/auth/logout", {}, { token: asha.token })
    await client.must("user_activity")
    await post(local, "/api/auth/logout", {}, { token: fresh.body.token })
    await client.sees("(disconnect)", (reason) => reason === "io server disconnect")
  })

  test("h2: checks of a valid token count against its user's read limit", async (t) => {
    // Few enough that no machine is too slow to reach the limit.
    const [limit, asked] = [20, 200]
    const strict = { LIMIT_READS: String(limit) }
    const [locals, tokens] = [await serve(t, { ...LOCAL, ...strict }), await serve(t, { ...JWT, ...strict })]
    for (const [server, fresh] of [
      [locals, (await register(locals)).token],
      [tokens, token(somebody())],
    ]) {
      const client = await crowd(t, server).connect({ auth: { token: fresh } })
      const answers = await Promise.all(
        Array.from({ length: asked }, () => client.ask("authenticate", { token: fresh })),
      )
      const refused = answers.filter((answer) => answer.code === "rate_limited")
      assert.ok(refused.length > 0 && refused.every((answer) => answer.retryAfterMs > 0), `${refused.length}`)
      assert.equal(answers.filter((answer) => answer.success).length + refused.length, asked)
    }
  })

  test("h2: repeated connects on one connection are slowed down", async (t) => {
    const strict = await serve(t, { ...LOCAL, LIMIT_READS: "20" })
    const { token: fresh } = await register(strict)
    const socket = new WebSocket(`ws://127.0.0.1:${strict.port}/api/socketio/?EIO=4&transport=websocket`)
    t.after(() => socket.terminate())
    let connected = 0
    const began = performance.now()
    await new Promise((resolve, reject) => {
      const connect = () => socket.send(`40${JSON.stringify({ token: fresh })}`)
      socket.on("message", (data) => {
        const text = String(data)
        if (text.startsWith("0")) connect()
        else if (text.startsWith("44")) reject(new Error(text))
        else if (text.startsWith("40")) {
          if (++connected === 45) return resolve()
          socket.send("41")
          connect()
        }
      })
      socket.on("close", () => reject(new Error("closed")))
    })
    const took = performance.now() - began
    assert.ok(took > 1_000, `${took} ms`)
  })

  test("if a trusted proxy reports TLS, the cookie is Secure and has the __Host- prefix", async (t) => {
    const proxied = nodeOf(await serve(t, { ...LOCAL, TRUSTED_PROXIES: "127.0.0.1" }))
    const tls = { "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.5" }
    const signUp = async (server) => {
      const body = { username: somebody("x").slice(0, 32), password: "a lamp in the window" }
      const answer = await post(server, "/api/auth/register", body, { headers: tls })
      return { ...answer.body, cookies: answer.headers.getSetCookie() }
    }
    const asha = await signUp(proxied)
    assert.equal(asha.cookies.length, 1)
    assert.match(asha.cookies[0], /^__Host-lamplight_session=[^;]+; Path=\/; HttpOnly; .*; Secure$/)
    const plain = await signUp(local)
    assert.match(plain.cookies[0], /^lamplight_session=/)
    assert.doesNotMatch(plain.cookies[0], /; Secure/)

    // A cookie that a neighbouring subdomain has set as well.
    const ben = await signUp(proxied)
    const whoIs = async (cookie) =>
      (await get(proxied, "/api/auth/session", { headers: { ...tls, cookie } })).body.user?.id
    const own = asha.cookies[0].split(";")[0]
    assert.equal(await whoIs(`lamplight_session=${ben.token}; ${own}`), asha.user.id)
    assert.equal(await whoIs(`lamplight_session=${ben.token}; __Host-lamplight_session=over`), undefined)
    const client = await crowd(t, proxied).connect({
      extraHeaders: { ...tls, cookie: `lamplight_session=${ben.token}; ${own}` },
    })
    assert.equal((await client.must("join_user", {})).user.id, asha.user.id)

    const out = await post(proxied, "/api/auth/logout", {}, { headers: { ...tls, cookie: own } })
    const cleared = out.headers.getSetCookie()
    assert.deepEqual(
      cleared.map((one) => one.split(";")[0]),
      ["__Host-lamplight_session=", "lamplight_session="],
    )
    for (const one of cleared) assert.match(one, /; Max-Age=0/)
    assert.equal(await whoIs(own), undefined)
  })

  test("a conversation with an unknown user is refused", async () => {
    const asha = await register(local)
    const answer = await post(local, CHATS, { userId: "nobody" }, { token: asha.token })
    assert.equal(answer.status, 404)
    assert.equal(answer.body.code, "not_found")
  })

  test("password guesses are limited by account, ignoring case, and by address", async (t) => {
    const strict = await serve(t, { ...LOCAL, LIMIT_LOGINS: "4" })
    const asha = await register(strict)
    const guess = (username) => post(strict, "/api/auth/login", { username, password: "a wrong guess" })
    let admitted = 0
    const began = performance.now()
    const refused = async (username) => {
      for (;;) {
        const answer = await guess(username)
        if (answer.status !== 401) return answer
        admitted += 1
        const minutes = (performance.now() - began) / 60_000
        assert.ok(admitted <= (5 + 4 * minutes) * NODES, `${admitted} guesses were looked at`)
      }
    }
    assert.equal((await refused(asha.username)).status, 429)
    assert.ok(admitted >= 4, String(admitted))
    const upper = await refused(asha.username.toUpperCase())
    assert.equal(upper.body.code, "rate_limited", "case is no way round")
    assert.ok(upper.body.retryAfterMs > 0 && upper.body.retryAfterMs <= 60_000 * NODES)
    // And by address, three times that.
    const more = []
    for (let n = 0; n < 12 * NODES; n++) more.push((await guess(`other-${n}`)).status)
    assert.ok(more.includes(429), String(more))
  })

  test("the directory finds users by name, in pages", async () => {
    const name = somebody("Zoë")
    const people = [await register(local, name), await register(local, name), await register(local, name)]
    const { token } = people[0]
    const found = []
    let query = `?query=${encodeURIComponent(name)}&limit=2`
    for (;;) {
      const { body } = await get(local, `/api/users${query}`, { token })
      found.push(...body.data)
      if (!body.nextCursor) break
      query = `?query=${encodeURIComponent(name)}&limit=2&cursor=${encodeURIComponent(body.nextCursor)}`
    }
    assert.deepEqual(found.map((one) => one.id).sort(), people.map((one) => one.user.id).sort())
    // Others find users by their user names, whatever their display names are.
    const { username } = people[1]
    const byUserName = await get(local, `/api/users?query=${encodeURIComponent(username.toUpperCase())}`, {
      token,
    })
    assert.deepEqual(
      byUserName.body.data.map((one) => one.id),
      [people[1].user.id],
    )
    assert.deepEqual(Object.keys(found[0]).sort(), ["avatarUrl", "id", "name"])
    for (const query of ["%", "_", "%25%25", "'", '"', "\\"]) {
      const { status, body } = await get(local, `/api/users?query=${encodeURIComponent(query)}`, { token })
      assert.equal(status, 200, query)
      assert.deepEqual(body.data, [], `${query} is taken for a pattern`)
    }
  })
})

describe("AUTH=jwt", { concurrency: 4 }, () => {
  test("a token's claims identify the user and fill the profile; HTTP accepts it too", async (t) => {
    const { connect } = crowd(t, jwt)
    const a = somebody("a")
    const picture = "https://example.org/a.png"
    const held = token(a, { ...good, name: "Asha", picture })
    const client = await connect({ auth: { token: held } })
    const joined = await client.must("join_user", a)
    assert.deepEqual(joined.user, { id: a, name: "Asha", avatarUrl: picture })
    assert.equal((await client.ask("join_user", "else")).code, "forbidden")
    assert.equal((await get(jwt, CHATS, { token: held })).status, 200)
    assert.equal((await get(jwt, CHATS)).status, 401)
    assert.equal((await get(jwt, "/api/online-users")).status, 401)
    assert.equal((await get(jwt, CHATS, { as: a })).status, 401, "X-User-Id is no proof")
    assert.equal((await get(jwt, "/api/auth/session", { token: held })).status, 404)
  })

  test("invalid tokens are refused on both wires with an explanation", async (t) => {
    const roomy = await serve(t, {
      ...JWT,
      LIMIT_LOGINS: "0",
      JWT_ISSUER: "https://host.example",
      JWT_AUDIENCE: "chat",
    })
    const { connect } = crowd(t, roomy)
    const fine = token("u", good)
    const [head, body, signature] = fine.split(".")
    const forged = Buffer.from(JSON.stringify({ sub: "admin", ...good, exp: seconds() + 99 })).toString(
      "base64url",
    )
    const bad = {
      expired: token("u", { ...good, exp: seconds() - 120 }),
      "other secret": token("u", good, { secret: "x".repeat(32) }),
      none: token("u", good, { alg: "none" }),
      "other algorithm": token("u", good, { alg: "HS512" }),
      "other issuer": token("u", { ...good, iss: "https://evil.example" }),
      "other audience": token("u", { ...good, aud: "mail" }),
      "no audience": token("u", { iss: good.iss }),
      "not yet": token("u", { ...good, nbf: seconds() + 600 }),
      "no sub": token(undefined, good),
      "empty sub": token("", good),
      "long sub": token("x".repeat(129), good),
      "no exp": token("u", { ...good, exp: undefined }),
      "exp a string": token("u", { ...good, exp: "never" }),
      forged: `${head}.${forged}.${signature}`,
      cut: `${head}.${body}`,
      "no token": "hello",
      dots: "..",
      huge: `${head}.${"A".repeat(20_000)}.${signature}`,
    }
    for (const [why, held] of Object.entries(bad)) {
      const http = await get(roomy, CHATS, { token: held })
      assert.equal(http.status, 401, `${why}: ${http.text}`)
      assert.equal(http.body.code, "unauthenticated", why)
      assert.match(http.body.error, /^[A-Z].*\.( \([\w-]+\))?$/, why)
      const refusal = await turnedAway(connect({ auth: { token: held } }))
      assert.equal(refusal.code, "unauthenticated", why)
    }
    assert.equal((await get(roomy, CHATS, { token: fine })).status, 200)
    const list = token("u", { ...good, aud: ["mail", "chat"] })
    assert.equal((await get(roomy, CHATS, { token: list })).status, 200)
  })

  test("token attempts are limited by address", async (t) => {
    const strict = await serve(t, { ...JWT, LIMIT_LOGINS: "2" })
    const codes = []
    for (let n = 0; n < 10 * NODES; n++)
      codes.push((await get(strict, CHATS, { token: `guess-${n}` })).status)
    assert.equal(codes[0], 401)
    assert.equal(codes.at(-1), 429)
    assert.equal((await get(strict, CHATS, { token: token("u") })).status, 200, "a good one passes still")
  })

  test("token_expired is sent, and a fresh token for the same user keeps the socket", async (t) => {
    const { connect } = crowd(t, jwt)
    const a = somebody("a")
    const client = await connect({ auth: { token: token(a, { ...good, exp: seconds() + 4 }) } })
    await client.must("join_user", a)
    const expiry = await client.sees("token_expired")
    assert.deepEqual(expiry, { graceMs: 30_000 })
    const other = await client.ask("authenticate", { token: token("else", good) })
    assert.equal(other.code, "forbidden")
    assert.equal((await client.ask("authenticate", { token: "x" })).code, "unauthenticated")
    assert.equal((await client.ask("authenticate", {})).code, "invalid")
    const exp = seconds() + 3_600
    const fresh = await client.must("authenticate", { token: token(a, { ...good, exp }) })
    assert.equal(fresh.expiresAt, new Date(exp * 1_000).toISOString())
    await client.must("user_activity")
  })

  test("h11: the host application signs a user out: sockets close, and tokens until then are refused", async (t) => {
    // So long that nobody takes its end for "at once", however busy the machine is.
    const server = await serve(t, { ...JWT, SERVER_KEY, PRESENCE_GRACE: "60s", LIMIT_LOGINS: "0" })
    const { connect, enter } = crowd(t, server)
    const [a, b] = ["a", "b"].map(somebody)
    const account = (id, claims) => ({ user: { id }, token: token(id, claims) })
    const [asha, ben] = [account(a), account(b)]
    const sockets = [await enter(asha), await enter(asha), await enter(account(a, { iat: undefined }))]
    const watcher = await enter(ben, { roster: "diff" })
    await watcher.seesOnline(a)
    const path = (id) => `/api/users/${encodeURIComponent(id)}/sign-out`
    const signOut = (id, held = SERVER_KEY) => request(server, "POST", path(id), { token: held })
    assert.equal((await signOut(a, asha.token)).status, 403)
    assert.equal((await signOut(a, "x".repeat(40))).status, 401)
    assert.equal((await request(server, "POST", path(a))).status, 401)
    assert.equal((await signOut("x".repeat(129))).body.code, "invalid")
    const since = watcher.mark()
    const out = await signOut(a)
    assert.deepEqual([out.status, out.body], [200, { success: true }])
    for (const socket of sockets) await socket.sees("(disconnect)", (why) => why === "io server disconnect")
    await watcher.seesOffline(a)
    const leaves = watcher
      .all("presence_changes", since)
      .flatMap((batch) => batch.changes)
      .filter((change) => change.userId === a)
    assert.deepEqual(
      leaves.map(({ type, reason }) => [type, reason]),
      [["offline", "signed_out"]],
    )
    await watcher.must("user_activity")

    const isRefused = async () => {
      for (let node = 0; node < NODES; node++) {
        const old = await get(server, CHATS, { token: asha.token })
        assert.equal(old.status, 401)
        assert.match(old.body.error, /was signed out.*\(signed_out\)/)
      }
      assert.equal((await turnedAway(connect({ auth: { token: asha.token } }))).code, "unauthenticated")
      const without = token(a, { iat: undefined })
      assert.match((await get(server, CHATS, { token: without })).body.error, /no iat/)
      assert.equal((await get(server, CHATS, { token: ben.token })).status, 200)
    }
    await isRefused()
    assert.deepEqual((await signOut(a)).body, { success: true }, "again")
    await server.kill()
    await server.start()
    await isRefused()
    // Whole seconds: the next one is after the sign-out, whatever its milliseconds were.
    const again = await enter(account(a, { iat: seconds() + 2 }))
    await again.must("user_activity")

    // Who has not been here yet may have a token too.
    const early = somebody("early")
    assert.equal((await signOut(early)).status, 200)
    assert.equal((await get(server, CHATS, { token: token(early) })).status, 401)
  })

  test("h11: a token that was issued in time does not outlive a sign-out by authenticate", async (t) => {
    const { enter } = crowd(t, jwt)
    const a = somebody("a")
    const account = (claims) => ({ user: { id: a }, token: token(a, { ...good, ...claims }) })
    const client = await enter(account({ iat: seconds() + 20 }))
    const path = `/api/users/${a}/sign-out`
    assert.equal((await request(jwt, "POST", path, { token: SERVER_KEY })).status, 200)
    await client.must("user_activity")
    assert.equal(
      (await client.ask("authenticate", { token: account({ iat: seconds() - 5 }).token })).code,
      "unauthenticated",
    )
    await client.must("authenticate", { token: account({ iat: seconds() + 20 }).token })
  })

  test("a profile written by the host application overrides the token's claims", async (t) => {
    const { connect } = crowd(t, jwt)
    const a = somebody("a")
    const path = `/api/users/${a}`
    const profile = { name: "By the host", avatarUrl: "https://example.org/host.png" }
    assert.equal((await put(jwt, path, profile, { token: token(a, good) })).status, 403)
    assert.equal((await put(jwt, path, profile)).status, 401)
    const written = await put(jwt, path, profile, { token: SERVER_KEY })
    assert.deepEqual(written.body, { success: true, user: { id: a, ...profile } })
    const client = await connect({ auth: { token: token(a, { ...good, name: "By the token" }) } })
    assert.equal((await client.must("join_user", a)).user.name, "By the host")
    const watcher = await connect({ auth: { token: token("w", good) } })
    await watcher.must("join_user", "w")
    await watcher.seesOnline(a)
    await put(jwt, path, { name: "Renamed" }, { token: SERVER_KEY })
    await watcher.knows(a, (one) => one.user?.name === "Renamed")
    for (const bad of [{ name: "" }, { name: " " }, { name: "x", avatarUrl: "javascript:alert(1)" }, {}]) {
      assert.equal((await put(jwt, path, bad, { token: SERVER_KEY })).status, 400, JSON.stringify(bad))
    }
  })

  test("the host application creates conversations under its own ids", async (t) => {
    const { connect } = crowd(t, jwt)
    const [a, b, c] = ["a", "b", "c"].map(somebody)
    const id = somebody("host/conversation ü")
    const path = `${CHATS}/${encodeURIComponent(id)}`
    const asha = await connect({ auth: { token: token(a, good) } })
    assert.equal((await put(jwt, path, { memberIds: [a, b] }, { token: token(a, good) })).status, 403)
    assert.equal((await put(jwt, path, { memberIds: [a, b] })).status, 401)
    const made = await put(jwt, path, { memberIds: [a, b] }, { token: SERVER_KEY })
    assert.equal(made.status, 200, made.text)
    await asha.sees("conversation_updated", (data) => data.id === id)
    assert.equal((await asha.send(id, "hello")).message.seq, 1)
    const ben = await connect({ auth: { token: token(b, good) } })
    assert.equal(
      (await get(jwt, `/api/privatechat/messages/${encodeURIComponent(id)}`, { token: token(b, good) })).body
        .data.length,
      1,
    )
    const before = await get(jwt, `/api/privatechat/messages/${encodeURIComponent(id)}`, {
      token: token(c, good),
    })
    assert.equal(before.status, 404)
    await put(jwt, path, { memberIds: [a, c] }, { token: SERVER_KEY })
    assert.equal(
      (await get(jwt, `/api/privatechat/messages/${encodeURIComponent(id)}`, { token: token(b, good) }))
        .status,
      404,
    )
    await asha.send(id, "without Ben")
    await asha.must("sync", { conversations: {} })
    assert.deepEqual(
      ben.messages().filter((message) => message.content !== "hello"),
      [],
      "M15: nothing past the removal",
    )
    assert.equal((await ben.send(id, "x")).code, "not_found")
    for (const bad of [
      { memberIds: [] },
      { memberIds: "x" },
      {},
      { memberIds: [null] },
      { memberIds: [""] },
    ]) {
      assert.equal((await put(jwt, path, bad, { token: SERVER_KEY })).status, 400, JSON.stringify(bad))
    }
    assert.equal((await post(jwt, CHATS, { userId: a }, { token: SERVER_KEY })).body.success, false)
  })
})

describe("pages of other sites", { concurrency: 4 }, () => {
  /** How a WebSocket handshake ends: "open" or a status. */
  const handshake = (server, headers, path = "/api/socketio/?EIO=4&transport=websocket") =>
    within(
      new Promise((resolve) => {
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, { headers })
        socket.on("open", () => {
          socket.close()
          resolve("open")
        })
        socket.on("unexpected-response", (_, response) => resolve(response.statusCode))
        socket.on("error", () => resolve("error"))
      }),
      PATIENCE_MS,
      "a handshake",
    )
  const poll = (server, headers) => get(server, "/api/socketio/?EIO=4&transport=polling", { headers })

  test("an origin that is not allowed is refused on every transport", async () => {
    for (const server of [open, local, jwt]) {
      for (const origin of [
        "https://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
        "file://",
        "x",
      ]) {
        const headers = { origin }
        assert.equal((await poll(server, headers)).status, 403, origin)
        assert.equal(await handshake(server, headers), 400, origin)
        const http = await get(server, "/api/online-users", { headers })
        assert.equal(http.status, 403)
        assert.equal(http.body.code, "forbidden")
        assert.equal(http.headers.get("access-control-allow-origin"), null)
      }
      const own = { origin: server.url }
      assert.equal((await poll(server, own)).status, 200)
      assert.equal(await handshake(server, own), "open")
      assert.equal(
        (await get(server, "/healthz", { headers: { origin: "https://evil.example" } })).status,
        200,
      )
    }
  })

  test("open also accepts pages of this machine, and no host name that resolves to it", async () => {
    for (const origin of ["http://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:1"]) {
      assert.equal((await get(open, "/api/online-users", { headers: { origin } })).status, 200, origin)
      assert.equal(await handshake(open, { origin }), "open")
      assert.equal((await get(local, "/api/online-users", { headers: { origin } })).status, 403, origin)
    }
    const rebound = { origin: "http://evil.example:3000", host: "evil.example:3000" }
    assert.equal(await handshake(open, rebound), 400)
    assert.equal(await handshake(open, { "sec-fetch-site": "cross-site" }), 400)
    assert.equal(
      (await get(open, "/api/online-users", { headers: { "sec-fetch-site": "cross-site" } })).status,
      403,
    )
  })

  test("a cookie is accepted only from the server's own pages and allowed origins", async () => {
    const asha = await register(local)
    const cookie = `lamplight_session=${asha.token}`
    const status = async (headers) =>
      (await get(local, "/api/auth/session", { headers: { cookie, ...headers } })).status
    assert.equal(await status({}), 200)
    assert.equal(await status({ "sec-fetch-site": "same-origin" }), 200)
    assert.equal(await status({ "sec-fetch-site": "none" }), 200)
    assert.equal(await status({ origin: local.url }), 200)
    assert.equal(await status({ origin: "https://app.example" }), 200)
    assert.equal(await status({ origin: "https://evil.example" }), 403)
    assert.equal(await status({ origin: "null" }), 403)
    assert.equal(await status({ "sec-fetch-site": "cross-site" }), 401)
    // Another site's page that opens a socket with the browser's cookie.
    const write = await post(
      local,
      "/api/auth/logout",
      {},
      { headers: { cookie, origin: "https://evil.example" } },
    )
    assert.equal(write.status, 403)
    assert.equal(await status({}), 200)
    assert.equal(await handshake(local, { cookie, origin: "https://evil.example" }), 400)
    // Without an Origin but from another site: the transport opens, the cookie does not count.
    const socket = new WebSocket(`ws://127.0.0.1:${local.port}/api/socketio/?EIO=4&transport=websocket`, {
      headers: { cookie, "sec-fetch-site": "cross-site" },
    })
    const packets = []
    socket.on("message", (data) => packets.push(String(data)))
    socket.on("open", () => socket.send("40"))
    await until(() => packets.some((text) => text.startsWith("44")))
    socket.close()
  })

  test("writes accept JSON only", async () => {
    const asha = await register(local)
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]) {
      const raw = JSON.stringify({ userId: "x" })
      const answer = await request(local, "POST", CHATS, {
        token: asha.token,
        raw,
        headers: { "content-type": type },
      })
      assert.equal(answer.status, 415, type)
      assert.equal(answer.body.code, "invalid")
    }
    const login = await request(local, "POST", "/api/auth/login", {
      raw: JSON.stringify({ username: asha.username, password: asha.password }),
      headers: { "content-type": "text/plain" },
    })
    assert.equal(login.status, 415)
    assert.equal(login.headers.get("set-cookie"), null)
  })

  test("CORS: a preflight names the origin and never a wildcard", async () => {
    const ask = (server, origin, path) =>
      request(server, "OPTIONS", path, {
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "content-type,authorization",
        },
      })
    for (const path of ["/api/privatechat/message", "/api/socketio/?EIO=4&transport=polling"]) {
      const allowed = await ask(local, "https://app.example", path)
      assert.ok([200, 204].includes(allowed.status), `${path}: ${allowed.status}`)
      assert.equal(allowed.headers.get("access-control-allow-origin"), "https://app.example", path)
      assert.equal(allowed.headers.get("access-control-allow-credentials"), "true", path)
      assert.match(allowed.headers.get("access-control-allow-headers"), /content-type/i, path)
      assert.match(allowed.headers.get("access-control-allow-methods"), /POST/, path)
      assert.match(allowed.headers.get("vary") ?? "", /origin/i, path)
      const refused = await ask(local, "https://evil.example", path)
      assert.equal(refused.headers.get("access-control-allow-origin"), null, path)
      assert.ok(refused.status >= 400, `${path}: ${refused.status}`)
    }
    const answer = await poll(local, { origin: "https://app.example" })
    assert.equal(answer.headers.get("access-control-allow-origin"), "https://app.example")
    assert.equal(answer.headers.get("access-control-allow-credentials"), "true")
  })
})
