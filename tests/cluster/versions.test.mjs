// Nodes of this version beside one of the next, which sends unknown fields and kinds, and beside one that dies.
// The next version's node is played by this test: an entry in the registry, an HTTP server, envelopes and records.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:http"
import { after, before, test } from "node:test"
import { conversationOf, crowd, get, somebody } from "../e2e/support/person.mjs"
import { startProxied } from "../e2e/support/proxied.mjs"
import { OPEN } from "../e2e/support/server.mjs"
import { until } from "../e2e/support/wait.mjs"
import { append, databaseOf } from "./append.mjs"

/** @type {Awaited<ReturnType<typeof startProxied>>} */
let cluster
before(async () => {
  cluster = await startProxied({ settings: { ...OPEN, PRESENCE_GRACE: "1s" } })
})
after(() => cluster.stop())

const redis = (...words) => cluster.redis.command(...words)
const on = (t) => cluster.nodes.map((node) => crowd(t, node))

/** Joins the cluster as a node of the next version, which answers requests by `answer`. */
async function nextVersion(t, answer) {
  const server = createServer(answer).listen(0, "127.0.0.1")
  await once(server, "listening")
  const tag = `next${randomBytes(4).toString("hex")}`
  const entry = JSON.stringify({
    id: "next",
    address: `127.0.0.1:${server.address().port}`,
    version: "99.0.0",
    region: "moon",
    capabilities: ["unheard-of"],
  })
  const key = `${cluster.prefix}:{${cluster.prefix}:nodes}:list`
  const beat = () => redis("HSET", key, tag, `${Date.now()} ${entry}`)
  await beat()
  const beats = setInterval(beat, 1_000)
  t.after(async () => {
    clearInterval(beats)
    server.closeAllConnections()
    server.close()
    await redis("HDEL", key, tag)
  })
  return tag
}

const healthy = async () => {
  for (const node of cluster.nodes) {
    assert.equal((await get(node, "/readyz")).status, 200)
    assert.ok(!/panicked/.test(node.server.log), node.server.log)
  }
}

test("C15: a node applies the known parts of events of the next version, and skips unknown kinds", async (t) => {
  const [one, , three] = on(t)
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  const sender = await one.join(asha)
  const receiver = await three.join(ben)
  const run = randomBytes(8).toString("hex")
  let n = 0
  const publish = async (fields, v = 1) => {
    n += 1
    const envelope = { v, run, n, node: "next", ...fields }
    await redis("PUBLISH", `${cluster.prefix}:u:${ben}`, JSON.stringify(envelope))
  }
  const more = { colour: "blue", nested: { list: [1] } }
  const typing = {
    kind: "typing",
    conversation: id,
    user: asha,
    is_typing: true,
    expires_at: Date.now() + 6_000,
  }
  await publish({ kind: "reaction", conversation: id, emoji: "+1", to: [ben] })
  await publish({ ...typing, user: "nobody", to: [ben] }, 2)
  await publish({ ...typing, to: [ben], ...more })
  await receiver.sees("typing", (one) => one.userId === asha)
  assert.equal(receiver.all("typing").length, 1)
  // It committed the entry itself.
  const message = `from the next version ${run}`
  await cluster.postgres.query(append(id, asha, message), databaseOf(cluster))
  const entry = { id: message, seq: 1, sender: asha, content: message, created_at: Date.now() }
  await publish({
    kind: "appended",
    conversation: id,
    entry: { ...entry, ...more },
    to: [asha, ben],
    ...more,
  })
  await receiver.sees("new_private_message", ({ content }) => content === message)
  assert.equal((await sender.send(id, "of this version")).success, true)
  await receiver.sees("new_private_message", (message) => message.content === "of this version")
  await healthy()
})

test("C15: this version reads, changes and ends a presence record with fields of the next version", async (t) => {
  const [one, two, three] = on(t)
  const user = somebody("asha")
  const observer = await three.join(somebody("observer"), { roster: "diff" })
  const first = await one.join(user)
  await observer.seesOnline(user)
  let key
  for (let bucket = 0; bucket < 64 && !key; bucket++) {
    const users = `${cluster.prefix}:{${cluster.prefix}:p${bucket}}:users`
    if ((await redis("HEXISTS", users, user)).trim().endsWith("1")) key = users
  }
  assert.ok(key, "the record is somewhere")
  const record = (await redis("--raw", "HGET", key, user)).trim()
  const at = record.indexOf("{")
  const json = JSON.parse(record.slice(at))
  const later = JSON.stringify({ ...json, mood: "fine", extras: [{ a: 1 }] })
  await redis("HSET", key, user, record.slice(0, at) + later)
  // A node that has no copy of it, and the one that does.
  const second = await two.join(user)
  assert.equal((await second.ask("set_status", { status: "busy", text: "reading" })).success, true)
  await observer.knows(user, (one) => one.status === "busy")
  assert.equal((await first.ask("set_activity", { activity: { kind: "in_call" } })).success, true)
  await observer.knows(user, (one) => one.activities?.length === 1)
  first.close()
  second.close()
  await observer.seesOffline(user, 20_000)
  await healthy()
})

