// Measures the cost of one join, heartbeat, message and departure for two nodes, Redis and PostgreSQL, and the memory of a
// user who is online. Prints JSON; inputs.json has the figures that docs/scale.md uses.
//
//   LAMPLIGHT_BIN=target/release/lamplight node bench/scale/measure.mjs [users] [messages]
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { connect } from "node:net"
import { promisify } from "node:util"
import { startCluster } from "../../tests/e2e/support/cluster.mjs"
import { joinAll } from "../../tests/e2e/support/lean.mjs"
import { conversationOf, get } from "../../tests/e2e/support/person.mjs"
import { OPEN } from "../../tests/e2e/support/server.mjs"
import { startPostgres, startRedis } from "../../tests/e2e/support/services.mjs"
import { pass } from "../../tests/e2e/support/wait.mjs"

const [users = 5_000, messages = 20_000] = process.argv.slice(2).map(Number)
const HEARTBEATS = 4
const ALONE = 1_000
const OPENINGS = 2_000
const PAIRS = 100
/** Messages of one sender on their way at a time. */
const IN_FLIGHT = 8
const CONTENT = "x".repeat(100)
/** As long as a change of one user in Redis. */
const CHANGE = "x".repeat(250)

const redis = await startRedis()
// As in production, a commit waits for the disk.
const postgres = await startPostgres({ fsync: "on" })
const settings = { ...OPEN, PRESENCE_GRACE: "1s", LIMIT_CONNECTIONS: "0", LOG: "error" }
const cluster = await startCluster({ nodes: 2, settings, redis, postgres })
const [one, two] = cluster.nodes
const database = /[^/]+$/.exec(one.settings.DATABASE_URL)[0]

/** The fields of a process' status from its state on; none if it has ended. */
function status(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    return text.replace(/^.*\) /, "").split(" ")
  } catch {
    return []
  }
}

/** User and kernel time of a process in µs; `children` counts what it has waited for too. */
function cpu(pid, children = false) {
  const ticks = status(pid).slice(11, children ? 15 : 13)
  return ticks.reduce((sum, number) => sum + Number(number) * 10_000, 0)
}

function postgresCpu() {
  const backends = readdirSync("/proc").filter(
    (pid) => /^\d+$/.test(pid) && Number(status(pid)[1]) === postgres.pid,
  )
  return backends.reduce((sum, pid) => sum + cpu(pid), cpu(postgres.pid, true))
}

const memory = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024

/** Everything that is counted, at this moment. */
async function counters() {
  const info = await redis.command("INFO", "everything")
  const field = (name) => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(info)?.[1] ?? 0)
  const calls = (name) => Number(new RegExp(`^cmdstat_${name}:calls=(\\d+)`, "m").exec(info)?.[1] ?? 0)
  const row = await postgres.query(
    `SELECT pg_current_wal_lsn() - '0/0', xact_commit, coalesce(pg_total_relation_size('entries'), 0)
     FROM pg_stat_database WHERE datname = '${database}'`,
    database,
  )
  const [wal, commits, entries] = row.trim().split("|").map(Number)
  return {
    node_cpu_us: cpu(one.pid),
    other_node_cpu_us: cpu(two.pid),
    redis_cpu_us: cpu(redis.pid),
    redis_scripts: calls("evalsha"),
    redis_publishes: calls("publish"),
    redis_bytes_in: field("total_net_input_bytes"),
    redis_bytes_out: field("total_net_output_bytes"),
    postgres_cpu_us: postgresCpu(),
    postgres_wal_bytes: wal,
    postgres_commits: commits,
    postgres_entries_bytes: entries,
    memory: { redis: field("used_memory"), one: memory(one.pid), two: memory(two.pid) },
  }
}

/** The cost for Redis of one more subscriber of a published change. */
async function copies() {
  const SUBSCRIBERS = 20
  const TIMES = 20_000
  const publish = async () => {
    const before = { cpu: cpu(redis.pid), out: (await counters()).redis_bytes_out }
    const words = [
      "-p",
      String(redis.port),
      "-q",
      "-c",
      "1",
      "-n",
      String(TIMES),
      "PUBLISH",
      "copies",
      CHANGE,
    ]
    await promisify(execFile)("redis-benchmark", words)
    return { cpu: cpu(redis.pid) - before.cpu, out: (await counters()).redis_bytes_out - before.out }
  }
  const alone = await publish()
  const sockets = Array.from({ length: SUBSCRIBERS }, () => {
    const socket = connect(redis.port, "127.0.0.1")
    socket.write("SUBSCRIBE copies\r\n")
    socket.resume()
    return socket
  })
  await pass(500)
  const copied = await publish()
  for (const socket of sockets) socket.destroy()
  const each = (what) => Number(((copied[what] - alone[what]) / SUBSCRIBERS / TIMES).toPrecision(3))
  return { redis_cpu_us: each("cpu"), redis_bytes_out: each("out") }
}

