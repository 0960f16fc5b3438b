// Concurrent requests, and attacks by other sites' pages.
import assert from "node:assert/strict"
import { request as raw } from "node:http"
import { describe, test } from "node:test"
import { conversationOf, crowd, get, post, register, request } from "./support/person.mjs"
import { LOCAL, nodeOf, OPEN, serve } from "./support/server.mjs"
import { until, within } from "./support/wait.mjs"

/** A GET with headers that `fetch` does not let anyone set. */
const askAs = (server, path, headers) =>
  new Promise((resolve, reject) => {
    const asked = raw({ host: "127.0.0.1", port: nodeOf(server).port, path, headers }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode))
    })
    asked.on("error", reject).end()
  })

describe("a page after DNS rebinding", { concurrency: 4 }, () => {
  test("cannot read any path with AUTH=open", async (t) => {
    const server = await serve(t, OPEN)
    const foreign = { host: `evil.example:${server.port}`, "sec-fetch-site": "same-origin", "x-user-id": "1" }
    const paths = [
      "/api/privatechat/conversations",
      "/api/online-users",
      "/api/socketio/?EIO=4&transport=polling",
    ]
    for (const path of paths) {
      assert.equal(await askAs(server, path, foreign), 403, path)
      assert.equal(await askAs(server, path, { ...foreign, host: `localhost:${server.port}` }), 200, path)
    }
  })

  test("cannot read metrics with any AUTH", async (t) => {
    const server = await serve(t, LOCAL)
    assert.equal(await askAs(server, "/metrics", { host: `evil.example:${server.port}` }), 401)
    assert.equal(await askAs(server, "/metrics", { host: `127.0.0.1:${server.port}` }), 200)
  })
})

