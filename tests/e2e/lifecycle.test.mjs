// Starting, stopping and restarting.
import assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join as path } from "node:path"
import { describe, test } from "node:test"
import { io } from "socket.io-client"
import { conversationOf, crowd, get, post } from "./support/person.mjs"
import { OPEN, oneNodeOnly, refuses, Server, serve } from "./support/server.mjs"
import { pass, until, within } from "./support/wait.mjs"

/** A server gives its clients some seconds and ends within 10 s; a loaded machine adds to that. */
const STOPS_WITHIN_MS = 20_000

describe("stopping", { concurrency: 4 }, () => {
  test("SIGTERM: sends in flight are answered, transports close, and the server exits with 0 within 10 s", async (t) => {
    const server = await serve(t, OPEN)
    const { join } = crowd(t, server)
    const id = await conversationOf(server, "a", "b")
    const [asha, ben] = [await join("a"), await join("b")]
    const polling = await join("c", { options: { transports: ["polling"] } })
    const acknowledged = []
    for (let n = 0; n < 200; n++) {
      asha.socket.emit("send_private_message", { conversationId: id, content: `${n}` }, (answer) => {
        if (answer.success) acknowledged.push(answer.message.seq)
      })
    }
    const slow = post(
      server,
      "/api/privatechat/message",
      { conversationId: id, content: "http" },
      { as: "b" },
    )
    await slow
    const began = performance.now()
    const end = await within(server.stop(), STOPS_WITHIN_MS, "stopping")
    t.diagnostic(`stopped after ${(performance.now() - began).toFixed(0)} ms`)
    assert.deepEqual(end, { code: 0, signal: null })
    for (const client of [asha, ben, polling]) {
      const reason = await client.sees("(disconnect)")
      assert.ok(["transport close", "transport error"].includes(reason), reason)
    }
    assert.equal(await ben.sees("(disconnect)"), "transport close")
    await server.start()
    const { data } = (await get(server, `/api/privatechat/messages/${id}?limit=200`, { as: "a" })).body
    const stored = data.map((message) => message.seq)
    assert.deepEqual(
      stored,
      stored.map((_, n) => stored[0] + n),
    )
    const newest = stored.at(-1)
    for (const seq of acknowledged) assert.ok(seq <= newest, "acknowledged and not there")
  })

  test("SIGTERM right after the server is ready: it exits with 0", async (t) => {
    const server = await serve(t, OPEN)
    for (let round = 0; round < 5; round++) {
      assert.deepEqual(await server.stop(), { code: 0, signal: null }, `round ${round}`)
      await server.start()
    }
  })

  test("SIGTERM with hundreds of clients and a trickling body: the server exits with 0 within 10 s", async (t) => {
    const server = await serve(t, OPEN)
    const { join } = crowd(t, server)
    await Promise.all(
      Array.from({ length: 300 }, (_, n) =>
        join(`u${n}`, { options: { transports: [n % 6 ? "websocket" : "polling"] } }),
      ),
    )
    const trickle = connect(server.port, "127.0.0.1")
    t.after(() => trickle.destroy())
    trickle.on("error", () => {})
    const head = `POST /api/privatechat/message HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n`
    trickle.write(`${head}Content-Type: application/json\r\n`)
    trickle.write("Content-Length: 1000\r\n\r\n{")
    const drip = setInterval(() => trickle.write(" "), 200)
    t.after(() => clearInterval(drip))
    await pass(300)
    const began = performance.now()
    const end = await within(server.stop(), STOPS_WITHIN_MS, "stopping")
    t.diagnostic(`stopped after ${(performance.now() - began).toFixed(0)} ms`)
    assert.deepEqual(end, { code: 0, signal: null })
    assert.ok(!/panicked/.test(server.log))
  })

  test("SIGTERM: a request whose body ends 3 s later is answered, and its message is stored", async (t) => {
    const server = await serve(t, OPEN)
    const id = await conversationOf(server, "a", "b")
    const body = JSON.stringify({ conversationId: id, content: "slow", senderId: "a" })
    const slow = connect(server.port, "127.0.0.1")
    t.after(() => slow.destroy())
    let answered = ""
    slow.on("data", (data) => {
      answered += data
    })
    slow.on("error", () => {})
    slow.write(
      `POST /api/privatechat/message HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
    )
    await pass(200)
    const stopped = server.stop()
    await pass(3_000)
    slow.write(body.slice(10))
    assert.deepEqual(await within(stopped, STOPS_WITHIN_MS, "stopping"), { code: 0, signal: null })
    assert.match(answered, /^HTTP\/1\.1 201/)
    await server.start()
    const { data } = (await get(server, `/api/privatechat/messages/${id}`, { as: "a" })).body
    assert.equal(data.length, 1)
  })

  test("clients reconnect and join again after a restart, on each transport", async (t) => {
    const server = await serve(t, OPEN)
    const sockets = ["websocket", "polling"].map((transport) => {
      const socket = io(server.url, {
        path: "/api/socketio",
        transports: [transport],
        forceNew: true,
        reconnectionDelay: 50,
        reconnectionDelayMax: 200,
      })
      t.after(() => socket.disconnect())
      return socket
    })
    const joins = sockets.map(() => 0)
    for (const [index, socket] of sockets.entries()) {
      socket.on("connect", () => socket.emit("join_user", `u${index}`, () => joins[index]++))
    }
    await until(() => joins.every((count) => count === 1))
    await server.stop()
    await until(() => sockets.every((socket) => !socket.connected && socket.active), "they try again")
    await server.start()
    await until(() => joins.every((count) => count === 2))
    await server.kill()
    await server.start()
    await until(() => joins.every((count) => count === 3))
  })

  test("a server starts within the limit on the port that it reports", async (t) => {
    const began = performance.now()
    const server = await serve(t, OPEN)
    t.diagnostic(
      `ready after ${(performance.now() - began).toFixed(0)} ms (process start and test's own work in it)`,
    )
    assert.equal((await get(server, "/readyz")).status, 200)
    assert.match(server.log, /AUTH=open/)
  })

  test("the socket path works with and without a trailing slash, and can be changed", async (t) => {
    const server = await serve(t, { ...OPEN, SOCKET_PATH: "/realtime" })
    const { connect } = crowd(t, server)
    for (const at of ["/realtime", "/realtime/"]) {
      for (const transports of [["websocket"], ["polling"]]) {
        const client = await connect({ path: at, addTrailingSlash: false, transports })
        client.close()
      }
    }
    assert.equal((await get(server, "/api/socketio/?EIO=4&transport=polling")).status, 404)
  })
})

describe("wrong settings make startup fail and are named", { concurrency: 4 }, () => {
  const wrong = [
    [{ AUTH: "maybe" }, /AUTH/],
    [{ LISTEN: "nonsense" }, /LISTEN/],
    [{ REDIS_URL: "http://:secret-word@127.0.0.1:6379" }, /REDIS_URL.*LL-114/s],
    [{ REDIS_URL: "rediss://default:secret-word@redis.example:port" }, /REDIS_URL.*LL-114/s],
    [{ REDIS_URL: "redis://:secret-word@127.0.0.1", REDIS_PREFIX: "{x}" }, /REDIS_PREFIX/],
    [{ DATABASE_URL: "postgres://lamp:secret-word@127.0.0.1:port/lamp" }, /DATABASE_URL.*LL-114/s],
    [{ DATABASE_URL: "mysql://x" }, /DATABASE_URL/],
    [{ AUTH: "jwt" }, /JWT_SECRET/],
    [{ AUTH: "jwt", JWT_SECRET: "secret-word" }, /JWT_SECRET/],
    [{ AUTH: "jwt", JWT_JWKS: "/no/such/file.json" }, /no\/such\/file\.json/],
    [{ AUTH: "open", LISTEN: "0.0.0.0:0" }, /AUTH=open/],
    [{ PRESENCE_GRACE: "soon" }, /PRESENCE_GRACE/],
    [{ PRESENCE_TTL: "-1s" }, /PRESENCE_TTL/],
    [{ ROSTER_LIMIT: "many" }, /ROSTER_LIMIT/],
    [{ MAX_PAYLOAD: "1e6x" }, /MAX_PAYLOAD/],
    [{ TRUSTED_PROXIES: "10.0.0.0/99" }, /TRUSTED_PROXIES/],
    [{ ALLOWED_ORIGINS: "app.example" }, /ALLOWED_ORIGINS/],
    [{ ALLOWED_ORIGINS: "*" }, /ALLOWED_ORIGINS/],
    [{ SOCKET_PATH: "no slash" }, /SOCKET_PATH/],
    [{ LOG: "lamplight=loud" }, /LOG/],
    [{ DATA_DIR: "/proc/nowhere" }, /nowhere/],
  ]
  for (const [settings, sentence] of wrong) {
    test(JSON.stringify(settings), async (t) => {
      const { code, stdout, stderr } = await refuses(t, settings)
      assert.ok(code > 0, `it started: ${stdout} ${stderr}`)
      assert.equal(stdout, "")
      assert.match(stderr, sentence)
      assert.ok(!/panicked|RUST_BACKTRACE/.test(stderr), stderr)
      assert.ok(!stderr.includes("secret-word"), `a secret is shown: ${stderr}`)
    })
  }

  test("an unknown flag, a used port and an invalid database make startup fail", async (t) => {
    const flag = await refuses(t, {}, ["--no-such-flag"])
    assert.ok(flag.code > 0)
    const taken = createServer().listen(0, "127.0.0.1")
    await new Promise((resolve) => taken.once("listening", resolve))
    t.after(() => taken.close())
    const { code, stderr } = await refuses(t, { LISTEN: `127.0.0.1:${taken.address().port}` })
    assert.ok(code > 0)
    assert.match(stderr, /LISTEN|listen on/)
    const home = await mkdtemp(path(tmpdir(), "lamplight-e2e-"))
    t.after(() => rm(home, { recursive: true, force: true }))
    const file = path(home, "not-a-database")
    await writeFile(file, "this is not a database ".repeat(1_000))
    const broken = await refuses(t, { DATABASE_URL: `sqlite:${file}` })
    assert.ok(broken.code > 0, broken.stdout)
    assert.match(broken.stderr, /not-a-database/)
  })

  const skip = oneNodeOnly("is about a SQLite file")
  test("a second server on the same data does not start", { skip }, async (t) => {
    const first = await serve(t, OPEN)
    const second = new Server(first.home, OPEN, [])
    t.after(async () => second.pid && (await second.kill()))
    // Two processes on one log would each hold its own presence and hand out the same seq.
    await assert.rejects(second.start(), /data|use|lock|another/i)
    assert.equal((await get(first, "/readyz")).status, 200)
  })

  test("a flag overrides a variable, which overrides .env and lamplight.toml", async (t) => {
    const home = await mkdtemp(path(tmpdir(), "lamplight-e2e-"))
    t.after(() => rm(home, { recursive: true, force: true }))
    await writeFile(path(home, ".env"), "AUTH=open\nSOCKET_PATH=/from-env-file\n")
    await writeFile(
      path(home, "lamplight.toml"),
      'auth = "local"\nsocket-path = "/from-toml"\nroster-limit = 2\n',
    )
    const server = new Server(home, {}, [])
    t.after(() => server.kill())
    await server.start()
    assert.equal((await get(server, "/api/auth/session")).status, 404, "AUTH=open of .env holds")
    assert.equal((await get(server, "/from-env-file/?EIO=4&transport=polling")).status, 200)
    await server.stop()
    await server.start({ SOCKET_PATH: "/from-variable", LISTEN: "127.0.0.1" })
    assert.equal((await get(server, "/from-variable/?EIO=4&transport=polling")).status, 200)
  })
})
