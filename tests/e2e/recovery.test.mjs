// Connection state recovery, for clients that request it in the handshake.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join as path } from "node:path"
import { describe, test } from "node:test"
import { conversationOf, crowd, get, post, register } from "./support/person.mjs"
import { isCluster, LOCAL, OPEN, oneNodeOnly, serve } from "./support/server.mjs"
import { pass, until } from "./support/wait.mjs"

const RECOVERY = { query: { recovery: 1 } }

/** The connection is lost, as a network loses it, and comes back. */
async function back(client) {
  const reconnected = client.connected.bind(client)
  client.socket.connect()
  await reconnected()
  return Boolean(client.socket.recovered)
}

const lose = async (client) => {
  client.cut()
  await until(() => !client.socket.connected)
}

/** Keeps the store from writing, as a backup would, until the answer is called. */
async function hold(server) {
  const script =
    "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); " +
    "db.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
  const holder = spawn("python3", ["-c", script, path(server.home, "data", "lamplight.db")], {
    stdio: ["pipe", "pipe", "inherit"],
  })
  await once(holder.stdout, "data")
  return () => holder.stdin.end()
}

describe("a lost connection", { concurrency: 4 }, () => {
  test("is restored with its roster, its watches and each missed event once and in order", async (t) => {
    const server = await serve(t, { ...OPEN, PRESENCE_GRACE: "5s" })
    const { join } = crowd(t, server)
    const id = await conversationOf(server, "asha", "ben")
    const asha = await join("asha", { roster: "diff", options: RECOVERY })
    const ben = await join("ben", { roster: "diff" })
    await asha.seesOnline("ben")
    for (let round = 0; round < 3; round++) {
      const before = asha.id
      const since = asha.mark()
      await lose(asha)
      for (let n = 0; n < 5; n++) await ben.send(id, `${round}.${n}`)
      const guest = await join(`guest${round}`)
      assert.equal(await back(asha), true, `round ${round}`)
      const { headSeq } = (await ben.must("sync", { conversations: { [id]: 0 } })).conversations[id]
      await ben.sees("receipt", (one) => one.userId === "asha" && one.deliveredSeq >= headSeq)
      assert.equal(asha.id, before)
      await asha.seesOnline(`guest${round}`)
      await ben.send(id, `${round}.live`)
      await asha.sees("new_private_message", (message) => message.content === `${round}.live`, { since })
      const contents = asha.messages(since).map((message) => message.content)
      assert.deepEqual(
        contents,
        [0, 1, 2, 3, 4, "live"].map((n) => `${round}.${n}`),
      )
      // On another node the list is read again.
      const snapshots = asha.all("online_users", since).length
      if (!isCluster) assert.equal(snapshots, 0, "no second snapshot: the stream went on")
      guest.close()
      await asha.seesOffline(`guest${round}`)
      assert.ok((await asha.ask("send_private_message", { conversationId: id, content: "mine" })).success)
    }
    assert.equal(
      ben
        .all("presence_changes")
        .flatMap((all) => all.changes)
        .filter((one) => one.userId === "asha" && one.type === "offline").length,
      0,
      "P4: gone and back within the grace period",
    )
  })

  test("is a new connection for clients without recovery, which then sync", async (t) => {
    const server = await serve(t, OPEN)
    const { join } = crowd(t, server)
    const asha = await join("asha")
    await lose(asha)
    assert.equal(await back(asha), false)
    assert.equal((await asha.ask("user_activity")).code, "unauthenticated")
  })

  test("longer than the grace period shows to others as leaving and returning", async (t) => {
    const server = await serve(t, { ...OPEN, PRESENCE_GRACE: "300ms" })
    const { join } = crowd(t, server)
    const asha = await join("asha", { options: RECOVERY })
    const ben = await join("ben", { roster: "diff" })
    await lose(asha)
    await ben.seesOffline("asha")
    assert.equal(await back(asha), true)
    await ben.seesOnline("asha")
    asha.close()
    await ben.seesOffline("asha")
  })

  const onFile = oneNodeOnly("it locks the SQLite file")
  test("during its user's announcement leaves no user online", { skip: onFile }, async (t) => {
    const server = await serve(t, { ...OPEN, PRESENCE_GRACE: "300ms" })
    const { connect, join } = crowd(t, server)
    const ben = await join("ben", { roster: "diff" })
    const asha = await connect(RECOVERY)
    const letGo = await hold(server)
    t.after(letGo)
    // She is new, so the store has to write before she is online.
    asha.socket.emit("join_user", { userId: "asha", roster: "none" })
    await pass(200)
    await lose(asha)
    const connected = 'lamplight_connections{transport="websocket"} 1'
    await until(async () => (await get(server, "/metrics")).text.includes(connected))
    letGo()
    await ben.seesOnline("asha")
    await ben.seesOffline("asha")
    assert.equal(await back(asha), true)
    await ben.seesOnline("asha")
  })

  const onMetrics = oneNodeOnly("each node counts its own sockets, and learns of the others' late")
  test("counts as an open connection of its address", { skip: onMetrics }, async (t) => {
    const server = await serve(t, { ...OPEN, LIMIT_CONNECTIONS: "3", TRUSTED_PROXIES: "127.0.0.1" })
    const { join } = crowd(t, server)
    const options = { ...RECOVERY, extraHeaders: { "x-forwarded-for": "203.0.113.7" } }
    const sockets = async () =>
      Number(/lamplight_sockets (\d+)/.exec((await get(server, "/metrics")).text)[1])
    for (let n = 0; n < 6; n++) await lose(await join(`guest${n}`, { options }))
    await until(async () => (await sockets()) <= 3)
  })

  test("is refused to another user and after the session has ended", async (t) => {
    const server = await serve(t, LOCAL)
    const { enter } = crowd(t, server)
    const [asha, ben] = [await register(server), await register(server, "Ben")]
    const socket = await enter(asha, { options: RECOVERY })
    const before = socket.id
    await lose(socket)
    socket.socket.auth = { token: ben.token }
    assert.equal(await back(socket), false, "a page that signed in as another user gets a socket of its own")
    assert.notEqual(socket.id, before)

    const again = await enter(asha, { options: RECOVERY })
    await lose(again)
    await post(server, "/api/auth/logout", {}, { token: asha.token })
    again.socket.connect()
    await assert.rejects(again.connected(), "the session is over")
  })
})
