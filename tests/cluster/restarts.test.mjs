// Nodes and their servers stop, die and come back.
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { after, before, test } from "node:test"
import { LeanClient } from "../e2e/support/lean.mjs"
import { conversationOf, crowd, get, post, somebody } from "../e2e/support/person.mjs"
import { startProxied } from "../e2e/support/proxied.mjs"
import { OPEN } from "../e2e/support/server.mjs"
import { pass, until } from "../e2e/support/wait.mjs"

/** @type {Awaited<ReturnType<typeof startProxied>>} */
let cluster
before(async () => {
  cluster = await startProxied({ settings: { ...OPEN, PRESENCE_GRACE: "10s" } })
})
after(() => cluster.stop())

const on = (t) => cluster.nodes.map((node) => crowd(t, node))
const online = async (node) => {
  const { data } = (await get(node, "/api/online-users?limit=200")).body
  return data.map((one) => one.userId)
}
const types = (client, user, since = 0) =>
  client
    .all("presence_changes", since)
    .flatMap(({ changes }) => changes)
    .filter((change) => change.userId === user)
    .map((change) => change.type)

/** The whole log. */
async function whole(node, id, as) {
  const all = []
  for (;;) {
    const path = `/api/privatechat/messages/${id}?after=${all.length}&limit=200`
    const { body } = await get(node, path, { as })
    all.push(...body.data)
    if (!body.hasMore) return all
  }
}

/** Users who come back on any node, as clients do. */
class Returning {
  stays = true
  constructor(user, place) {
    this.user = user
    this.run(place)
  }

  async run(place) {
    for (let next = place; this.stays; next = (next + 1) % cluster.nodes.length) {
      const client = new LeanClient(cluster.nodes[next].url)
      this.client = client
      try {
        const { success } = await client.ask("join_user", { userId: this.user, roster: "none" })
        if (success) await client.closed
      } catch {}
      client.cut()
      await pass(100)
    }
  }

  stop() {
    this.stays = false
    this.client.cut()
  }
}

test("P1, P4: a rolling restart of all nodes sends no user_offline for users who return", async (t) => {
  const users = Array.from({ length: 150 }, (_, n) => `roll-${n}`)
  const returning = users.map((user, n) => new Returning(user, n % 3))
  t.after(() => {
    for (const one of returning) one.stop()
  })
  await until(async () => (await online(cluster.nodes[0])).length >= users.length, "all are there", 20_000)
  const offlineEvents = []
  const watch = async (node) => {
    const observer = await crowd(t, node).join(somebody("observer"), { roster: "diff" })
    observer.socket.on("presence_changes", ({ changes }) => {
      offlineEvents.push(
        ...changes.filter(({ type, userId }) => type === "offline" && userId.startsWith("roll-")),
      )
    })
    return observer
  }
  for (const [index, node] of cluster.nodes.entries()) {
    await watch(cluster.nodes[(index + 1) % 3])
    assert.deepEqual(await node.server.stop(), { code: 0, signal: null })
    await node.start()
    await until(async () => (await get(node, "/readyz")).status === 200, "the node is ready")
  }
  await pass(12_000)
  assert.deepEqual(offlineEvents, [])
  for (const node of cluster.nodes) {
    assert.equal((await online(node)).filter((user) => user.startsWith("roll-")).length, users.length)
  }
})

test("C2, P1: when two of three nodes die at once, the last one removes the sessions of both", async (t) => {
  const [one, two, three] = on(t)
  const observer = await one.join(somebody("observer"), { roster: "diff" })
  const [second, third] = [somebody("second"), somebody("third")]
  await two.join(second)
  await three.join(third)
  await observer.seesOnline(second)
  await observer.seesOnline(third)
  const since = observer.mark()
  await Promise.all([cluster.nodes[1].server.kill(), cluster.nodes[2].server.kill()])
  await observer.seesOffline(second, 30_000)
  await observer.seesOffline(third)
  assert.deepEqual(
    [types(observer, second, since), types(observer, third, since)],
    [["offline"], ["offline"]],
  )
  await Promise.all([cluster.nodes[1].start(), cluster.nodes[2].start()])
})