describe("one socket's requests", { concurrency: 4 }, () => {
  test("statuses take effect in the order in which they were sent", async (t) => {
    const server = await serve(t, { ...OPEN, LIMIT_SENDS: "0" })
    const { join } = crowd(t, server)
    const ben = await join("ben", { roster: "diff" })
    // Many users with a few changes each: repeated changes of one user are sent every few seconds.
    const users = (count, name) => Array.from({ length: count }, (_, n) => `${name}${n}`)
    const inOrder = users(60, "order").map(async (user) => {
      const one = await join(user, { roster: "none" })
      const words = ["one", "two", "three", "four"]
      await Promise.all(words.map((text) => one.must("set_status", { status: "busy", text })))
      await ben.knows(user, (shown) => shown.text === words.at(-1))
    })
    // Two devices at once: what the store has at the end is what everyone sees.
    const atOnce = users(30, "both").map(async (user) => {
      const [one, other] = [await join(user, { roster: "none" }), await join(user, { roster: "none" })]
      await Promise.all([
        one.must("set_status", { status: "busy", text: "one" }),
        other.must("set_status", { status: "away", text: "two" }),
      ])
      const { status } = await one.must("join_user", { userId: user, roster: "none" })
      await ben.knows(user, (shown) => shown.text === status.text && shown.status === status.status)
    })
    await Promise.all([...inOrder, ...atOnce])
  })

  test("a catch-up is bounded, continues where it stopped, and runs one at a time", async (t) => {
    const server = nodeOf(await serve(t, OPEN))
    const { join } = crowd(t, server)
    const asha = await join("asha")
    const others = Array.from({ length: 6 }, (_, n) => `friend${n}`)
    const ids = await Promise.all(others.map((other) => conversationOf(server, "asha", other)))
    const content = "\u{1F4A1}".repeat(8_000)
    for (const id of ids) {
      await Promise.all(Array.from({ length: 20 }, () => asha.send(id, content)))
    }
    const have = Object.fromEntries(ids.map((id) => [id, 0]))
    let calls = 0
    for (;;) {
      const { conversations } = await asha.must("sync", { conversations: have })
      calls += 1
      const bytes = Buffer.byteLength(JSON.stringify(conversations))
      assert.ok(bytes < 600_000, `${bytes} bytes in one answer`)
      for (const [id, page] of Object.entries(conversations)) {
        assert.equal(page.headSeq, 20)
        for (const entry of page.entries) assert.equal(entry.seq, ++have[id], "no gap")
        assert.equal(page.hasMore, have[id] < 20)
      }
      if (Object.values(have).every((seq) => seq === 20)) break
      assert.ok(calls < 60, "it goes on")
    }
    const before = await server.memory()
    const fresh = Object.fromEntries(ids.map((id) => [id, 0]))
    for (let n = 0; n < 40; n++) asha.socket.emit("sync", { conversations: fresh })
    await asha.must("user_activity")
    const grown = (await server.memory()) - before
    assert.ok(grown < 60e6, `${grown} bytes more for 40 catch-ups at once`)
  })

  test("a catch-up of many short messages is bounded too, with the conversations that were not named", async (t) => {
    const server = await serve(t, OPEN)
    const { join } = crowd(t, server)
    const asha = await join("asha")
    const open = (count, name) =>
      Promise.all(Array.from({ length: count }, (_, n) => conversationOf(server, "asha", `${name}${n}`)))
    const ids = await open(40, "friend")
    for (const id of ids) await Promise.all(Array.from({ length: 100 }, () => asha.send(id, "ok")))
    // Of these, the last messages alone are more than an answer may have.
    const long = await open(30, "writer")
    for (const id of long) await asha.send(id, "\u{1F4A1}".repeat(8_000))

    const have = Object.fromEntries(ids.map((id) => [id, 0]))
    const announced = new Set()
    let left = ids
    for (let calls = 0; left.length; calls++) {
      assert.ok(calls < 20, "it goes on")
      const asked = Object.fromEntries(left.map((id) => [id, have[id]]))
      const answer = await asha.must("sync", { conversations: asked })
      const bytes = Buffer.byteLength(JSON.stringify(answer))
      assert.ok(bytes < 450_000, `${bytes} bytes in one answer`)
      for (const { id } of answer.added) announced.add(id)
      assert.ok(answer.added.length > 0, "some of the others are told each time")
      for (const [id, page] of Object.entries(answer.conversations)) {
        for (const entry of page.entries) assert.equal(entry.seq, ++have[id], "no gap")
        if (!page.hasMore) {
          assert.equal(have[id], 100)
          assert.equal(page.receipts.length, 2)
        }
      }
      left = left.filter((id) => answer.conversations[id].hasMore)
    }
    // A client that names the conversations it received gets the rest.
    const known = [...ids.slice(0, 40)]
    for (let calls = 0; ; calls++) {
      assert.ok(calls < 20, "it comes to an end")
      const answer = await asha.must("sync", {
        conversations: Object.fromEntries(known.map((id) => [id, 100])),
      })
      assert.ok(Buffer.byteLength(JSON.stringify(answer)) < 450_000)
      if (!answer.added.length) break
      for (const { id } of answer.added) known.push(id)
    }
    assert.deepEqual(known.slice(40).sort(), long.sort())
  })

  test("closing one tab does not end the typing in another", async (t) => {
    const server = await serve(t, OPEN)
    const { join } = crowd(t, server)
    const id = await conversationOf(server, "asha", "ben")
    const [one, two, ben] = [await join("asha"), await join("asha"), await join("ben")]
    await one.must("typing", { conversationId: id, isTyping: true })
    await ben.sees("typing", (data) => data.isTyping)
    two.close()
    await until(async () => !(await get(server, "/metrics")).text.includes("lamplight_sockets 3"))
    assert.equal(ben.all("typing").filter((data) => !data.isTyping).length, 0)
    one.close()
    await ben.sees("typing", (data) => !data.isTyping)
  })

  test("watching the same people again counts once", async (t) => {
    const server = await serve(t, { ...OPEN, ROSTER_LIMIT: "10" })
    const { join } = crowd(t, server)
    const asha = await join("asha", { roster: "watch" })
    const eight = Array.from({ length: 8 }, (_, n) => `friend${n}`)
    await asha.must("watch_presence", { userIds: eight })
    const again = await asha.must("watch_presence", { userIds: [...eight, ...eight] })
    assert.equal(again.users.length, 8)
    assert.equal((await asha.ask("watch_presence", { userIds: ["x", "y", "z"] })).code, "too_long")
  })
})

