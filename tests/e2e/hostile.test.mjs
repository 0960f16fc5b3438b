// A hostile client: malformed input, floods, huge numbers, other users' ids. The process survives, its memory stays bounded,
// and other users are not affected.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { connect as tcp } from "node:net"
import { after, afterEach, describe, test } from "node:test"
import WebSocket from "ws"
import { conversationOf, crowd, get, post, request, somebody } from "./support/person.mjs"
import { nodeOf, OPEN, serve } from "./support/server.mjs"
import { PATIENCE_MS, pass, until, within } from "./support/wait.mjs"

const MIB = 1024 * 1024
const server = nodeOf(await serve({ after }, { ...OPEN, LIMIT_SENDS: "0" }))
const PATH = "/api/socketio/?EIO=4&transport="

/** Two users who keep exchanging messages, all of which have to arrive. */
const { join: enter } = crowd({ after }, server)
const bystanders = {
  id: await conversationOf(server, "by-1", "by-2"),
  one: await enter("by-1"),
  two: await enter("by-2"),
}
const began = await server.memory()

afterEach(async () => {
  const content = somebody("still here")
  await within(bystanders.one.send(bystanders.id, content), PATIENCE_MS, "a bystander's send")
  await bystanders.two.sees("new_private_message", (message) => message.content === content)
  assert.equal((await get(server, "/healthz")).status, 200)
  assert.ok(!/panicked/.test(server.log), server.log.slice(-2_000))
})