test("C15: a request for a session on a node of the next version is forwarded, and a node that dies while answering affects no other", async (t) => {
  const asked = []
  const tag = await nextVersion(t, async (request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (/move=/.test(request.url)) {
      const steps = [
        () => response.end(JSON.stringify({ gone: true, since: 1 })),
        () => response.writeHead(404).end("{}"),
        () => response.end("not JSON"),
        // Half an answer.
        () => {
          response.writeHead(200, { "content-length": "1000" })
          response.write('{"socket":')
          setTimeout(() => request.socket.destroy(), 20)
        },
        () => request.socket.destroy(),
        () => response.end(JSON.stringify({ at: tag })),
        () =>
          response.end(
            JSON.stringify({ socket: { id: "not an id", suffix: "", rooms: [], state: "{}", more: 1 } }),
          ),
      ]
      const moves = asked.filter((line) => line.includes("move=")).length
      return steps[(moves - 1) % steps.length]()
    }
    if (/half/.test(request.url)) {
      response.writeHead(200, { "content-length": "1000" })
      response.write("42[")
      return setTimeout(() => request.socket.destroy(), 20)
    }
    if (/vanish/.test(request.url)) return request.socket.destroy()
    response.writeHead(200, { "x-of-the-next-version": "1" }).end("6")
  })
  const [one] = on(t)
  const bystander = await one.join(somebody("bystander"))
  const [node] = cluster.nodes
  const poll = (more) =>
    fetch(`${node.url}/api/socketio/?EIO=4&transport=polling&sid=${tag}.${"x".repeat(20)}${more}`)
  await until(async () => (await poll("")).status === 200, "the node is found", 20_000)
  assert.equal(await (await poll("")).text(), "6")
  assert.equal((await poll("&vanish=1")).status, 502)
  await assert.rejects(async () => (await poll("&half=1")).text(), "the client learns that it is not whole")
  // A client that was on that node comes here: a new connection each time, soon.
  for (let n = 0; n < 9; n++) {
    const client = await one.connect({
      query: { recovery: 1 },
      auth: { pid: `${tag}.${randomBytes(15).toString("base64url")}`, offset: "1.next.1" },
    })
    assert.equal(Boolean(client.socket.recovered), false)
    assert.equal((await client.ask("join_user", somebody("back"))).success, true)
  }
  assert.ok(asked.filter((line) => line.includes("move=claim")).length >= 9, `${asked}`)
  assert.ok(bystander.socket.connected)
  assert.equal((await bystander.ask("user_activity")).success, true)
  await healthy()
})

test("C15: lists are still answered, and marked if incomplete, while nodes and Redis disappear", async (t) => {
  const [one, two, three] = on(t)
  const here = [somebody("here"), somebody("here")]
  await one.join(here[0])
  await two.join(here[1])
  const gone = somebody("gone")
  await three.join(gone)
  const list = async (node) => (await get(node, "/api/online-users?limit=200")).body
  const names = (body) => body.data.map(({ userId }) => userId)
  for (const node of cluster.nodes) {
    await until(
      async () => {
        const all = names(await list(node))
        return [...here, gone].every((user) => all.includes(user))
      },
      "everybody is listed",
      20_000,
    )
  }
  const [first, second, third] = cluster.nodes
  await third.server.kill()
  // Every answer, from the first moment on.
  const end = performance.now() + 3_000
  let answers = 0
  while (performance.now() < end) {
    for (const node of [first, second]) {
      const body = await list(node)
      assert.equal(body.success, true)
      assert.equal(body.degraded, undefined, "Redis has it all")
      assert.ok(here.every((user) => names(body).includes(user)))
      answers += 1
    }
  }
  t.diagnostic(`${answers} lists`)
  await until(async () => !names(await list(first)).includes(gone), "its user is gone", 30_000)
  await third.server.start()
  // Cut off from Redis a node answers with what it knows, and says so.
  second.redis.stall()
  second.redis.cut()
  await until(async () => (await list(second)).degraded === true, "the answer is flagged", 20_000)
  const part = await list(second)
  assert.equal(part.success, true)
  assert.ok(names(part).includes(here[1]))
  assert.equal((await list(first)).degraded, undefined)
  second.redis.heal()
  await until(async () => (await list(second)).degraded === undefined, "whole again", 20_000)
  await until(async () => names(await list(second)).includes(here[0]), "", 20_000)
  await healthy()
})
