// kill -9 in mid-send, and a full disk: no message is lost or duplicated.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import { stat } from "node:fs/promises"
import { join as path } from "node:path"
import { test } from "node:test"
import { promisify } from "node:util"
import { conversationOf, crowd, get, post, put } from "./support/person.mjs"
import { isCluster, lockStore, OPEN, oneNodeOnly, SERVER_KEY, serve } from "./support/server.mjs"
import { pass, until } from "./support/wait.mjs"

const run = promisify(execFile)
const SENDERS = ["asha", "ben", "carl", "dora"]
const EACH = 50
/** The store answers within 4 s; a loaded machine adds to that. */
const REFUSED_WITHIN_MS = 8_000

async function whole(server, id, as) {
  const all = []
  for (;;) {
    const after = all.at(-1)?.seq ?? 0
    const path = `/api/privatechat/messages/${id}?after=${after}&limit=200`
    // Again where nginx has just lost a node, as a client does.
    const page = async () => (await get(server, path, { as }).catch(() => null))?.body
    const body = await until(page)
    all.push(...body.data)
    if (!body.hasMore) return all
  }
}

/** Kills and restarts the server, which on a cluster is all nodes. */
const ALL = {
  kill: (server) => server.kill(),
  start: (server) => server.start(),
}

/** One node of a cluster, another one in each round. The others go on, and take its clients. */
const ONE = {
  kill: (server, round) => server.nodes[round].kill(),
  start: (server, round) => server.nodes[round].start(),
}

test("M1, M3, M4, M10: kill -9 with 200 sends in flight, three times, neither loses nor duplicates a message", (t) =>
  killInMidSend(t, ALL))

const skip = isCluster ? false : "needs three nodes: run it by run-cluster.mjs"
test(
  "M1, M3, M4, M10: kill -9 of one of three nodes neither loses nor duplicates a message while the others serve",
  { skip },
  (t) => killInMidSend(t, ONE),
)

/** Joins as a client does: again, where a node has just died or a store on a loaded machine is late. */
const persistently = (join) => (user) => until(() => join(user).catch(() => null), `${user} joins`, 60_000)

async function killInMidSend(t, { kill, start }) {
  const server = await serve(t, { ...OPEN, SERVER_KEY })
  const id = "room"
  const members = [...SENDERS, "listener"]
  await put(server, `/api/privatechat/conversations/${id}`, { memberIds: members }, { token: SERVER_KEY })
  let total = 0
  let seenByListener = []
  for (const round of [0, 1, 2]) {
    const join = persistently(crowd(t, server).join)
    const listener = await join("listener")
    const people = await Promise.all(
      SENDERS.map(async (user) => {
        const items = Array.from({ length: EACH }, (_, n) => ({
          conversationId: id,
          content: `${user}, round ${round}, message ${n}`,
          clientMessageId: randomUUID(),
        }))
        return { user, items, client: await join(user), acknowledged: new Map() }
      }),
    )
    let killed
    const acknowledged = () => people.reduce((sum, person) => sum + person.acknowledged.size, 0)
    const pour = async ({ items, client, acknowledged: known }) => {
      for (const [index, item] of items.entries()) {
        client.socket.emit("send_private_message", item, (answer) => {
          if (!answer.success) return
          known.set(item.clientMessageId, answer.message)
          // At another moment each time: before, at and amid the first acknowledgements, and not a moment later.
          if (acknowledged() === [0, 1, 90][round]) killed ??= kill(server, round)
        })
        // Half of them at once, the others while those are answered, so that there is a middle to kill it in.
        if (index >= EACH / 2 && index % 3 === 0) await pass(1)
      }
    }
    const poured = Promise.all(people.map(pour))
    if (round === 0) killed ??= kill(server, round)
    await poured
    await until(() => killed, "it is killed amid the acknowledgements")
    await killed
    // Clients of the other nodes get all answers.
    await until(() => people.every((one) => !one.client.socket.connected || one.acknowledged.size === EACH))
    const before = acknowledged()
    seenByListener = listener.messages()
    if (kill === ALL.kill) await start(server, round)

    // Like a client that returns: repeat everything unanswered, in order, with the same ids.
    const rejoin = persistently(crowd(t, server).join)
    await Promise.all(
      people.map(async ({ user, items, acknowledged }) => {
        const client = await rejoin(user)
        const open = items.filter((item) => !acknowledged.has(item.clientMessageId))
        const answers = await Promise.all(open.map((item) => client.must("send_private_message", item)))
        for (const { message } of answers) acknowledged.set(message.clientMessageId, message)
      }),
    )
    total += SENDERS.length * EACH
    const log = await whole(server, id, "listener")
    t.diagnostic(
      `round ${round}: killed after ${before} acknowledgements, ${seenByListener.length} seen by the listener`,
    )
    assert.deepEqual(
      log.map((message) => message.seq),
      Array.from({ length: total }, (_, n) => n + 1),
      "M4: seq without gaps",
    )
    assert.equal(new Set(log.map((message) => message.clientMessageId)).size, total, "M1: nothing doubled")
    const bySeq = new Map(log.map((message) => [message.seq, message]))
    for (const { user, items, acknowledged } of people) {
      const theirs = log.filter((message) => message.senderId === user).slice(-EACH)
      assert.deepEqual(
        theirs.map((message) => message.content),
        items.map((item) => item.content),
        "M5: their order",
      )
      for (const message of acknowledged.values()) {
        assert.deepEqual(bySeq.get(message.seq), message, "M3: acknowledged is durable")
      }
    }
    for (const message of seenByListener) {
      assert.deepEqual(bySeq.get(message.seq), message, "M10: only what is committed is delivered")
    }
    // M10: what was committed and not delivered heals by sync.
    const healed = await rejoin("listener")
    const from = seenByListener.at(-1)?.seq ?? total - SENDERS.length * EACH
    const { conversations } = await healed.must("sync", { conversations: { [id]: from } })
    assert.equal(conversations[id].headSeq, total)
    assert.equal(conversations[id].entries[0]?.seq ?? total + 1, from + 1)
    if (kill === ONE.kill) await start(server, round)
  }
}

