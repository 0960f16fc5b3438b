// Users on several nodes behave like users on one.
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { after, before, test } from "node:test"
import { conversationOf, crowd, get, post, put, somebody } from "../e2e/support/person.mjs"
import { startProxied } from "../e2e/support/proxied.mjs"
import { OPEN, SERVER_KEY } from "../e2e/support/server.mjs"
import { pass, until } from "../e2e/support/wait.mjs"

/** On a loaded machine, coming back on another node takes more than a second. */
const GRACE_MS = 3_000
/** Longer than the grace period and the second in which a change is sent. */
const TOLD_MS = GRACE_MS + 1_200

/** @type {Awaited<ReturnType<typeof startProxied>>} */
let cluster
before(async () => {
  cluster = await startProxied({
    settings: { ...OPEN, SERVER_KEY, PRESENCE_GRACE: `${GRACE_MS / 1_000}s` },
    postgres: { log_statement: "all" },
  })
})
after(() => cluster.stop())

/** Functions to create users on each node. */
const on = (t) => cluster.nodes.map((node) => crowd(t, node))

/** The types of the changes of a user that a client saw. */
const types = (client, user, since = 0) =>
  client
    .all("presence_changes", since)
    .flatMap(({ changes }) => changes)
    .filter((change) => change.userId === user)
    .map((change) => change.type)

test("C6, P8: a user with tabs on three nodes is online until the last one closes, in any order", async (t) => {
  const [one, two, three] = on(t)
  const user = somebody("tabs")
  const observer = await one.join(somebody("observer"), { roster: "diff" })
  const tabs = [await one.join(user), await two.join(user), await three.join(user)]
  await observer.seesOnline(user)
  const since = observer.mark()
  for (const tab of [tabs[1], tabs[0]]) {
    tab.close()
    await pass(TOLD_MS)
    for (const node of cluster.nodes) {
      const { data } = (await get(node, "/api/online-users?limit=200")).body
      assert.ok(data.some((one) => one.userId === user))
    }
  }
  assert.deepEqual(types(observer, user, since), [])
  tabs[2].cut()
  await observer.seesOffline(user)
  assert.deepEqual(types(observer, user, since), ["offline"])
})

test("P4: a return on another node within the grace period sends no event", async (t) => {
  const [one, two, three] = on(t)
  const user = somebody("hopper")
  const observers = [
    await one.join(somebody("observer"), { roster: "diff" }),
    await three.join(somebody("observer"), { roster: "diff" }),
  ]
  let tab = await one.join(user)
  for (const observer of observers) await observer.seesOnline(user)
  const marks = observers.map((observer) => observer.mark())
  for (const place of [two, three, one, two]) {
    tab.cut()
    tab = await place.join(user)
  }
  await pass(TOLD_MS)
  for (const [index, observer] of observers.entries()) {
    assert.deepEqual(types(observer, user, marks[index]), [])
  }
})

test("C7: a member added on one node immediately gets messages that another node stores", async (t) => {
  const [one, two, three] = on(t)
  const times = []
  for (let round = 0; round < 10; round++) {
    const [asha, ben, carl] = [somebody("asha"), somebody("ben"), somebody("carl")]
    const sender = await one.join(asha)
    const member = await three.join(carl)
    const id = `c7-${randomUUID()}`
    const path = `/api/privatechat/conversations/${id}`
    await put(cluster.nodes[1], path, { memberIds: [asha, ben] }, { token: SERVER_KEY })
    // All nodes know who is in it.
    assert.equal((await sender.send(id, "before")).success, true)
    const added = await put(cluster.nodes[1], path, { memberIds: [asha, ben, carl] }, { token: SERVER_KEY })
    assert.equal(added.body.success, true, added.text)
    const began = performance.now()
    assert.equal((await sender.send(id, "after")).success, true)
    await member.sees("new_private_message", (message) => message.content === "after")
    times.push(performance.now() - began)
    await two.join(ben)
  }
  // Entries that the bus does not deliver come from the log, within 5 s. A loaded machine makes some of these slow, and not most.
  times.sort((one, other) => one - other)
  assert.ok(times[4] < 3_000, String(times))
})

