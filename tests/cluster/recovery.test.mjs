// A client that requested recovery gets its connection back on any node.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { conversationOf, crowd, somebody } from "../e2e/support/person.mjs"
import { startProxied } from "../e2e/support/proxied.mjs"
import { OPEN } from "../e2e/support/server.mjs"
import { pass, until } from "../e2e/support/wait.mjs"

/** @type {Awaited<ReturnType<typeof startProxied>>} */
let cluster
before(async () => {
  cluster = await startProxied({ settings: { ...OPEN, PRESENCE_GRACE: "5s" } })
})
after(() => cluster.stop())

const RECOVERY = { query: { recovery: 1 } }

/** The connection is lost, as a network loses it. */
async function lose(client) {
  client.cut()
  await until(() => !client.socket.connected)
}

/** The client returns to this node. Returns whether its connection was recovered. */
async function back(client, node) {
  client.socket.io.uri = node.url
  client.socket.connect()
  await client.connected()
  assert.equal(client.socket.io.engine.id.split(".")[0], await tagOf(node))
  return Boolean(client.socket.recovered)
}

const tags = new Map()
/** The tag in the ids of a node's sessions. */
async function tagOf(node) {
  const known = tags.get(node)
  if (known?.pid === node.server.pid) return known.tag
  const opened = await fetch(`${node.url}/api/socketio/?EIO=4&transport=polling`)
  const tag = JSON.parse((await opened.text()).slice(1)).sid.split(".")[0]
  tags.set(node, { pid: node.server.pid, tag })
  return tag
}

const numbersOf = (client, since) => client.messages(since).map(({ content }) => Number(content))
const upTo = (count) => Array.from({ length: count }, (_, n) => n)

/** The types of the changes of a user that a client saw. */
const types = (client, user, since = 0) =>
  client
    .all("presence_changes", since)
    .flatMap(({ changes }) => changes)
    .filter((change) => change.userId === user)
    .map((change) => change.type)

test("C14, P4: a client that moves between nodes while others write gets each event once and does not go offline", async (t) => {
  const [one, two, three] = cluster.nodes.map((node) => crowd(t, node))
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const observer = await three.join(somebody("observer"), { roster: "diff" })
  const client = await one.join(asha, { options: RECOVERY })
  const [left, right] = [await two.join(ben), await three.join(ben)]
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  await observer.seesOnline(asha)
  const since = observer.mark()
  const { id: before } = client
  let sent = 0
  let isOver = false
  // One writer whose sends alternate between two nodes, each after the one before.
  const writing = (async () => {
    while (!isOver) {
      const answer = await (sent % 2 ? left : right).send(id, String(sent))
      assert.ok(answer.success)
      sent += 1
    }
  })()
  for (let hop = 1; hop <= 24; hop++) {
    const next = sent + 3
    await until(() => sent >= next, "", 20_000)
    if (hop % 2) await lose(client)
    else client.socket.io.engine.close()
    await until(() => !client.socket.connected)
    assert.equal(await back(client, cluster.nodes[hop % 3]), true, `hop ${hop}`)
    assert.equal(client.id, before)
  }
  isOver = true
  await writing
  await until(() => client.messages().length >= sent, "", 20_000).catch(() => {})
  assert.deepEqual(numbersOf(client), upTo(sent))
  const { headSeq } = (await left.must("sync", { conversations: { [id]: 0 } })).conversations[id]
  await left.sees("receipt", (one) => one.userId === asha && one.deliveredSeq >= headSeq, { within: 20_000 })
  // Presence answers requests of the session where it is now.
  await client.must("set_activity", { activity: { kind: "in_call" } })
  await observer.knows(asha, (one) => one.activities?.length === 1)
  assert.ok(!types(observer, asha, since).includes("offline"))
  client.close()
  await observer.seesOffline(asha, 20_000)
})

