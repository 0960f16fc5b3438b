// Three nodes behind a round robin: each request of a client may reach another node, and nodes stop and start.
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { io } from "socket.io-client"
import { conversationOf, crowd } from "./support/person.mjs"
import { isCluster, OPEN, serve } from "./support/server.mjs"
import { pass, until } from "./support/wait.mjs"

const GRACE = { ...OPEN, PRESENCE_GRACE: "5s" }

const skip = isCluster ? false : "needs three nodes: run it by run-cluster.mjs"

/** The tag in the id of a client's session. */
const tagOf = (client) => client.socket.io.engine.id.split(".")[0]

describe("without sticky sessions", { concurrency: 3, skip }, () => {
  for (const [name, transports] of [
    ["polling only", ["polling"]],
    ["the upgrade", ["polling", "websocket"]],
    ["WebSocket only", ["websocket"]],
  ])
    test(`${name}: with every request on another node, messages arrive once and in order`, async (t) => {
      const server = await serve(t, GRACE)
      const { join } = crowd(t, server)
      const id = await conversationOf(server, "asha", "ben")
      const asha = await join("asha", { roster: "diff", options: { transports } })
      const ben = await join("ben", { options: { transports } })
      await asha.seesOnline("ben")
      const large = "x".repeat(7_000)
      for (let n = 0; n < 30; n++) {
        const from = n % 2 ? asha : ben
        assert.ok((await from.send(id, `${n} ${large}`)).success)
      }
      await until(() => asha.messages().length === 15 && ben.messages().length === 15)
      const numbers = (client) => client.messages().map((message) => Number(message.content.split(" ")[0]))
      assert.deepEqual(
        numbers(asha),
        Array.from({ length: 15 }, (_, n) => 2 * n),
      )
      assert.deepEqual(
        numbers(ben),
        Array.from({ length: 15 }, (_, n) => 2 * n + 1),
      )
      if (transports.length === 2)
        await until(() => [asha, ben].every((one) => one.socket.io.engine.transport.name === "websocket"))
    })

  test("C1: clients of a killed node reconnect to another one", async (t) => {
    const server = await serve(t, GRACE)
    const { join } = crowd(t, server)
    const options = { transports: ["polling"], reconnection: true }
    const people = await Promise.all(Array.from({ length: 6 }, (_, n) => join(`p${n}`, { options })))
    const tags = new Set(people.map(tagOf))
    assert.equal(tags.size, 3, "round robin spreads the sessions")
    const [victim] = server.nodes
    await victim.kill()
    const isBack = (one) => one.socket.connected && one.socket.io.engine.id
    await until(() => people.every(isBack) && new Set(people.map(tagOf)).size === 2, "", 20_000)
    for (const [n, one] of people.entries()) await one.must("join_user", `p${n}`)
  })

  test("C14: recovery works on any node", async (t) => {
    const server = await serve(t, GRACE)
    const { join } = crowd(t, server)
    const id = await conversationOf(server, "asha", "ben")
    const tags = new Set()
    for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
      const asha = await join("asha", { options: { query: { recovery: 1 }, transports } })
      const ben = await join("ben")
      const { id: before } = asha
      for (let n = 0; n < 6; n++) {
        asha.cut()
        await until(() => !asha.socket.connected)
        const since = asha.mark()
        await ben.send(id, `missed ${n}`)
        asha.socket.connect()
        await asha.connected()
        assert.equal(asha.socket.recovered, true)
        assert.equal(asha.id, before)
        tags.add(tagOf(asha))
        await ben.send(id, `live ${n}`)
        await asha.sees("new_private_message", ({ content }) => content === `live ${n}`, { since })
        assert.deepEqual(
          asha.messages(since).map(({ content }) => content),
          [`missed ${n}`, `live ${n}`],
        )
      }
      asha.close()
    }
    assert.equal(tags.size, 3, "round robin spreads them")
  })
})

/** A client that comes back on a loaded machine takes some seconds. */
const ROLLING_GRACE_MS = 15_000

test("C3: a rolling restart of three nodes sends no user_offline, and unmodified clients reconnect", {
  skip,
}, async (t) => {
  const server = await serve(t, { ...OPEN, PRESENCE_GRACE: `${ROLLING_GRACE_MS / 1_000}s` })
  const { join } = crowd(t, server)
  const watcher = await join("watcher", { roster: "diff", options: { reconnection: true } })
  const people = []
  for (let n = 0; n < 12; n++) {
    const transports = [["polling"], ["websocket"], ["polling", "websocket"]][n % 3]
    const name = `p${n}`
    const socket = io(server.url, {
      path: "/api/socketio",
      transports,
      forceNew: true,
      reconnectionDelay: 500,
    })
    const person = { name, socket, asked: 0 }
    socket.on("connect", () => socket.emit("join_user", name))
    socket.on("reconnect", ({ afterMs }) => {
      assert.ok(afterMs >= 0 && afterMs < 3_000)
      person.asked += 1
    })
    t.after(() => socket.disconnect())
    people.push(person)
  }
  for (const { name } of people) await watcher.seesOnline(name)
  watcher.socket.on("connect", () => watcher.socket.emit("join_user", { userId: "watcher", roster: "diff" }))
  const since = watcher.mark()
  for (const node of server.nodes) {
    const began = performance.now()
    const { code } = await node.stop()
    assert.equal(code, 0)
    assert.ok(performance.now() - began < 20_000, "exits within 10 s, and what a loaded machine adds")
    await node.start()
    await until(() => people.every(({ socket }) => socket.connected), "everybody is back", 20_000)
    // Some time in which all of them join.
    await pass(2_000)
  }
  await pass(ROLLING_GRACE_MS + 1_500)
  const offline = [
    ...watcher.all("user_offline", since),
    ...watcher
      .all("presence_changes", since)
      .flatMap(({ changes }) => changes.filter((one) => one.type === "offline")),
  ]
  assert.deepEqual(offline, [])
  assert.ok(
    people.some(({ asked }) => asked > 0),
    "the event reached them",
  )
  for (const { name } of people) await watcher.seesOnline(name)
})
