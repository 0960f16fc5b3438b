// A sign-out holds on every node, also while PostgreSQL takes no writes.
import assert from "node:assert/strict"
import { test } from "node:test"
import { startCluster } from "../e2e/support/cluster.mjs"
import { seconds, token } from "../e2e/support/jwt.mjs"
import { crowd, get, post, put, register } from "../e2e/support/person.mjs"
import { TcpProxy } from "../e2e/support/proxy.mjs"
import { JWT, LOCAL, SERVER_KEY } from "../e2e/support/server.mjs"
import { startPostgres, startRedis } from "../e2e/support/services.mjs"
import { until } from "../e2e/support/wait.mjs"

/** How long a loaded machine may take. */
const PATIENCE = 30_000
const PASSWORD = "a lamp in the window"
const SESSION = "/api/auth/session"

const gone = (client) =>
  client.sees("(disconnect)", (reason) => reason === "io server disconnect", { within: PATIENCE })

async function start(t, nodes) {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()])
  t.after(() => Promise.all([redis.stop(), postgres.stop()]))
  const cluster = await startCluster({ nodes, redis, postgres, settings: LOCAL })
  t.after(() => cluster.dispose())
  return { ...cluster, nodes: cluster.nodes, redis, postgres }
}

async function signIn(node, { username }) {
  const { body } = await post(node, "/api/auth/login", { username, password: PASSWORD })
  return body.token
}

async function refuseWrites(node, postgres, token) {
  await postgres.set({ default_transaction_read_only: "on" })
  // The server's processes read the new setting one after the other.
  const isReadOnly = async () => (await get(node, "/readyz")).status === 503
  await until(isReadOnly, "the store takes no writes", PATIENCE)
  assert.equal((await get(node, SESSION, { token })).status, 200, "it can be read")
}

async function takeWrites(postgres) {
  await postgres.query("ALTER SYSTEM RESET default_transaction_read_only")
  await postgres.query("SELECT pg_reload_conf()")
}

const statusOf = async (node, token) => (await get(node, SESSION, { token })).status

async function isRefused(node, token) {
  await until(async () => (await statusOf(node, token)) === 401, `${node.port} refuses it`, PATIENCE)
}

/** Until nothing waits to be written. */
async function isWritten(node) {
  const nothing = async () => /lamplight_held\{table="ended"\} 0/.test((await get(node, "/metrics")).text)
  await until(nothing, "the sign-outs are written", PATIENCE)
}

test("H11: a sign-out while PostgreSQL accepts no writes applies on every node and survives their restart", async (t) => {
  const { nodes, postgres } = await start(t, 3)
  const asha = await register(nodes[0])
  const phone = { ...asha, token: await signIn(nodes[0], asha) }
  const [far, other] = [await crowd(t, nodes[1]).enter(asha), await crowd(t, nodes[1]).enter(phone)]
  for (const node of nodes) await refuseWrites(node, postgres, asha.token)

  const out = await post(nodes[0], "/api/auth/logout", {}, { token: asha.token })
  assert.deepEqual([out.status, out.body.code], [503, "unavailable"])
  assert.match(out.body.error, /You are signed out/)
  for (const node of nodes) await isRefused(node, asha.token)
  await gone(far)
  for (const node of nodes) assert.equal(await statusOf(node, phone.token), 200)
  await other.must("user_activity")

  // No node that knows of the sign-out is left, and the store still has the session.
  for (const node of nodes) await node.kill()
  const sessions = "SELECT count(*)::int AS count FROM sessions"
  const database = new URL(nodes[0].settings.DATABASE_URL).pathname.slice(1)
  assert.equal(String(await postgres.query(sessions, database)).trim(), "2")
  await takeWrites(postgres)
  await nodes[1].start()
  assert.equal(await statusOf(nodes[1], asha.token), 401, "it is known from the first request on")
  assert.equal(await statusOf(nodes[1], phone.token), 200)
  await isWritten(nodes[1])
  await until(
    async () => String(await postgres.query(sessions, database)).trim() === "1",
    "the store has ended it",
    PATIENCE,
  )
})

test("H11: signing out everywhere without writes ends every earlier session and leaves later ones alone", async (t) => {
  const { nodes, postgres } = await start(t, 2)
  const asha = await register(nodes[0])
  const phone = { ...asha, token: await signIn(nodes[1], asha) }
  const sockets = [await crowd(t, nodes[0]).enter(asha), await crowd(t, nodes[1]).enter(phone)]
  for (const node of nodes) await refuseWrites(node, postgres, asha.token)

  const out = await post(nodes[0], "/api/auth/logout-all", {}, { token: asha.token })
  assert.deepEqual([out.status, out.body.code], [503, "unavailable"])
  for (const socket of sockets) await gone(socket)
  for (const node of nodes) for (const { token } of [asha, phone]) await isRefused(node, token)

  await takeWrites(postgres)
  let later
  await until(async () => (later = await signIn(nodes[1], asha)), "one can sign in", PATIENCE)
  for (const node of nodes) await isWritten(node)
  for (const node of nodes) {
    assert.equal(await statusOf(node, later), 200)
    for (const { token } of [asha, phone]) assert.equal(await statusOf(node, token), 401)
  }
})

test("H11: a node that missed events closes the sockets of sessions that ended in between", async (t) => {
  const { nodes, redis, postgres } = await start(t, 1)
  const asha = await register(nodes[0])
  const phone = { ...asha, token: await signIn(nodes[0], asha) }
  const [ended, stays] = [await crowd(t, nodes[0]).enter(asha), await crowd(t, nodes[0]).enter(phone)]
  // Ends it like another node whose event gets lost.
  const oldest = "DELETE FROM sessions WHERE created_at = (SELECT min(created_at) FROM sessions)"
  await postgres.query(oldest, new URL(nodes[0].settings.DATABASE_URL).pathname.slice(1))
  await redis.command("CLIENT", "KILL", "TYPE", "pubsub")
  await gone(ended)
  await stays.must("user_activity")
})