test("C14: a second recovery restores nothing, on a third node or the first", async (t) => {
  const [one, two] = cluster.nodes.map((node) => crowd(t, node))
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const client = await one.join(asha, { options: RECOVERY })
  const writer = await two.join(ben)
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  await writer.send(id, "0")
  await client.sees("new_private_message")
  for (const [round, place] of [1, 2, 0, 2, 1].entries()) {
    await lose(client)
    await writer.send(id, String(round + 1))
    assert.equal(await back(client, cluster.nodes[place]), true)
    await client.sees("new_private_message", ({ content }) => content === String(round + 1))
    const since = client.mark()
    for (const again of [place, (place + 1) % 3, (place + 2) % 3]) {
      await lose(client)
      assert.equal(await back(client, cluster.nodes[again]), true)
    }
    // A marker: a repeated event would arrive before this message.
    await client.must("sync", { conversations: { [id]: 0 } })
    assert.deepEqual(numbersOf(client, since), [])
  }
  assert.deepEqual(numbersOf(client), upTo(6))
})

test("C14: the mode and the watched users are restored on another node, with missed changes", async (t) => {
  const [one, two, three] = cluster.nodes.map((node) => crowd(t, node))
  const [gone, come, still] = [somebody("gone"), somebody("come"), somebody("still")]
  const first = await three.join(gone)
  await three.join(still)
  const watcher = await one.join(somebody("watcher"), { roster: "watch", options: RECOVERY })
  const lists = await two.join(somebody("lists"), { roster: "diff", options: RECOVERY })
  await watcher.must("watch_presence", { userIds: [gone, come, still] })
  for (const who of [gone, still]) await lists.seesOnline(who)
  await lose(watcher)
  await lose(lists)
  await first.must("set_status", { status: "invisible" })
  await three.join(come)
  const observer = await three.join(somebody("observer"), { roster: "diff" })
  await observer.seesOnline(come)
  await observer.seesOffline(gone, 20_000)
  const since = watcher.mark()
  assert.equal(await back(watcher, cluster.nodes[1]), true)
  assert.equal(await back(lists, cluster.nodes[2]), true)
  await watcher.knows(gone, (one) => !one.status)
  await watcher.seesOnline(come)
  await watcher.seesOnline(still)
  assert.equal(watcher.all("online_users", since).length, 0)
  await lists.seesOnline(come)
  await lists.seesOffline(gone)
  // Both go on to follow.
  await first.must("set_status", { status: "online" })
  await watcher.seesOnline(gone)
  await lists.seesOnline(gone)
  const stranger = somebody("stranger")
  await three.join(stranger)
  await lists.seesOnline(stranger)
  assert.ok(!types(watcher, stranger).length)
})

test("C14: if a node hangs or was killed, the client soon gets a new connection, and sync returns the entries", async (t) => {
  const [one, two] = cluster.nodes.map((node) => crowd(t, node))
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const clients = [await one.join(asha, { options: RECOVERY }), await one.join(asha, { options: RECOVERY })]
  const writer = await two.join(ben)
  const id = await conversationOf(cluster.nodes[1], asha, ben)
  await writer.send(id, "0")
  for (const client of clients) {
    await client.sees("new_private_message")
    await lose(client)
  }
  const check = async (client) => {
    const since = client.mark()
    const began = performance.now()
    assert.equal(await back(client, cluster.nodes[1]), false)
    assert.ok(performance.now() - began < 15_000, "no timeout of a socket")
    await client.must("join_user", asha)
    const { conversations } = await client.must("sync", { conversations: { [id]: 1 } })
    const { entries } = conversations[id]
    assert.deepEqual(
      entries.map((entry) => entry.content),
      upTo(entries.length).map((n) => String(n + 1)),
    )
    assert.equal(client.messages(since).length, 0)
    return entries.length
  }
  const [victim] = cluster.nodes
  await tagOf(cluster.nodes[1])
  process.kill(victim.server.pid, "SIGSTOP")
  try {
    await writer.send(id, "1")
    assert.equal(await check(clients[0]), 1)
  } finally {
    process.kill(victim.server.pid, "SIGCONT")
  }
  await victim.server.kill()
  await writer.send(id, "2")
  await clients[0].sees("new_private_message", ({ content }) => content === "2")
  assert.equal(await check(clients[1]), 2)
  // The node that came back under the same name knows nothing of it.
  await victim.server.start()
  await lose(clients[1])
  await pass(100)
  assert.equal(await back(clients[1], victim), true, "the new connection moves as any")
})
