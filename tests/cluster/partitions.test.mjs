// A node is cut off from Redis, from PostgreSQL, from both, or frozen.
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { after, before, test } from "node:test"
import { conversationOf, crowd, get, post, somebody } from "../e2e/support/person.mjs"
import { startProxied } from "../e2e/support/proxied.mjs"
import { OPEN } from "../e2e/support/server.mjs"
import { pass, until } from "../e2e/support/wait.mjs"

/** @type {Awaited<ReturnType<typeof startProxied>>} */
let cluster
before(async () => {
  cluster = await startProxied({ settings: { ...OPEN, PRESENCE_GRACE: "1s" } })
})
after(() => cluster.stop())

const on = (t) => cluster.nodes.map((node) => crowd(t, node))
const types = (client, user, since = 0) =>
  client
    .all("presence_changes", since)
    .flatMap(({ changes }) => changes)
    .filter((change) => change.userId === user)
    .map((change) => change.type)
const degraded = async (node) => (await get(node, "/readyz")).body?.degraded ?? []

/** Whether every node shows these users and none of those. */
async function agree(shown, hidden) {
  for (const node of cluster.nodes) {
    const { body } = await get(node, "/api/online-users?limit=200")
    if (body.degraded) return false
    const users = new Set(body.data.map((one) => one.userId))
    if (!shown.every((user) => users.has(user)) || hidden.some((user) => users.has(user))) return false
  }
  return true
}

/** An answer, and that it came within 5 s. */
async function soon(answer) {
  const began = performance.now()
  const got = await answer
  const took = performance.now() - began
  assert.ok(took < 8_000, `answered after ${took.toFixed(0)} ms`)
  return got
}

test("P7, C12: a node cut off from Redis for longer than a lease is degraded, and all nodes agree within 10 s of the end", async (t) => {
  const [one, , three] = on(t)
  const [stays, leaves, comes, far, gone] = ["stays", "leaves", "comes", "far", "gone"].map(somebody)
  const observer = await one.join(somebody("observer"), { roster: "diff" })
  const [, leaving] = [await three.join(stays), await three.join(leaves)]
  const going = await one.join(gone)
  for (const user of [stays, leaves, gone]) await observer.seesOnline(user)
  await until(() => agree([stays, leaves, gone], []), "all agree before")
  const since = observer.mark()

  cluster.nodes[2].redis.stall()
  const cut = performance.now()
  await until(async () => (await degraded(cluster.nodes[2])).length > 0, "the node says degraded")
  // Joins and leaves continue on both sides.
  await three.join(comes)
  leaving.close()
  going.close()
  await one.join(far)
  assert.deepEqual(await degraded(cluster.nodes[0]), [])
  // The node shows its own; messages are stored on it all the same.
  const { data } = (await get(cluster.nodes[2], "/api/online-users?limit=200")).body
  assert.ok([stays, comes].every((user) => data.some((one) => one.userId === user)))
  const id = await conversationOf(cluster.nodes[0], stays, far)
  const sent = await soon(
    post(cluster.nodes[2], "/api/privatechat/message", { conversationId: id, content: "on" }, { as: stays }),
  )
  assert.equal(sent.status, 201, sent.text)
  await observer.seesOffline(gone)
  await pass(Math.max(0, 18_000 - (performance.now() - cut)))
  // Its lease ended: the others do not show its users.
  await observer.seesOffline(stays)

  cluster.nodes[2].redis.heal()
  const healed = performance.now()
  await until(() => agree([stays, comes, far], [leaves, gone]), "all agree again")
  t.diagnostic(`all agreed after ${(performance.now() - healed).toFixed(0)} ms`)
  await observer.seesOnline(stays)
  assert.deepEqual(types(observer, leaves, since), ["offline"])
})

