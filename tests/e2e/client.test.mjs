// The built client in plain Node, which has no WebSocket before version 22, against the real binary.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createServer, request } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { before, describe, test } from "node:test"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { WebSocket } from "ws"
import { token } from "./support/jwt.mjs"
import { isCluster, JWT, JWT_SECRET, LOCAL, OPEN, serve } from "./support/server.mjs"
import { until } from "./support/wait.mjs"

const FOLDER = fileURLToPath(new URL("../../packages/client/", import.meta.url))
const DIST = pathToFileURL(join(FOLDER, "dist/index.js")).href
const withSockets = {}

before(async () => {
  await promisify(execFile)(process.execPath, ["build.mjs"], { cwd: FOLDER })
  // Before the bundle is loaded, which looks for it once.
  globalThis.WebSocket ??= WebSocket
  Object.assign(withSockets, await import(DIST))
})

const eventually = (look, within = 20_000) => until(look, String(look), within)

/** A client that is closed with the test. */
function start(t, { createLamplight, memoryStorage }, options) {
  const client = createLamplight({ storage: memoryStorage(), ...options })
  t.after(() => client.close())
  client.retain()
  return client
}
const connected = (client) => eventually(() => client.connection.get().status === "connected", 20_000)
const refused = (client) => eventually(() => client.connection.get().status === "refused", 20_000)
const texts = (conversation) => conversation.messages.get().rows.map(({ content, state }) => [content, state])

/** Two people in one conversation, the first of whom writes and the second reads. */
async function talk(asha, ben) {
  await Promise.all([connected(asha), connected(ben)])
  const { id } = await asha.openConversation(ben.me.get().user.id)
  ben.conversation(id).open()
  asha.conversation(id).open()
  await asha.conversation(id).send("hello")
  await eventually(() => texts(ben.conversation(id)).some(([text]) => text === "hello"), 10_000)
  // The acknowledgement may arrive after ben's event.
  await eventually(() => texts(asha.conversation(id)).every(([, state]) => state === "sent"))
  assert.deepEqual(texts(asha.conversation(id)), [["hello", "sent"]])
  return asha.conversation(id)
}

/**
 * A rewrite like that of Next.js: a path with a trailing slash is redirected, all else is forwarded to the server under the server's own
 * name, upgrades included.
 */
async function rewrite(t, target) {
  const { hostname, port, host } = new URL(target)
  const seen = []
  const moved = (url) => /^([^?]+)\/(\?.*)?$/.exec(url)
  const proxy = createServer((from, to) => {
    seen.push(`${from.method} ${from.url}`)
    const slash = moved(from.url)
    if (slash) return to.writeHead(308, { location: slash[1] + (slash[2] ?? "") }).end()
    const headers = { ...from.headers, host }
    const on = request({ hostname, port, method: from.method, path: from.url, headers }, (answer) => {
      to.writeHead(answer.statusCode, answer.headers)
      answer.pipe(to)
    })
    on.on("error", () => to.destroy())
    from.pipe(on)
  })
  proxy.on("upgrade", (from, socket) => {
    seen.push(`UPGRADE ${from.url}`)
    if (moved(from.url)) return socket.end("HTTP/1.1 308 Permanent Redirect\r\n\r\n")
    const on = connect(port, hostname, () => {
      const lines = Object.entries({ ...from.headers, host }).map(([name, value]) => `${name}: ${value}`)
      on.write(`GET ${from.url} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`)
      on.pipe(socket).pipe(on)
    })
    for (const one of [on, socket]) one.on("error", () => [on, socket].map((end) => end.destroy()))
  })
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve))
  t.after(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return { url: `http://127.0.0.1:${proxy.address().port}`, seen }
}