test("M3, M10: after kill -9 of a node with sends in flight, acknowledged messages are stored and delivered", async (t) => {
  const [one, two, three] = on(t)
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  const receivers = [await one.join(ben), await two.join(ben)]
  const sender = await three.join(asha)
  const acknowledged = []
  const items = Array.from({ length: 200 }, (_, n) => ({ content: `${n}`, clientMessageId: randomUUID() }))
  for (const item of items) {
    sender.socket.emit("send_private_message", { conversationId: id, ...item }, (answer) => {
      if (!answer.success) return
      acknowledged.push(answer.message)
      if (acknowledged.length === 20) process.kill(cluster.nodes[2].server.pid, "SIGKILL")
    })
  }
  await cluster.nodes[2].server.exited
  await cluster.nodes[2].server.kill()
  const log = await whole(cluster.nodes[0], id, ben)
  t.diagnostic(`${acknowledged.length} were acknowledged, ${log.length} are stored`)
  assert.deepEqual(
    log.map((message) => message.seq),
    log.map((_, n) => n + 1),
  )
  for (const { seq, id: message } of acknowledged) assert.equal(log[seq - 1]?.id, message)
  // Also committed messages that it could not publish any more, without a request.
  for (const receiver of receivers) {
    await until(() => new Set(receiver.messages().map(({ seq }) => seq)).size === log.length)
  }
  // Another node takes the rest under the same client ids.
  const again = await two.join(asha)
  for (const item of items) assert.equal((await again.send(id, item.content, item)).success, true)
  assert.equal((await whole(cluster.nodes[1], id, ben)).length, items.length)
  await cluster.nodes[2].start()
})

test("C10, M3, M13: a PostgreSQL crash under load loses no acknowledged message and assigns no seq twice", async (t) => {
  const [one, two] = on(t)
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  const senders = [await one.join(asha), await two.join(ben)]
  const acknowledged = []
  let isOver = false
  let slowest = 0
  const pour = async (sender) => {
    for (let n = 0; !isOver; n++) {
      const clientMessageId = randomUUID()
      for (;;) {
        const began = performance.now()
        const answer = await sender.send(id, `${sender.id} ${n}`, { clientMessageId })
        slowest = Math.max(slowest, performance.now() - began)
        if (answer.success) {
          acknowledged.push(answer.message)
          break
        }
        assert.ok(["unavailable", "internal"].includes(answer.code), JSON.stringify(answer))
        await pass(100)
      }
    }
  }
  const poured = Promise.all(senders.map(pour))
  await pass(500)
  await cluster.postgres.crash()
  const refused = await post(
    cluster.nodes[0],
    "/api/privatechat/message",
    { conversationId: id, content: "while it is away" },
    { as: asha },
  )
  assert.equal(refused.status, 503, refused.text)
  await pass(1_000)
  await cluster.postgres.start()
  const before = acknowledged.length
  await until(() => acknowledged.length > before + 20, "it recovers by itself")
  isOver = true
  await poured
  t.diagnostic(`${acknowledged.length} were acknowledged, the slowest answer took ${slowest.toFixed(0)} ms`)
  assert.ok(slowest < 8_000, `${slowest} ms`)
  const log = await whole(cluster.nodes[2], id, asha)
  assert.deepEqual(
    log.map((message) => message.seq),
    log.map((_, n) => n + 1),
  )
  for (const { seq, id: message } of acknowledged) assert.equal(log[seq - 1]?.id, message)
})

test("C13: the data of a departed node in Redis is bounded, and expires after its lease", async () => {
  /** The keys, the bytes in them, and what Redis sent in three seconds. */
  const look = async () => {
    const sizes = [...(await cluster.redis.sizes()).values()]
    const sent = async () =>
      Number(/total_net_output_bytes:(\d+)/.exec(await cluster.redis.command("INFO", "stats"))[1])
    const since = await sent()
    await pass(3_000)
    return {
      keys: sizes.length,
      bytes: sizes.reduce((a, b) => a + b),
      sent: (await sent()) - since,
    }
  }
  await pass(1_000)
  const before = await look()
  for (let round = 0; round < 3; round++) {
    const node = cluster.nodes[2]
    await node.server.kill()
    await node.start()
  }
  let after
  await until(
    async () => {
      after = await look()
      // The registry forgets the earlier runs after a minute: an entry of less than 300 bytes each.
      return (
        after.keys <= before.keys + 3 &&
        after.bytes <= before.bytes + 3 * 300 &&
        after.sent < 1.5 * before.sent
      )
    },
    "what the earlier runs left is gone",
    40_000,
  ).catch((error) => assert.fail(`${error.message}: ${JSON.stringify({ before, after })}`))
})