const full = { skip: oneNodeOnly("fills the disk of a SQLite file") }
test(
  "M13: with a full disk sends fail in time without an acknowledgement, and the server recovers by itself",
  full,
  async (t) => {
    // The signal for a file past its limit would end the process; a full disk sends none.
    const wrapper = ["/bin/sh", "-c", 'trap "" XFSZ; exec "$0" "$@"']
    const server = await serve(t, OPEN, wrapper)
    const { join } = crowd(t, server)
    const id = await conversationOf(server, "a", "b")
    const asha = await join("a")
    const ben = await join("b")
    const limit = (bytes) => run("prlimit", ["--pid", String(server.pid), `--fsize=${bytes}:unlimited`])
    const content = "x".repeat(8_000)
    let stored = 0
    const send = async (more = {}) => {
      const clientMessageId = randomUUID()
      const began = performance.now()
      const answer = await asha.ask("send_private_message", {
        conversationId: id,
        content,
        clientMessageId,
        ...more,
      })
      return { answer, clientMessageId, took: performance.now() - began }
    }
    for (let n = 0; n < 5; n++) {
      await send()
      stored++
    }
    const sizes = await Promise.all(
      ["lamplight.db", "lamplight.db-wal"].map((name) =>
        stat(path(server.home, "data", name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    )
    await limit(Math.max(...sizes) + 20_000)
    const refused = []
    let slowest = 0
    for (let n = 0; n < 20 && refused.length < 4; n++) {
      const { answer, clientMessageId, took } = await send()
      slowest = Math.max(slowest, took)
      if (answer.success) stored++
      else {
        assert.equal(answer.code, "unavailable", JSON.stringify(answer))
        assert.equal(answer.retryable, true)
        refused.push(clientMessageId)
      }
    }
    assert.equal(refused.length, 4, "the disk was not full")
    t.diagnostic(`the slowest answer on a full disk came after ${slowest.toFixed(0)} ms`)
    assert.ok(slowest < REFUSED_WITHIN_MS, `${slowest} ms`)
    const http = await post(
      server,
      "/api/privatechat/message",
      { conversationId: id, content, clientMessageId: refused[0] },
      { as: "a" },
    )
    assert.equal(http.status, 503, http.text)
    assert.ok(http.headers.get("retry-after"))
    // The probe's own write is small and may still have fitted.
    const readiness = await until(async () => {
      const answer = await get(server, "/readyz")
      return answer.status === 503 && answer
    }, "it is not ready")
    assert.match(readiness.body.error, /takes no writes/)
    assert.equal((await get(server, "/healthz")).status, 200)
    // Stored messages can be read meanwhile, and presence works.
    const { data } = (await get(server, `/api/privatechat/messages/${id}?limit=200`, { as: "b" })).body
    assert.equal(data.length, stored)
    assert.equal(ben.messages().length, stored, "M10: only what is committed is delivered")
    assert.equal((await get(server, "/api/online-users?countOnly=true")).body.count, 2)

    await limit("unlimited")
    await until(
      async () => (await get(server, "/readyz")).status === 200,
      "it is ready without anyone's write",
    )
    await until(
      async () => (await send({ clientMessageId: refused[0] })).answer.success,
      "it recovered",
      10_000,
    )
    for (const clientMessageId of refused.slice(1)) {
      assert.equal((await send({ clientMessageId })).answer.success, true)
    }
    await until(async () => (await get(server, "/readyz")).status === 200)
    const log = await whole(server, id, "b")
    assert.deepEqual(
      log.map((message) => message.seq),
      Array.from({ length: stored + 4 }, (_, n) => n + 1),
    )
    await server.kill()
    await server.start()
    assert.deepEqual(await whole(server, id, "b"), log)
  },
)

test("M13: with a database locked by another process sends are unavailable within 4 s, and work once it is unlocked", async (t) => {
  const server = await serve(t, OPEN)
  const { join } = crowd(t, server)
  const id = await conversationOf(server, "a", "b")
  const asha = await join("a")
  await asha.send(id, "before")
  // Users of their own, on a cluster on several nodes: their connections to the database have not prepared a send yet.
  const others = await Promise.all(
    ["c", "d", "e", "f"].map(async (user) => ({
      client: await join(user),
      id: await conversationOf(server, user, "b"),
    })),
  )
  const holder = await lockStore(server, "entries")
  t.after(() => holder?.kill("SIGKILL"))
  if (!holder) return t.skip("the server lets no other hold its database")
  const clientMessageId = randomUUID()
  const began = performance.now()
  const [answer, ...more] = await Promise.all([
    asha.send(id, "meanwhile", { clientMessageId }),
    ...others.map((one) => one.client.send(one.id, "meanwhile")),
  ])
  const took = performance.now() - began
  t.diagnostic(`answered ${answer.code} after ${took.toFixed(0)} ms`)
  for (const one of [answer, ...more]) assert.equal(one.code, "unavailable", JSON.stringify(one))
  assert.ok(took < REFUSED_WITHIN_MS, `${took} ms`)
  assert.equal((await get(server, `/api/privatechat/messages/${id}`, { as: "b" })).body.data.length, 1)
  holder.kill("SIGKILL")
  await until(async () => (await asha.send(id, "meanwhile", { clientMessageId })).success)
  const log = await whole(server, id, "b")
  assert.deepEqual(
    log.map((message) => message.content),
    ["before", "meanwhile"],
  )
})