describe("the built client", { concurrency: 2 }, () => {
  test("F22 it polls without WebSocket, and the doctor reports it", async (t) => {
    const server = await serve(t, OPEN)
    const ben = start(t, withSockets, { url: server.url, userId: "ben" })
    await connected(ben)
    const program = `
      globalThis.WebSocket = undefined
      const { createLamplight, memoryStorage } = await import(${JSON.stringify(DIST)})
      const start = (userId, more) => {
        const client = createLamplight({ url: ${JSON.stringify(server.url)}, userId, storage: memoryStorage(), ...more })
        client.retain()
        return client
      }
      const reaches = (client, status) => new Promise((resolve) => {
        const look = () => client.connection.get().status === status && resolve()
        client.connection.subscribe(look)
        look()
      })
      const asha = start("asha")
      await reaches(asha, "connected")
      const { id } = await asha.openConversation("ben")
      await asha.conversation(id).send("polled")
      const { findings, facts } = await asha.doctor()
      asha.close()
      const alone = start("carl", { transports: ["websocket"] })
      await reaches(alone, "refused")
      const { code, message } = alone.connection.get().error
      alone.close()
      console.log(JSON.stringify({ websocket: facts.websocket, codes: findings.map(({ code }) => code), code, message }))
    `
    const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], {
      timeout: 30_000,
    })
    const { stdout } = await run
    assert.deepEqual(JSON.parse(stdout), {
      websocket: "missing in this runtime",
      codes: ["LL-118"],
      code: "LL-118",
      message: "This runtime has no WebSocket.",
    })
    await eventually(() => ben.unread.get().total === 1)
  })

  test("F27 it works behind a plain Next.js rewrite, over either transport", async (t) => {
    const server = await serve(t, OPEN)
    for (const transport of ["websocket", "polling"]) {
      const { url, seen } = await rewrite(t, server.url)
      const people = [`asha-${transport}`, `ben-${transport}`]
      const [asha, ben] = people.map((userId) =>
        start(t, withSockets, { url, userId, transports: [transport] }),
      )
      await talk(asha, ben)
      assert.ok(
        seen.some((one) => one.startsWith(transport === "websocket" ? "UPGRADE" : "POST /api/socketio?")),
      )
      assert.deepEqual(
        seen.filter((one) => one.includes("/?")),
        [],
      )
      const { facts, findings } = await asha.doctor()
      assert.deepEqual([facts.polling, facts.websocket], ["200", "works"])
      assert.ok(
        findings.every(({ code }) => code === "LL-112"),
        JSON.stringify(findings),
      )
      for (const client of [asha, ben]) client.close()
    }
  })

  for (const id of ["josé", "用户", "a😀b", "Жанна", "100% +/?#&"]) {
    test(`F1 F3 ${id} sends and receives over the socket and, if that is refused, over HTTP`, async (t) => {
      for (const settings of [JWT, OPEN]) {
        const server = await serve(t, settings)
        const who = (userId) => (settings === JWT ? { getToken: () => `${token(userId)}\n` } : { userId })
        const one = start(t, withSockets, { url: server.url, ...who(id) })
        const other = start(t, withSockets, { url: server.url, ...who("ben") })
        const conversation = await talk(one, other)
        assert.equal(one.me.get().user.id, id)
        one.close()
        const again = start(t, withSockets, { url: server.url, path: "/not/there", ...who(id) })
        again.conversation(conversation.id).open()
        await eventually(() => again.conversations.get().status === "ready", 10_000)
        await again.conversation(conversation.id).send("by HTTP")
        await eventually(
          () => texts(other.conversation(conversation.id)).some(([text]) => text === "by HTTP"),
          10_000,
        )
      }
    })
  }

  test("F1 a `sub` that is a large number keeps its digits", async (t) => {
    const server = await serve(t, JWT)
    const sub = "9007199254740993"
    const [head, ,] = token("x").split(".")
    const { createHmac } = await import("node:crypto")
    const now = Math.floor(Date.now() / 1_000)
    const body = Buffer.from(`{"sub":${sub},"iat":${now},"exp":${now + 300}}`).toString("base64url")
    const signature = createHmac("sha256", JWT_SECRET).update(`${head}.${body}`).digest("base64url")
    const client = start(t, withSockets, { url: server.url, getToken: () => `${head}.${body}.${signature}` })
    await connected(client)
    assert.equal(client.me.get().user.id, sub)
  })

  test("F26 each set-up mistake is explained", async (t) => {
    const warnings = []
    const warn = console.warn
    console.warn = (text) => warnings.push(text)
    t.after(() => {
      console.warn = warn
    })
    const servers = { jwt: await serve(t, JWT), local: await serve(t, LOCAL), open: await serve(t, OPEN) }
    const withoutSub = token("me", { sub: undefined })
    for (const [auth, options, code, words] of [
      ["jwt", {}, "LL-116", /has no `getToken`/],
      ["jwt", { userId: "42" }, "LL-116", /has a `userId`, and no `getToken`/],
      ["local", { getToken: () => token("me") }, "LL-116", /has a `getToken`/],
      ["local", { userId: "42" }, "LL-116", /has a `userId`/],
      ["open", {}, "LL-116", /the client gives none/],
      ["jwt", { getToken: () => withoutSub }, "unauthenticated", /sub/],
      ["jwt", { getToken: () => "<!doctype html>" }, "LL-106", /an HTML page/],
    ]) {
      warnings.length = 0
      const client = start(t, withSockets, { url: servers[auth].url, ...options })
      await refused(client)
      await eventually(() => client.connection.get().error.fix !== null && warnings.length > 0, 10_000)
      const { error } = client.connection.get()
      assert.equal(error.code, code, error.message)
      assert.match(error.message, words)
      assert.equal(warnings.length, 1, warnings.join("\n"))
      const { findings } = await client.doctor()
      assert.ok(
        findings.some(({ saw }) => saw === error.saw),
        JSON.stringify(findings),
      )
      client.close()
    }
    const lost = start(t, withSockets, { url: servers.open.url, userId: "42", path: "/wrong" })
    await eventually(() => lost.connection.get().error?.code === "LL-117", 20_000)
    assert.match(lost.connection.get().error.message, /no socket at the `path` \/wrong/)
  })

  test("F16 server and client order conversations by their messages after the server's clock was set back", async (t) => {
    const server = await serve(t, OPEN)
    const post = async (as, path, body) => {
      const response = await fetch(`${server.url}/api/privatechat/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-user-id": as },
        body: JSON.stringify(body),
      })
      const answer = await response.json()
      assert.ok(answer.success, JSON.stringify(answer))
      return answer
    }
    const ids = []
    const say = (at, content) => post(`friend-${at}`, "message", { conversationId: ids[at], content })
    // More than a page.
    for (let at = 0; at < 60; at++) {
      ids.push((await post("me", "conversations", { userId: `friend-${at}` })).conversation.id)
      await say(at, "hello")
    }
    await server.stop()
    // All of it was written while the clock was ahead.
    const sql = "UPDATE entries SET created_at = created_at + 3600000"
    if (isCluster) await server.query(sql)
    else {
      const script = `import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('${sql}'); c.commit()`
      await promisify(execFile)("python3", ["-c", script, join(server.home, "data", "lamplight.db")])
    }
    await server.start()

    const client = start(t, withSockets, { url: server.url, userId: "me" })
    await connected(client)
    const shown = () => client.conversations.get().items.map(({ id }) => ids.indexOf(id))
    const down = (from, to) => Array.from({ length: from - to + 1 }, (_, at) => from - at)
    assert.deepEqual(shown(), down(59, 10))
    await say(30, "now")
    await eventually(() => shown()[0] === 30)
    await say(5, "from a further page")
    await eventually(() => shown()[0] === 5)
    await client.conversation(ids[40]).send("mine")
    await eventually(() => shown()[0] === 40)
    client.conversation(ids[20]).open()
    client.conversation(ids[2]).open()
    await eventually(() => shown().includes(2))
    const right = [40, 5, 30, ...down(59, 0).filter((at) => ![40, 5, 30].includes(at))]
    assert.deepEqual(shown(), right)

    await server.stop()
    await eventually(() => client.connection.get().status !== "connected")
    await server.start()
    await say(7, "while away")
    await eventually(() => shown()[0] === 7)
    assert.deepEqual(shown(), [7, ...right.filter((at) => at !== 7)])
  })
})