describe("signing out", { concurrency: 4 }, () => {
  test("ends the sockets of the token they run on now, and no others", async (t) => {
    const server = await serve(t, LOCAL)
    const { enter } = crowd(t, server)
    const first = await register(server)
    const { username, password } = first
    const second = (await post(server, "/api/auth/login", { username, password })).body
    const socket = await enter(first)
    await socket.must("authenticate", { token: second.token })
    await post(server, "/api/auth/logout", {}, { token: first.token })
    assert.ok((await socket.ask("user_activity")).success, "it runs on the other token now")
    await post(server, "/api/auth/logout", {}, { token: second.token })
    assert.equal(await socket.sees("(disconnect)"), "io server disconnect")
  })

  test("while another tab connects leaves no socket with the token", async (t) => {
    const server = await serve(t, LOCAL)
    const { connect } = crowd(t, server)
    for (let round = 0; round < 25; round++) {
      const account = await register(server)
      const coming = Promise.allSettled(
        Array.from({ length: 4 }, () => connect({ auth: { token: account.token } })),
      )
      const gone = post(server, "/api/auth/logout", {}, { token: account.token })
      const [connected] = await Promise.all([coming, gone])
      const in_ = connected.filter((one) => one.status === "fulfilled").map((one) => one.value)
      await within(Promise.all(in_.map((client) => client.sees("(disconnect)"))), 30_000, "being closed")
    }
  })
})

test("SIGTERM: received requests are answered before their transport closes", async (t) => {
  const server = await serve(t, OPEN)
  const { join } = crowd(t, server)
  const id = await conversationOf(server, "asha", "ben")
  for (let round = 0; round < 4; round++) {
    const asha = await join("asha")
    const acknowledged = new Set()
    for (let n = 0; n < 60; n++) {
      const clientMessageId = `${round}-${n}`
      asha.socket.emit("send_private_message", { conversationId: id, content: "x", clientMessageId }, () =>
        acknowledged.add(clientMessageId),
      )
    }
    await until(() => acknowledged.size > round, "the first acknowledgements")
    assert.deepEqual(await within(server.stop(), 20_000, "stopping"), { code: 0, signal: null })
    await asha.sees("(disconnect)")
    await server.start()
    const { data } = (await get(server, `/api/privatechat/messages/${id}?limit=200`, { as: "asha" })).body
    const stored = data.filter((one) => one.clientMessageId.startsWith(`${round}-`))
    const silent = stored.filter((one) => !acknowledged.has(one.clientMessageId))
    assert.deepEqual(silent, [], "stored and never answered")
  }
})

test("a query parameter names the reader only with AUTH=open", async (t) => {
  const server = await serve(t, OPEN)
  const id = await conversationOf(server, "asha", "ben")
  assert.equal((await get(server, `/api/privatechat/messages/${id}?userId=asha`)).status, 200)
  assert.equal((await get(server, `/api/privatechat/messages/${id}?userId=carl`)).status, 404)
  assert.equal((await get(server, `/api/privatechat/messages/${id}?userId=carl`, { as: "asha" })).status, 200)
  assert.equal((await get(server, `/api/privatechat/messages/${id}`)).status, 401)
  const closed = await serve(t, LOCAL)
  const asha = await register(closed)
  const conversations = `/api/privatechat/conversations?userId=${asha.user.id}`
  assert.equal((await get(closed, conversations)).status, 401)
})

test("a HEAD is authorized like a GET", async (t) => {
  const server = await serve(t, OPEN)
  assert.equal((await request(server, "HEAD", "/api/online-users")).status, 200)
})