/** A raw WebSocket that is connected to the namespace. */
async function raw(t, { joinAs } = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}${PATH}websocket`)
  t.after(() => socket.terminate())
  const textFrames = []
  let closed = false
  socket.on("message", (data) => {
    const text = String(data)
    if (text === "2") socket.send("3")
    else textFrames.push(text)
  })
  socket.on("close", () => {
    closed = true
  })
  socket.on("error", () => {})
  await until(() => textFrames.some((text) => text.startsWith("0")))
  socket.send("40")
  await until(() => textFrames.some((text) => text.startsWith("40")))
  if (joinAs) {
    socket.send(`420["join_user",${JSON.stringify({ userId: joinAs, roster: "none" })}]`)
    await until(() => textFrames.some((text) => text.startsWith("430")))
  }
  return { socket, textFrames, isClosed: () => closed }
}

/** The patience for a close on a loaded machine. */
const CLOSES = { wait: PATIENCE_MS, limit: PATIENCE_MS }

/** Bytes over TCP, and what came back until the other side closed or was silent. */
function bytes(parts, { wait = 300, limit = 3_000 } = {}) {
  return new Promise((resolve) => {
    const socket = tcp(server.port, "127.0.0.1")
    let got = ""
    let quiet
    const done = (closed) => {
      clearTimeout(quiet)
      clearTimeout(end)
      socket.destroy()
      resolve({ got, closed })
    }
    const end = setTimeout(() => done(false), limit)
    socket.on("data", (data) => {
      got += data.toString("latin1")
      clearTimeout(quiet)
      quiet = setTimeout(() => done(false), wait)
    })
    socket.on("close", () => done(true))
    socket.on("error", () => {})
    socket.on("connect", async () => {
      for (const part of parts) {
        if (socket.destroyed) return
        if (!socket.write(part))
          await new Promise((resume) => socket.once("drain", resume).once("close", resume))
      }
    })
  })
}

describe("a hostile client", () => {
  test("each malformed event is refused, and the socket stays open", async (t) => {
    const { join } = crowd(t, server)
    const a = somebody("hostile")
    const id = await conversationOf(server, a, somebody("b"))
    const client = await join(a)
    const names = [
      "join_user",
      "user_activity",
      "set_status",
      "set_activity",
      "watch_presence",
      "unwatch_presence",
      "join_conversation",
      "leave_conversation",
      "send_private_message",
      "typing",
      "mark_read",
      "sync",
      "authenticate",
      "__proto__",
      "constructor",
      "new_private_message",
      "\u0000",
      "😀".repeat(500),
      "",
    ]
    let deep = "x"
    for (let n = 0; n < 100; n++) deep = { conversationId: deep }
    const values = [
      null,
      true,
      0,
      -1,
      1.5,
      1e308,
      2 ** 53,
      "",
      " ",
      "\u0000",
      "x".repeat(100_000),
      [],
      [[[[]]]],
      {},
      deep,
      { conversationId: id },
      { conversationId: id, content: null },
      { conversationId: id, content: { toString: "x" } },
      { conversationId: id, content: "x", clientMessageId: "x".repeat(1_000) },
      { conversationId: id, content: "x", clientMessageId: {} },
      { conversationId: [id], content: "x" },
      { conversationId: id, seq: 1e300 },
      { conversationId: id, isTyping: 1 },
      { userIds: Array.from({ length: 5_000 }, (_, n) => n) },
      { userIds: [null] },
      { userIds: "all" },
      { status: "god" },
      { status: "busy", text: "x".repeat(10_000) },
      { status: "busy", text: "\u0000" },
      { status: "busy", until: "tomorrow" },
      { status: "busy", until: "9999999-01-01T00:00:00Z" },
      { status: "busy", until: 5 },
      { activity: { kind: "x".repeat(10_000) } },
      { activity: { kind: "x", label: {} } },
      { conversations: { [id]: 1e300 } },
      { conversations: Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [n, 0])) },
      { token: 5 },
      { userId: a, roster: "everything" },
      { userId: a, name: "\u0000" },
      { userId: a, name: "x".repeat(10_000) },
      { userId: a, avatarUrl: "javascript:alert(1)" },
      { userId: { $ne: null } },
    ]
    const codes = new Map()
    const all = []
    for (const name of names) {
      for (const value of values) {
        all.push(
          client.ask(name, value, "and", ["more"]).then((answer) => {
            const code = answer.success ? "ok" : answer.code
            codes.set(code, (codes.get(code) ?? 0) + 1)
            assert.ok(
              ["ok", "invalid", "not_found", "too_long", "conflict", "empty_message", "forbidden"].includes(
                code,
              ),
              `${name} ${JSON.stringify(value)?.slice(0, 200)}: ${JSON.stringify(answer)}`,
            )
            if (!answer.success) assert.ok(answer.error.length < 600, `${name}: ${answer.error.length}`)
          }),
        )
      }
    }
    await Promise.all(all)
    t.diagnostic(`${all.length} events: ${JSON.stringify(Object.fromEntries(codes))}`)
    assert.equal((await client.send(id, "still works")).success, true)
    assert.deepEqual(client.all("(disconnect)"), [])
  })

  test("malformed packets close the connection or are ignored", async (t) => {
    const packets = [
      "",
      "4",
      "49",
      "9",
      "x",
      "42",
      "42{}",
      "42[]",
      "42[5]",
      "42[null]",
      '42["connect"]',
      '42["disconnect"]',
      '42["connect_error"]',
      '42["newListener"]',
      '42["x"',
      '42["join_user"]]',
      '42/other,["x"]',
      "40/nowhere",
      "41",
      "44{}",
      '4299999999999999999999999["x"]',
      '42-1["x"]',
      "430[]",
      "43999999999999999999999999[1]",
      '451-["x",{"_placeholder":true,"num":0}]',
      '451-["x",{"_placeholder":true,"num":1.5}]',
      '45999999999-["x"]',
      '45-["x"]',
      '450-["x",{"_placeholder":true,"num":7}]',
      `42${"[".repeat(200_000)}`,
      `42["x",${"[".repeat(100_000)}${"]".repeat(100_000)}]`,
      `42["x",${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}]`,
      `42["x",${"9".repeat(100_000)}]`,
      "1",
      "2probe",
      "3probe",
      "5",
      "6",
      "0{}",
      "\ufeff42",
    ]
    await Promise.all(
      packets.map(async (packet) => {
        const { socket, isClosed } = await raw(t)
        socket.send(packet)
        socket.send('421["user_activity"]')
        await pass(300)
        if (!isClosed()) socket.close()
      }),
    )
    // Binary where none belongs, and an attachment that never comes.
    const { socket, textFrames, isClosed } = await raw(t, { joinAs: somebody("h") })
    socket.send('451-1["send_private_message",{"_placeholder":true,"num":0}]')
    socket.send(randomBytes(500))
    await until(() => isClosed() || textFrames.some((text) => text.startsWith("431")))
    const waits = await raw(t, { joinAs: somebody("h") })
    waits.socket.send('452-1["send_private_message",{"_placeholder":true,"num":0}]')
    waits.socket.send('421["user_activity"]')
    await pass(100)
  })

  test("invalid WebSocket frames close only their own connection", async () => {
    const head =
      `GET ${PATH}websocket HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    const masked = (opcode, payload, fin = 0x80) => {
      const data = Buffer.from(payload)
      const length =
        data.length < 126 ? [0x80 | data.length] : [0x80 | 126, data.length >> 8, data.length & 255]
      return Buffer.concat([Buffer.from([fin | opcode, ...length, 0, 0, 0, 0]), data])
    }
    const frames = {
      unmasked: Buffer.from([0x81, 2, 0x34, 0x30]),
      "reserved bits": Buffer.from([0xf1, 0x80, 0, 0, 0, 0]),
      "an unknown opcode": masked(3, "x"),
      "bad UTF-8": masked(1, Buffer.from([0xff, 0xfe, 0xc0])),
      "a long control frame": masked(9, Buffer.alloc(126)),
      "a fragmented control frame": masked(9, "x", 0),
      "a continuation of nothing": masked(0, "x"),
      "a length of 2^63": Buffer.from([0x81, 0xff, 0xff, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]),
      "a length of a gigabyte": Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]),
    }
    for (const [what, frame] of Object.entries(frames)) {
      const { got, closed } = await bytes([head, frame], CLOSES)
      assert.match(got, /^HTTP\/1\.1 101/, what)
      assert.ok(closed, `${what} was taken: ${got.slice(-60)}`)
    }
    // An endless fragmented message, and one of a great many empty fragments.
    const endless = [
      head,
      masked(1, "4", 0),
      ...Array.from({ length: 60 }, () => masked(0, Buffer.alloc(60_000), 0)),
    ]
    assert.ok((await bytes(endless, CLOSES)).closed, "an endless message was taken")
    await bytes([head, masked(1, "4", 0), Buffer.concat(Array(200_000).fill(masked(0, "", 0)))], {
      wait: 500,
    })
  })

  test("polling with unknown or foreign session ids, concurrent polls, wrong versions or huge bodies is refused", async () => {
    const poll = (query, options = {}) =>
      request(server, options.method ?? "GET", `/api/socketio/?${query}`, options)
    for (const query of [
      "",
      "EIO=3&transport=polling",
      "EIO=4",
      "EIO=4&transport=carrier-pigeon",
      "EIO=4&transport=polling&sid=nobody",
      `EIO=4&transport=polling&sid=${"x".repeat(5_000)}`,
      "EIO=4&transport=polling&sid=%00",
      "EIO=4&transport=polling&sid=../../x",
      "EIO=99999999999999999999&transport=polling",
      "%EIO=%zz",
    ]) {
      const answer = await poll(query)
      assert.ok(answer.status >= 400 && answer.status < 500, `${query}: ${answer.status}`)
    }
    for (const method of ["PUT", "DELETE", "PATCH"]) {
      assert.ok((await poll("EIO=4&transport=polling", { method })).status >= 400)
    }
    const open = async () => JSON.parse((await poll("EIO=4&transport=polling")).text.slice(1)).sid
    const sid = await open()
    const session = `EIO=4&transport=polling&sid=${sid}`
    assert.equal((await poll(session, { method: "POST", raw: "40" })).status, 200)
    await poll(session)
    const both = await within(Promise.all([poll(session), poll(session)]), PATIENCE_MS, "two polls at once")
    assert.ok(both.some((answer) => answer.status === 400))
    for (const raw of [
      "",
      "x",
      "4",
      "\u001e",
      "\u001e".repeat(10_000),
      "b!!!!",
      "2",
      `4${"2[".repeat(10_000)}`,
    ]) {
      const other = await open()
      const answer = await poll(`EIO=4&transport=polling&sid=${other}`, { method: "POST", raw })
      assert.ok(
        answer.status === 200 || answer.status === 400,
        `${JSON.stringify(raw.slice(0, 20))}: ${answer.status}`,
      )
    }
    const large = await open()
    const huge = await poll(`EIO=4&transport=polling&sid=${large}`, {
      method: "POST",
      raw: "4".repeat(3 * MIB),
    }).catch(() => ({ status: 413 }))
    assert.ok(huge.status === 413 || huge.status === 400, String(huge.status))
  })

  test("invalid HTTP is refused: hundreds of headers, smuggling, slow heads", async () => {
    const start = `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n`
    const many = await bytes([start, ...Array.from({ length: 500 }, (_, n) => `X-${n}: y\r\n`), "\r\n"])
    assert.match(many.got, /^HTTP\/1\.1 4\d\d/)
    const long = await bytes([`${start}X-Long: ${"x".repeat(200_000)}\r\n\r\n`])
    assert.match(long.got, /^HTTP\/1\.1 4\d\d|^$/)
    const uri = await bytes([`GET /${"x".repeat(100_000)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`])
    assert.match(uri.got, /^HTTP\/1\.1 4\d\d|^$/)
    for (const head of [
      "POST /api/privatechat/message HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
      "POST /api/privatechat/message HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
      "POST /api/privatechat/message HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
      "POST /api/privatechat/message HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "\r\n".repeat(10_000),
      randomBytes(5_000).toString("latin1"),
    ]) {
      const { got } = await bytes([
        Buffer.from(head.replace("Host: 127.0.0.1", `Host: 127.0.0.1:${server.port}`), "latin1"),
      ])
      assert.ok(!/^HTTP\/1\.1 (2|5)/.test(got), `${JSON.stringify(head.slice(0, 60))}: ${got.slice(0, 100)}`)
      assert.ok(!/lamplight_online/.test(got), "smuggled")
    }
    const claims = await post(
      server,
      "/api/privatechat/message",
      { conversationId: "x", content: "x" },
      {
        as: "a",
        headers: {
          "x-http-method-override": "DELETE",
          "x-forwarded-host": "evil",
          "x-original-url": "/metrics",
        },
      },
    )
    assert.equal(claims.status, 404)
  })

  test("other users are served during floods of sends, typing, joins and connections", async (t) => {
    const limited = nodeOf(
      await serve(t, { ...OPEN, LIMIT_SENDS: "20", LIMIT_TYPING: "5", LIMIT_JOINS: "10" }),
    )
    const { join } = crowd(t, limited)
    const id = await conversationOf(limited, "a", "b")
    const quiet = await conversationOf(limited, "c", "d")
    const [flooder, carl, dora] = [await join("a"), await join("c"), await join("d")]
    const memory = await limited.memory()
    const { socket } = flooder
    const waits = []
    const began = performance.now()
    let refused = 0
    socket.on("error_message", () => refused++)
    for (let n = 0; n < 20_000; n++) {
      socket.emit("send_private_message", { conversationId: id, content: "flood" })
      if (n % 4 === 0) socket.emit("typing", { conversationId: id, isTyping: true })
      if (n % 40 === 0) socket.emit("join_user", "a")
      if (n % 5_000 === 0) {
        const began = performance.now()
        await carl.send(quiet, `${n}`)
        waits.push(performance.now() - began)
      }
    }
    await until(() => dora.messages().length === 4)
    // The least of those amid the flood: a loaded machine makes some of them slow, an unfair server all.
    assert.ok(Math.min(...waits.slice(1)) < 2_000, `another user waited ${waits} ms`)
    await until(() => refused > 20_000, "all are refused", 30_000)
    const grown = ((await limited.memory()) - memory) / MIB
    t.diagnostic(`${refused} refused; memory grew by ${grown.toFixed(1)} MiB`)
    assert.ok(grown < 60, `${grown} MiB`)
    const seconds = (performance.now() - began) / 1_000
    const [last] = (await get(limited, `/api/privatechat/messages/${id}?limit=1`, { as: "b" })).body.data
    assert.ok(last.seq <= 20 * (seconds + 2), `${last.seq} were taken in ${seconds} s`)
  })

  test("a client that requests much and reads nothing is disconnected without growing memory", async (t) => {
    const { join } = crowd(t, server)
    const [a, b] = [somebody("a"), somebody("b")]
    const id = await conversationOf(server, a, b)
    const asha = await join(a)
    const deaf = await raw(t, { joinAs: b })
    deaf.socket._socket.pause()
    const before = await server.memory()
    const content = "x".repeat(8_000)
    for (let n = 0; n < 3_000; n++) {
      asha.socket.emit("send_private_message", { conversationId: id, content })
      if (n % 500 === 499) await asha.must("user_activity")
    }
    await asha.send(id, "the last")
    const grown = ((await server.memory()) - before) / MIB
    t.diagnostic(`24 MB unread; memory grew by ${grown.toFixed(1)} MiB`)
    assert.ok(grown < 60, `${grown} MiB`)
    await until(
      async () => !(await get(server, "/api/online-users")).text.includes(`"${b}"`),
      "M12: the deaf one is cut off",
      15_000,
    )
    const { body } = await get(server, `/api/privatechat/messages/${id}?limit=1`, { as: b })
    assert.equal(body.data[0].seq, 3_001, "nothing is skipped for who comes back")
  })

  test("hundreds of large syncs at once use bounded memory", async (t) => {
    const { join } = crowd(t, server)
    const a = somebody("a")
    const id = await conversationOf(server, a, somebody("b"))
    const client = await join(a)
    for (let n = 0; n < 200; n++)
      client.socket.emit("send_private_message", { conversationId: id, content: "x".repeat(2_000) })
    const before = await server.memory()
    // Answers of 80 MB together, which a loaded machine can still give within the patience of one question.
    for (let n = 0; n < 200; n++) client.socket.emit("sync", { conversations: { [id]: 0 } })
    const answer = await client.ask("sync", { conversations: { [id]: 0 } })
    // A limit on sends or on questions may refuse it; what is answered is bounded in bytes.
    const page = answer.conversations?.[id]
    if (page) assert.ok(page.entries.length > 100 && page.hasMore === page.entries.length < 200)
    const grown = ((await server.memory()) - before) / MIB
    t.diagnostic(`memory grew by ${grown.toFixed(1)} MiB`)
    assert.ok(grown < 40, `${grown} MiB`)
  })

  test("hundreds of opened and dropped connections leave nothing behind", async (t) => {
    const before = await server.memory()
    for (let round = 0; round < 10; round++) {
      const sockets = Array.from({ length: 100 }, () => tcp(server.port, "127.0.0.1"))
      for (const [index, socket] of sockets.entries()) {
        socket.on("error", () => {})
        socket.write(
          index % 2 ? `GET ${PATH}websocket HTTP/1.1\r\n` : `GET ${PATH}polling HTTP/1.1\r\nHost: x\r\n\r\n`,
        )
      }
      await pass(50)
      for (const socket of sockets) socket.destroy()
    }
    await pass(200)
    const grown = ((await server.memory()) - before) / MIB
    t.diagnostic(
      `memory grew by ${grown.toFixed(1)} MiB, ${(((await server.memory()) - began) / MIB) | 0} MiB over the whole file`,
    )
    assert.ok(grown < 40, `${grown} MiB`)
  })

  test("ids of another user's socket, session and messages give no access", async (t) => {
    const { join } = crowd(t, server)
    const [a, b, m] = ["a", "b", "mallory"].map(somebody)
    const id = await conversationOf(server, a, b)
    const asha = await join(a)
    const ben = await join(b)
    const mallory = await join(m)
    // The public id is not the transport's id: it gives no access.
    assert.notEqual(asha.id, asha.socket.io.engine.id)
    const poll = await get(server, `/api/socketio/?EIO=4&transport=polling&sid=${asha.id}`)
    assert.equal(poll.status, 400)
    assert.equal(
      (await get(server, `/api/privatechat/messages/${id}`, { as: m, headers: { "x-socket-id": asha.id } }))
        .status,
      404,
    )
    const sent = await post(
      server,
      "/api/privatechat/message",
      { conversationId: id, content: "by mallory", senderId: a },
      { as: m, headers: { "x-socket-id": asha.id } },
    )
    assert.equal(sent.status, 404)
    const { message } = await asha.must("send_private_message", {
      conversationId: id,
      content: "x",
      clientMessageId: "shared",
    })
    await ben.sees("new_private_message")
    // A guessed clientMessageId answers nothing about another's message.
    assert.equal((await mallory.send(id, "x", { clientMessageId: "shared" })).code, "not_found")
    const theirs = await ben.must("send_private_message", {
      conversationId: id,
      content: "x",
      clientMessageId: "shared",
    })
    assert.notEqual(theirs.message.id, message.id)
    assert.equal(mallory.messages().length, 0)
    assert.equal(
      mallory.all("typing").length +
        mallory.all("receipt").length +
        mallory.all("conversation_updated").length,
      0,
    )
  })
})