test("H11: what a node stored and could not announce before it died holds on the others soon", async (t) => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()])
  t.after(() => Promise.all([redis.stop(), postgres.stop()]))
  const proxy = await new TcpProxy({ port: redis.port }).listen()
  t.after(() => proxy.close())
  const cluster = await startCluster({
    nodes: 3,
    redis,
    postgres,
    settings: { ...LOCAL, MAX_SESSIONS: "2" },
    own: (index) => (index === 0 ? { REDIS_URL: `redis://127.0.0.1:${proxy.port}` } : {}),
  })
  t.after(() => cluster.dispose())
  const [victim, near, far] = cluster.nodes
  const people = {}
  for (const name of ["one", "all", "password", "oldest", "stays", "blocker"])
    people[name] = await register(near, name)
  const { one, all, password, oldest, stays, blocker } = people
  const phone = { ...password, token: await signIn(near, password) }
  await signIn(near, oldest)
  const there = crowd(t, far)
  const sockets = {}
  for (const [name, person] of Object.entries({ ...people, phone }))
    sockets[name] = await there.enter(person, { roster: "diff" })
  await sockets.stays.seesOnline(blocker.user.id)
  await sockets.stays.seesOnline(one.user.id)

  // The node cannot announce what it stores from now on.
  const newest = (await cluster.query("SELECT max(created_at) FROM sessions")).trim()
  proxy.stall()
  const answers = [
    post(victim, "/api/auth/logout", {}, { token: one.token }),
    post(victim, "/api/auth/logout-all", {}, { token: all.token }),
    post(
      victim,
      "/api/auth/password",
      { current: PASSWORD, next: "a lamp at the door" },
      { token: phone.token },
    ),
    signIn(victim, oldest),
    put(victim, `/api/blocks/${stays.user.id}`, undefined, { token: blocker.token }),
  ].map((answer) => answer.catch(() => {}))
  const isStored = async () => {
    const rows = await cluster.query(
      `SELECT count(*) || ' ' || count(*) FILTER (WHERE created_at > ${newest}) || ' ' || (SELECT count(*) FROM blocks)
        FROM sessions`,
    )
    return rows.trim() === "5 1 1"
  }
  await until(isStored, "all is stored", PATIENCE)
  await victim.kill()
  await Promise.all(answers)
  for (const name of ["one", "all", "password", "oldest"]) await gone(sockets[name])
  await sockets.stays.seesOffline(blocker.user.id, PATIENCE)
  await sockets.stays.seesOffline(one.user.id, PATIENCE)
  for (const name of ["phone", "stays", "blocker"]) await sockets[name].must("user_activity")
})

test("H11: the host application signs a user out on every node, also by one that dies before it tells", async (t) => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()])
  t.after(() => Promise.all([redis.stop(), postgres.stop()]))
  const proxy = await new TcpProxy({ port: redis.port }).listen()
  t.after(() => proxy.close())
  const cluster = await startCluster({
    nodes: 3,
    redis,
    postgres,
    settings: { ...JWT, SERVER_KEY },
    own: (index) => (index === 0 ? { REDIS_URL: `redis://127.0.0.1:${proxy.port}` } : {}),
  })
  t.after(() => cluster.dispose())
  const { nodes } = cluster
  const person = (id, claims) => ({ user: { id }, token: token(id, claims) })
  const [asha, ben, cleo] = ["asha", "ben", "cleo"].map((id) => person(id, { iat: seconds() - 5 }))
  const there = nodes.map((node) => crowd(t, node))
  const enter = (one, options) => Promise.all(there.map(({ enter }) => enter(one, options)))
  const [hers, his, watchers] = [await enter(asha), await enter(ben), await enter(cleo, { roster: "diff" })]
  for (const watcher of watchers) for (const id of ["asha", "ben"]) await watcher.seesOnline(id)
  const signOut = (node, id) => post(node, `/api/users/${id}/sign-out`, {}, { token: SERVER_KEY })
  const isRefused = async (node, one) =>
    assert.equal((await get(node, "/api/privatechat/conversations", { token: one.token })).status, 401)

  assert.deepEqual((await signOut(nodes[1], "asha")).body, { success: true })
  for (const socket of hers) await gone(socket)
  for (const watcher of watchers) {
    const isHers = (change) => change.userId === "asha" && change.type === "offline"
    const { changes } = await watcher.sees("presence_changes", (batch) => batch.changes.some(isHers))
    assert.equal(changes.find(isHers).reason, "signed_out")
  }
  for (const node of nodes) await isRefused(node, asha)
  const back = await there[2].enter(person("asha", { iat: seconds() + 2 }))

  // What the node stores now, it can tell nobody.
  proxy.stall()
  const answer = signOut(nodes[0], "ben").catch(() => {})
  const stored = "SELECT count(*) FROM people WHERE user_id = 'ben' AND tokens_ended_at IS NOT NULL"
  await until(async () => (await cluster.query(stored)).trim() === "1", "it is stored", PATIENCE)
  await nodes[0].kill()
  await answer
  for (const socket of his.slice(1)) await gone(socket)
  for (const node of nodes.slice(1)) await isRefused(node, ben)
  for (const socket of [back, watchers[1], watchers[2]]) await socket.must("user_activity")
  for (const node of nodes) {
    await node.kill()
    await node.start({ ...node.settings, REDIS_URL: redis.url })
    await isRefused(node, ben)
  }
})