const report = {}
/** The cost of each of `count` operations, without the idle cost of the nodes. */
async function measured(name, count, work) {
  const before = await counters()
  const began = performance.now()
  await work()
  // Statistics of PostgreSQL come up to a second late.
  await pass(1_500)
  const seconds = (performance.now() - began) / 1000
  const after = await counters()
  const each = {}
  for (const key of Object.keys(before)) {
    if (key === "memory") continue
    const quiet = name === "quiet" ? 0 : (report.quiet?.[key] ?? 0) * seconds
    each[key] = Number(((after[key] - before[key] - quiet) / count).toPrecision(3))
  }
  report[name] = each
  process.stderr.write(`${name}: ${seconds.toFixed(1)} s\n`)
  return { before, after }
}

try {
  await pass(3_000)
  const QUIET = 10
  await measured("quiet", QUIET + 1.5, () => pass(QUIET * 1000))
  report.copy = await copies()
  let clients
  const names = Array.from({ length: users }, (_, number) => `user-${String(number).padStart(6, "0")}`)
  const joined = await measured("join", users, async () => {
    clients = await joinAll(one.url, names, 64)
  })
  const grew = (what) => Math.round((joined.after.memory[what] - joined.before.memory[what]) / users)
  report.memory = {
    redis: grew("redis"),
    node_of_the_user: grew("one"),
    another_node: grew("two"),
    empty_node: joined.before.memory.one,
  }
  const everyone = [...clients.values()]
  await measured("heartbeat", users * HEARTBEATS, async () => {
    for (let round = 0; round < HEARTBEATS; round++)
      for (let first = 0; first < users; first += 500) {
        const some = everyone.slice(first, first + 500)
        await Promise.all(some.map((client) => client.ask("user_activity", { active: true })))
      }
  })
  const receivers = Array.from({ length: PAIRS }, (_, pair) => `receiver-${pair}`)
  const receiving = await joinAll(two.url, receivers, 50)
  const conversations = await Promise.all(
    receivers.map((receiver, pair) => conversationOf(one, names[pair], receiver)),
  )
  const send = async (pair, lanes = IN_FLIGHT, total = messages / PAIRS) => {
    const sender = clients.get(names[pair])
    let left = total
    const lane = async () => {
      while (left-- > 0) {
        const answer = await sender.ask("send_private_message", {
          conversationId: conversations[pair],
          content: CONTENT,
          clientMessageId: crypto.randomUUID(),
        })
        if (!answer.success) throw new Error(JSON.stringify(answer))
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
  }
  await measured("message", messages, () => Promise.all(receivers.map((_, pair) => send(pair))))
  // As on many nodes, each of which has few messages at a time: no batches.
  await measured("message_alone", ALONE, () => send(0, 1, ALONE))
  await measured("departure", users, async () => {
    for (const client of everyone) client.cut()
    await pass(8_000)
  })
  await measured("return", users, async () => {
    clients = await joinAll(one.url, names, 64)
  })
  // The reads of a page that opens: the conversations, and the newest messages of one.
  await measured("opening", OPENINGS, async () => {
    let left = OPENINGS
    const lane = async () => {
      for (let n = left--; n > 0; n = left--) {
        const pair = n % PAIRS
        const as = names[pair]
        const list = await get(one, "/api/privatechat/conversations?limit=50", { as })
        const page = await get(one, `/api/privatechat/messages/${conversations[pair]}?limit=50`, { as })
        if (list.status !== 200 || page.body?.data?.length !== 50)
          throw new Error(`${list.text} ${page.text}`)
      }
    }
    await Promise.all(Array.from({ length: 16 }, lane))
  })
  for (const client of [...clients.values(), ...receiving.values()]) client.cut()
  console.log(JSON.stringify(report, null, 2))
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await cluster.dispose()
  await Promise.all([redis.stop(), postgres.stop()])
  // Connections of clients that were cut may be on their way.
  process.exit()
}