test("M1: one clientMessageId sent on all nodes and wires at once is stored once with one answer", async (t) => {
  const places = on(t)
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  const sockets = await Promise.all(places.map((place) => place.join(asha)))
  const receiver = await places[2].join(ben)
  const rounds = 10
  for (let round = 0; round < rounds; round++) {
    const body = { conversationId: id, content: `round ${round}`, clientMessageId: randomUUID() }
    const answers = await Promise.all([
      ...sockets.map((socket) => socket.ask("send_private_message", body)),
      ...cluster.nodes.map(
        async (node) => (await post(node, "/api/privatechat/message", body, { as: asha })).body,
      ),
    ])
    const messages = new Set(
      answers.map((answer) => JSON.stringify([answer.message?.id, answer.message?.seq])),
    )
    assert.deepEqual([...messages], [JSON.stringify([answers[0].message.id, round + 1])])
    assert.equal(answers.filter((answer) => !answer.duplicate).length, 1)
  }
  await until(() => receiver.messages().length >= rounds)
  await pass(300)
  assert.deepEqual(
    receiver.messages().map((message) => message.seq),
    Array.from({ length: rounds }, (_, round) => round + 1),
  )
})

test("M4: messages that all nodes store at once are numbered without gaps and arrive in order everywhere", async (t) => {
  const places = on(t)
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  const senders = await Promise.all(places.map((place) => place.join(asha)))
  const receivers = await Promise.all(places.map((place) => place.join(ben)))
  // A node delivers the first entry that it sees of a conversation at once, whatever its place: see domain/ordering.rs.
  await senders[0].send(id, "first")
  for (const receiver of receivers) await until(() => receiver.messages().length === 1)
  const each = 40
  const answers = await Promise.all(
    senders.flatMap((sender, node) =>
      Array.from({ length: each }, (_, n) => sender.send(id, `${node}, ${n}`)),
    ),
  )
  assert.ok(answers.every((answer) => answer.success))
  const all = Array.from({ length: 1 + 3 * each }, (_, n) => n + 1)
  for (const receiver of receivers) {
    await until(() => receiver.messages().length >= all.length)
    assert.deepEqual(
      receiver.messages().map((message) => message.seq),
      all,
    )
  }
})

test("C9: a position ahead of the log is answered at once, on every node", async (t) => {
  const places = on(t)
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  await (await places[0].join(asha)).send(id, "only")
  for (const place of places) {
    const client = await place.join(ben)
    const began = performance.now()
    const answer = await client.must("sync", { conversations: { [id]: 1_000 } })
    assert.ok(performance.now() - began < 10_000)
    assert.equal(answer.conversations[id].reset, true, JSON.stringify(answer))
    assert.equal(answer.conversations[id].headSeq, 1)
  }
  // Operators see how far the follower of the log is: exactly one node leads, and it is not behind.
  const positions = async () => {
    const texts = await Promise.all(cluster.nodes.map(async (node) => (await get(node, "/metrics")).text))
    const value = (text, name) =>
      Number(new RegExp(`^lamplight_republisher_${name} (\\d+)$`, "m").exec(text)?.[1])
    const leaders = texts.filter((text) => value(text, "leader") === 1)
    return leaders.map((text) => value(text, "behind"))
  }
  await until(async () => (await positions()).join() === "0", "the leader has read the whole log", 20_000)
})

test("C3: a stopping node stalls no request on the others, and its users do not go offline", async (t) => {
  const [one, , three] = on(t)
  const user = somebody("mover")
  const observer = await one.join(somebody("observer"), { roster: "diff" })
  const tab = await three.join(user)
  await observer.seesOnline(user)
  const since = observer.mark()
  const stopped = cluster.nodes[2].server.stop()
  const began = performance.now()
  let slowest = 0
  let isDown = false
  stopped.then(() => {
    isDown = true
  })
  await tab.sees("(disconnect)")
  await one.join(user)
  while (!isDown || performance.now() - began < 2_500) {
    for (const node of cluster.nodes.slice(0, 2)) {
      const asked = performance.now()
      assert.equal((await get(node, "/api/online-users?limit=200")).status, 200)
      slowest = Math.max(slowest, performance.now() - asked)
    }
    await pass(20)
  }
  assert.deepEqual(await stopped, { code: 0, signal: null })
  t.diagnostic(`the slowest request took ${slowest.toFixed(0)} ms`)
  // The others waited up to 30 s for it in the report; a loaded machine takes some of that too.
  assert.ok(slowest < 8_000, `${slowest} ms`)
  assert.deepEqual(types(observer, user, since), [])
  await cluster.nodes[2].start()
})

test("C19: a send costs no NOTIFY of its own", async (t) => {
  const [one] = on(t)
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(cluster.nodes[0], asha, ben)
  const sender = await one.join(asha)
  await Promise.all(Array.from({ length: 100 }, (_, n) => sender.send(id, `${n}`)))
  const log = cluster.postgres.output
  assert.match(log, /INSERT INTO/i, "the statements are logged")
  const notified = log.match(/\b(NOTIFY|pg_notify)\b/gi)?.length ?? 0
  assert.equal(notified, 0)
})
