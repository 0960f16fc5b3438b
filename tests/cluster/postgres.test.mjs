// PostgreSQL fails over, refuses writes, and runs out of disk, while nodes keep running.
import assert from "node:assert/strict"
import { execFile, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { mkdir, mkdtemp, open, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { promisify } from "node:util"
import { startCluster } from "../e2e/support/cluster.mjs"
import { conversationOf, crowd, get, somebody } from "../e2e/support/person.mjs"
import { BINARY, OPEN } from "../e2e/support/server.mjs"
import { startPostgres, startRedis } from "../e2e/support/services.mjs"
import { until } from "../e2e/support/wait.mjs"

const run = promisify(execFile)

/** How long a loaded machine may take. */
const PATIENCE = 30_000

/** Nodes on servers of their own, which end with the test. */
async function start(t, { nodes, postgres, own }) {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const cluster = await startCluster({ nodes, redis, postgres, settings: OPEN, own })
  t.after(() => cluster.dispose())
  return cluster
}

async function primary(t, settings) {
  const postgres = await startPostgres(settings)
  t.after(() => postgres.stop())
  return postgres
}

/** Whether every node takes writes. */
async function areReady(nodes) {
  for (const node of nodes) {
    const answer = await get(node, "/readyz").catch(() => null)
    if (answer?.status !== 200) return false
  }
  return true
}

/** An answer, and that it came within 5 s. */
async function soon(answer) {
  const began = performance.now()
  const got = await answer
  const took = performance.now() - began
  assert.ok(took < 5_500, `answered after ${took.toFixed(0)} ms`)
  return got
}

/** The texts of the log, in order. */
async function texts(node, id, as) {
  const all = []
  for (;;) {
    const path = `/api/privatechat/messages/${id}?after=${all.length}&limit=200`
    const { body, text } = await get(node, path, { as })
    assert.ok(body?.data, text)
    all.push(...body.data.map(({ content, seq }) => ({ content, seq })))
    if (!body.hasMore) break
  }
  assert.deepEqual(
    all.map(({ seq }) => seq),
    all.map((_, index) => index + 1),
  )
  return all.map(({ content }) => content)
}

/** Sends until an answer is a refusal, and returns it. */
async function sendUntilRefused(client, id, content, stored) {
  for (;;) {
    const answer = await soon(client.send(id, content, { clientMessageId: randomUUID() }))
    if (!answer.success) return answer
    stored.push(content)
  }
}

test("M3, C10: after a standby is promoted, nodes restart by themselves and ask clients to reconnect", async (t) => {
  const first = await primary(t)
  const standby = await first.standby()
  t.after(() => standby.stop())
  await first.set({ synchronous_standby_names: "*" })
  const hosts = `127.0.0.1:${first.port},127.0.0.1:${standby.port}`
  const own = (_, { database }) => ({
    DATABASE_URL: `postgres://lamplight@${hosts}${new URL(database).pathname}?target_session_attrs=read-write`,
  })
  const { nodes } = await start(t, { nodes: 2, postgres: first, own })
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(nodes[0], asha, ben)
  const [near, far] = [await crowd(t, nodes[0]).join(asha), await crowd(t, nodes[1]).join(ben)]
  const { store } = near.joined
  assert.equal(far.joined.store, store)
  const clientMessageId = randomUUID()
  const stored = []
  for (let n = 0; n < 20; n += 1) {
    const answer = await near.send(id, `text ${n}`, n === 19 ? { clientMessageId } : {})
    assert.equal(answer.success, true, JSON.stringify(answer))
    stored.push(`text ${n}`)
  }
  const pids = nodes.map((node) => node.pid)

  await first.crash()
  const refused = await soon(near.send(id, "nowhere"))
  assert.equal(refused.code, "unavailable", JSON.stringify(refused))
  const promoted = performance.now()
  await standby.promote()
  for (const client of [near, far]) {
    const { afterMs } = await client.sees("reconnect", undefined, { within: PATIENCE })
    assert.ok(afterMs >= 0 && afterMs <= 3_000, String(afterMs))
    await client.sees("(disconnect)", undefined, { within: PATIENCE })
  }
  for (const node of nodes) await until(() => node.log.includes("restarting this node"), "", PATIENCE)
  await until(() => areReady(nodes), "the nodes are ready", PATIENCE)
  t.diagnostic(`ready ${(performance.now() - promoted).toFixed(0)} ms after the promotion`)
  assert.deepEqual(
    nodes.map((node) => node.pid),
    pids,
    "no supervisor was needed",
  )
  const [again, other] = [await crowd(t, nodes[1]).join(asha), await crowd(t, nodes[0]).join(ben)]
  assert.notEqual(again.joined.store, store)
  assert.equal(other.joined.store, again.joined.store, "the nodes agree")
  assert.deepEqual(await texts(nodes[0], id, ben), stored)
  const repeated = await again.send(id, "text 19", { clientMessageId })
  assert.deepEqual([repeated.success, repeated.message?.seq], [true, 20], JSON.stringify(repeated))
  assert.equal((await again.send(id, "after")).success, true)
  await other.sees("new_private_message", ({ content }) => content === "after", { within: PATIENCE })
  assert.deepEqual(await texts(nodes[1], id, asha), [...stored, "after"])
})

test("C10: a restarted node listens on the port that the system chose before", async (t) => {
  const postgres = await primary(t)
  const database = await postgres.database()
  const words = ["serve", "--listen", "127.0.0.1:0", "--auth=open"]
  const env = { PATH: process.env.PATH, DATABASE_URL: database, LISTEN: "127.0.0.1:1" }
  const node = spawn(BINARY, words, { cwd: postgres.directory, env, stdio: ["ignore", "pipe", "inherit"] })
  t.after(() => node.kill("SIGKILL"))
  let text = ""
  node.stdout.on("data", (data) => (text += data))
  const ports = () => [...text.matchAll(/Open http:\/\/127\.0\.0\.1:(\d+)\//g)].map((found) => found[1])
  await until(() => ports().length === 1, "the node is ready", PATIENCE)
  // As in a copy of the database that took its place.
  const change = "UPDATE properties SET value = 'elsewhere' WHERE name = 'fingerprint'"
  await postgres.query(change, new URL(database).pathname.slice(1))
  const isReady = () =>
    fetch(`http://127.0.0.1:${ports()[0]}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
  // A look at its readiness lets the node look at the database.
  await until(async () => (await isReady()) && ports().length === 2, "it begins anew", PATIENCE)
  assert.equal(ports()[1], ports()[0])
})

test("M13: a read-only database refuses sends and answers reads, and takes sends again by itself", async (t) => {
  const postgres = await primary(t)
  const { nodes } = await start(t, { nodes: 1, postgres })
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(nodes[0], asha, ben)
  const client = await crowd(t, nodes[0]).join(asha)
  const stored = []
  await postgres.set({ default_transaction_read_only: "on" })
  const refused = await sendUntilRefused(client, id, "text", stored)
  assert.equal(refused.code, "unavailable", JSON.stringify(refused))
  await until(async () => (await get(nodes[0], "/readyz")).status === 503, "it is not ready", PATIENCE)
  assert.deepEqual(await texts(nodes[0], id, ben), stored)
  await postgres.query("ALTER SYSTEM RESET default_transaction_read_only")
  await postgres.query("SELECT pg_reload_conf()")
  await until(() => areReady(nodes), "it is ready", PATIENCE)
  assert.equal((await client.send(id, "after")).success, true)
  assert.deepEqual(await texts(nodes[0], id, ben), [...stored, "after"])
})

/** A database on a disk of its own. */
class SmallDisk {
  constructor(directory) {
    this.directory = directory
    this.ballast = join(directory, "ballast")
  }

  /** `null` where this process may not mount one. */
  static async mount(t, postgres) {
    const directory = await mkdtemp(join(tmpdir(), "lamplight-small-"))
    const options = ["-t", "tmpfs", "-o", "size=64m,mode=777", "tmpfs", directory]
    const isMounted = await run("mount", options).then(
      () => true,
      () => false,
    )
    t.after(async () => {
      if (isMounted) await run("umount", ["-l", directory])
      await rm(directory, { recursive: true })
    })
    if (!isMounted) return null
    await mkdir(join(directory, "data"))
    await run("chown", ["postgres", join(directory, "data")])
    await postgres.query(`CREATE TABLESPACE small LOCATION '${directory}/data'`)
    return new SmallDisk(directory)
  }

  async fill() {
    const file = await open(this.ballast, "w")
    try {
      for (const block = Buffer.alloc(4_096); ; ) await file.write(block)
    } catch (error) {
      assert.equal(error.code, "ENOSPC")
    } finally {
      await file.close()
    }
  }

  async free() {
    await rm(this.ballast)
  }
}

test("M13: with a full database disk, sends are refused within 5 s, nothing is lost, and sends work again once there is space", async (t) => {
  const postgres = await primary(t)
  const disk = await SmallDisk.mount(t, postgres)
  if (!disk) return t.skip("this process may not mount a disk")
  await postgres.query("CREATE DATABASE small TABLESPACE small")
  const own = () => ({ DATABASE_URL: postgres.url("small") })
  const { nodes } = await start(t, { nodes: 1, postgres, own })
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(nodes[0], asha, ben)
  const client = await crowd(t, nodes[0]).join(asha)
  const stored = []
  await disk.fill()
  // Pages that exist take some.
  const refused = await sendUntilRefused(client, id, "x".repeat(1_500), stored)
  assert.equal(refused.code, "unavailable", JSON.stringify(refused))
  await until(async () => (await get(nodes[0], "/readyz")).status === 503, "it is not ready", PATIENCE)
  assert.deepEqual(await texts(nodes[0], id, ben), stored)
  await disk.free()
  await until(() => areReady(nodes), "it is ready", PATIENCE)
  assert.equal((await client.send(id, "after")).success, true)
  assert.deepEqual(await texts(nodes[0], id, ben), [...stored, "after"])
})
