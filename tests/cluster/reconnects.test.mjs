// P10: thousands of users on three nodes lose their connections, and reconnect to other nodes within five seconds.
// With 8,000, on a release build:
//   LAMPLIGHT_BIN=target/release/lamplight RECONNECTS=8000 node --test tests/cluster/reconnects.test.mjs
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { startCluster } from "../e2e/support/cluster.mjs"
import { joinAll } from "../e2e/support/lean.mjs"
import { crowd, get } from "../e2e/support/person.mjs"
import { OPEN } from "../e2e/support/server.mjs"
import { startPostgres, startRedis } from "../e2e/support/services.mjs"
import { pass, until } from "../e2e/support/wait.mjs"

const USERS = Number(process.env.RECONNECTS ?? 1_500)
/** The number of groups in which the connections break, all within five seconds. */
const GROUPS = 40
const PACE_MS = 5_000 / GROUPS
const GRACE_MS = 8_000

let redis
let postgres
/** @type {import("../e2e/support/cluster.mjs").Cluster} */
let cluster
/** The client of each user. */
let clients = new Map()

const name = (number) => `user-${number}`
const range = (from, to) => Array.from({ length: to - from }, (_, index) => from + index)

/** Connects those of some users who are on this node after so many moves. */
const join = (node, numbers, moves) =>
  joinAll(cluster.nodes[node].url, numbers.filter((number) => (number + moves) % 3 === node).map(name), 32)

/** How often each command of Redis was called. */
async function redisCalls() {
  const stats = await redis.command("INFO", "commandstats")
  const calls = stats.matchAll(/cmdstat_(\S+?):calls=(\d+)/g)
  return new Map(Array.from(calls, ([, command, count]) => [command, Number(count)]))
}

/** Rows that PostgreSQL wrote, without the leases of nodes. */
async function rowsWritten() {
  const database = new URL(cluster.nodes[0].settings.DATABASE_URL).pathname.slice(1)
  const sum =
    "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables WHERE relname <> 'nodes'"
  return Number(await postgres.query(sum, database))
}

const counts = () =>
  Promise.all(
    cluster.nodes.map(async (node) => (await get(node, "/api/online-users?countOnly=true")).body.count),
  )

before(async () => {
  ;[redis, postgres] = await Promise.all([startRedis(), startPostgres()])
  const settings = { ...OPEN, PRESENCE_GRACE: `${GRACE_MS / 1_000}s`, ROSTER_LIMIT: "20000" }
  cluster = await startCluster({ redis, postgres, settings: { ...settings, LIMIT_CONNECTIONS: "0" } })
  const joined = await Promise.all(range(0, 3).map((node) => join(node, range(0, USERS), 0)))
  clients = new Map(joined.flatMap((some) => [...some]))
})
after(async () => {
  for (const client of clients.values()) client.cut()
  await cluster.dispose()
  await Promise.all([redis.stop(), postgres.stop()])
})

test("P10: thousands of users who reconnect to other nodes within 5 s cost few store writes each, and none of them goes offline", async (t) => {
  const observers = await Promise.all(
    cluster.nodes.map((node, index) => crowd(t, node).join(`observer-${index}`, { roster: "diff" })),
  )
  await until(async () => (await counts()).every((count) => count === USERS + 3), "all nodes agree", 30_000)
  // Observers may see each other come, and what the joins left to write is written.
  await pass(2_000)
  const marks = observers.map((observer) => observer.mark())
  const [callsBefore, rowsBefore, began] = [await redisCalls(), await rowsWritten(), performance.now()]
  const returning = []
  /** Those who were away for longer than the grace period, on a machine that is too slow for so many. */
  const late = new Set()
  for (const group of range(0, GROUPS)) {
    const numbers = range(Math.floor((group * USERS) / GROUPS), Math.floor(((group + 1) * USERS) / GROUPS))
    for (const number of numbers) clients.get(name(number)).cut()
    const cut = performance.now()
    const back = range(0, 3).map(async (node) => {
      const joined = await join(node, numbers, 1)
      if (performance.now() - cut > GRACE_MS - 1_000) for (const user of joined.keys()) late.add(user)
      return joined
    })
    returning.push(...back)
    await pass(Math.max(0, began + PACE_MS * (group + 1) - performance.now()))
  }
  const joined = await Promise.all(returning)
  const took = performance.now() - began
  clients = new Map(joined.flatMap((some) => [...some]))
  // Longer than the grace period and the second in which changes are sent.
  await pass(GRACE_MS + 2_000)
  await until(async () => (await counts()).every((count) => count === USERS + 3), "all nodes agree")
  const seconds = (performance.now() - began) / 1_000
  const [calls, rows] = [await redisCalls(), (await rowsWritten()) - rowsBefore]
  const called = (command) => (calls.get(command) ?? 0) - (callsBefore.get(command) ?? 0)
  // Besides, each node looks at the buckets of users, reports limits and renews its lease.
  const scripts = (called("evalsha") - 3 * 66 * seconds) / USERS
  t.diagnostic(`${late.size} were away for too long`)
  t.diagnostic(
    `all were back after ${took.toFixed(0)} ms; each took ${scripts.toFixed(2)} calls of scripts, ` +
      `${(called("subscribe") / USERS).toFixed(2)} subscriptions and ${(rows / USERS).toFixed(2)} rows`,
  )
  // The close, the join and the end of the old session are a read and a write each; limits are reported too.
  assert.ok(scripts < 10, `${scripts} script calls for each`)
  assert.ok(rows < USERS, `${rows} rows in PostgreSQL`)
  for (const [index, observer] of observers.entries()) {
    const batches = observer.all("presence_changes", marks[index])
    const changes = batches.flatMap((batch) => batch.changes)
    const wrong = changes.filter(({ type, userId }) => type === "offline" && !late.has(userId))
    assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} were told offline`)
    assert.ok(batches.length <= 10 * seconds, `${batches.length} batches in ${seconds} s`)
  }
})