test("P7: a short cut from Redis sends no event", async (t) => {
  const [one, , three] = on(t)
  const user = somebody("patient")
  const observer = await one.join(somebody("observer"), { roster: "diff" })
  const other = await three.join(somebody("observer"), { roster: "diff" })
  await three.join(user)
  await observer.seesOnline(user)
  await other.seesOnline(user)
  const marks = [observer.mark(), other.mark()]
  cluster.nodes[2].redis.refuse()
  await pass(4_000)
  cluster.nodes[2].redis.heal()
  await until(async () => (await degraded(cluster.nodes[2])).length === 0, "the node is whole")
  await pass(3_000)
  assert.deepEqual(types(observer, user, marks[0]), [])
  assert.deepEqual(types(other, user, marks[1]), [])
})

test("M13: a node cut off from PostgreSQL refuses sends within 5 s, other nodes continue, and it recovers by itself", async (t) => {
  const [one, , three] = on(t)
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  const [near, cut] = [await one.join(asha), await three.join(ben)]
  assert.equal((await cut.send(id, "before")).success, true)
  cluster.nodes[2].postgres.stall()
  const clientMessageId = randomUUID()
  const [refused, http, other] = await Promise.all([
    soon(cut.send(id, "during", { clientMessageId })),
    soon(
      post(
        cluster.nodes[2],
        "/api/privatechat/message",
        { conversationId: id, content: "http" },
        { as: ben },
      ),
    ),
    soon(near.send(id, "elsewhere")),
  ])
  assert.equal(refused.code, "unavailable", JSON.stringify(refused))
  assert.equal(http.status, 503, http.text)
  assert.equal(other.success, true, JSON.stringify(other))
  await until(async () => (await get(cluster.nodes[2], "/readyz")).status === 503, "it is not ready")
  // Presence needs no PostgreSQL once a user is known.
  assert.ok((await get(cluster.nodes[2], "/api/online-users?countOnly=true")).body.count >= 2)
  cluster.nodes[2].postgres.heal()
  let again
  await until(async () => {
    again = await cut.send(id, "during", { clientMessageId })
    return again.success
  }, "it recovers")
  await until(async () => (await get(cluster.nodes[2], "/readyz")).status === 200, "it is ready")
  const { data } = (await get(cluster.nodes[0], `/api/privatechat/messages/${id}?limit=200`, { as: asha }))
    .body
  assert.equal(data.filter((message) => message.content === "during").length, 1)
})

test("P7, M13: a node cut off from both refuses sends, and recovers", async (t) => {
  const [one, , three] = on(t)
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  const [near, cut] = [await one.join(asha), await three.join(ben)]
  const { redis, postgres } = cluster.nodes[2]
  redis.stall()
  postgres.stall()
  assert.equal((await soon(cut.send(id, "lost?"))).code, "unavailable")
  assert.equal((await soon(near.send(id, "meanwhile"))).success, true)
  redis.heal()
  postgres.heal()
  await until(() => agree([asha, ben], []), "presence is whole")
  await until(async () => (await cut.send(id, "after")).success, "messages are taken")
  // Entries stored meanwhile reach the node without a request.
  await cut.sees("new_private_message", (message) => message.content === "meanwhile")
})

test("C5, C16, P2: a node that freezes for longer than its lease is fenced and announces its users again", async (t) => {
  const [one, two, three] = on(t)
  const [stays, moves] = [somebody("stays"), somebody("moves")]
  const observer = await one.join(somebody("observer"), { roster: "diff" })
  await three.join(stays)
  await three.join(moves)
  await observer.seesOnline(stays)
  await observer.seesOnline(moves)
  const since = observer.mark()
  process.kill(cluster.nodes[2].server.pid, "SIGSTOP")
  // One of its users moves to another node without the first node's knowledge.
  await two.join(moves)
  await observer.seesOffline(stays, 30_000)
  process.kill(cluster.nodes[2].server.pid, "SIGCONT")
  // It was fenced: it announces its users again, and newcomers see them.
  await observer.seesOnline(stays)
  const newcomer = await two.join(somebody("newcomer"), { roster: "diff" })
  assert.ok(newcomer.roster.get(stays)?.status)
  // The end of the old connection does not take a user offline who is connected to another node.
  await pass(2_500)
  assert.deepEqual(types(observer, moves, since), [])
  assert.deepEqual(types(observer, stays, since), ["offline", "online"])
})
