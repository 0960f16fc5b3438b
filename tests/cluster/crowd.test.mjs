// 3,000 users on three nodes: one node dies, and all reconnect at once.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { joinAll } from "../e2e/support/lean.mjs"
import { crowd, get } from "../e2e/support/person.mjs"
import { startProxied } from "../e2e/support/proxied.mjs"
import { OPEN } from "../e2e/support/server.mjs"
import { pass, until } from "../e2e/support/wait.mjs"

const EACH = 1_000
/** A lease, and 2 s. */
const LEASE_MS = 17_000

/** @type {Awaited<ReturnType<typeof startProxied>>} */
let cluster
/** By node: the clients of its users. */
const crowds = []
const name = (node, number) => `n${node}-${number}`
const names = (node) => Array.from({ length: EACH }, (_, number) => name(node, number))

const count = async (node) => (await get(node, "/api/online-users?countOnly=true")).body.count

before(async () => {
  cluster = await startProxied({ settings: { ...OPEN, PRESENCE_GRACE: "15s", ROSTER_LIMIT: "10000" } })
  await Promise.all(
    cluster.nodes.map(async (node, index) => {
      crowds[index] = await joinAll(node.url, names(index), 30)
    }),
  )
})
after(async () => {
  for (const clients of crowds) for (const client of clients.values()) client.cut()
  await cluster.stop()
})

/** Observers on some nodes, who see everyone. */
async function observers(t, nodes) {
  const watching = await Promise.all(
    nodes.map((node, index) => crowd(t, node).join(`observer-${index}`, { roster: "diff" })),
  )
  for (const observer of watching) {
    await until(() => observer.roster.size >= 3 * EACH + 1, "all are shown", 60_000)
  }
  // Observers may see each other come.
  await pass(500)
  return watching.map((observer) => ({ observer, since: observer.mark() }))
}

/** The changes that an observer saw: user -> what happened, in order. */
function changes({ observer, since }) {
  const seen = new Map()
  for (const { changes } of observer.all("presence_changes", since)) {
    for (const { userId, type } of changes) seen.set(userId, [...(seen.get(userId) ?? []), type])
  }
  return seen
}

test("C20: no key of Redis holds more than a share of the users, and every key has the prefix", async () => {
  const sizes = await cluster.redis.sizes()
  for (const key of sizes.keys()) assert.ok(/^\{?[^:]+:/.test(key) && key.includes(cluster.prefix), key)
  const bytes = [...sizes].filter(([key]) => key.includes(":p")).map(([, size]) => size)
  const total = bytes.reduce((sum, size) => sum + size, 0)
  assert.ok(Math.max(...bytes) < total / 20, `${Math.max(...bytes)} of ${total} bytes are in one key`)
})

test("P10: 1,000 users who reconnect to other nodes at once cause no user_offline", async (t) => {
  const watching = await observers(t, [cluster.nodes[0], cluster.nodes[1]])
  for (const client of crowds[1].values()) client.cut()
  const began = performance.now()
  const half = EACH / 2
  const [first, second] = await Promise.all([
    joinAll(cluster.nodes[0].url, names(1).slice(0, half)),
    joinAll(cluster.nodes[2].url, names(1).slice(half)),
  ])
  t.diagnostic(`all were back after ${(performance.now() - began).toFixed(0)} ms`)
  crowds[1] = new Map([...first, ...second])
  // Longer than the grace period and the second in which a change is sent.
  await pass(16_500)
  for (const seen of watching.map(changes)) {
    const wentOffline = [...seen].filter(([, types]) => types.includes("offline"))
    assert.deepEqual(wentOffline, [])
  }
  assert.equal(await count(cluster.nodes[2]), 3 * EACH + 2)
})

test("P1, C1, C8, C21: kill -9 of a node leaves no ghost after 17 s and sends one user_offline for each user who does not return", async (t) => {
  const watching = await observers(t, [cluster.nodes[0], cluster.nodes[1]])
  const bystanders = crowds[0]
  const before = [...bystanders.values()].reduce((sum, client) => sum + client.received, 0)
  await cluster.nodes[2].server.kill()
  const killed = performance.now()
  const back = names(2).filter((_, number) => number % 2 === 0)
  const away = names(2).filter((_, number) => number % 2 === 1)
  const returned = await joinAll(cluster.nodes[1].url, back)
  // Half of the reconnected users of the test before were there too, and do not come back.
  away.push(...names(1).slice(EACH / 2))
  t.diagnostic(`those who return were back after ${(performance.now() - killed).toFixed(0)} ms`)
  await until(
    async () => (await count(cluster.nodes[0])) === 3 * EACH - away.length + 2,
    "no ghost is left",
    LEASE_MS + 15_000 - (performance.now() - killed),
  )
  t.diagnostic(`no ghost was left after ${(performance.now() - killed).toFixed(0)} ms`)
  await pass(1_500)
  for (const seen of watching.map(changes)) {
    const wrong = away.filter((user) => seen.get(user)?.join() !== "offline")
    assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} users, ${seen.get(wrong[0])}`)
    const others = [...seen].filter(([user]) => !away.includes(user) && !user.startsWith("observer"))
    assert.deepEqual(others.slice(0, 5), [], `${others.length} users who stayed or came back`)
  }
  // The cost follows the watchers: users without a roster got nothing.
  const got = [...bystanders.values()].reduce((sum, client) => sum + client.received, 0) - before
  assert.equal(got, 0)
  crowds[2] = returned
})
