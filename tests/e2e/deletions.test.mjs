// The deletion of an account: what others still see, what is erased, and continuing after a crash.
import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { startCluster } from "./support/cluster.mjs"
import { crowd, get, post, put, register, request } from "./support/person.mjs"
import { TcpProxy } from "./support/proxy.mjs"
import { isCluster, JWT, LOCAL, NODES, OPEN, SERVER_KEY, serve } from "./support/server.mjs"
import { BYTES, metadata, raw } from "./support/tus.mjs"
import { until } from "./support/wait.mjs"

const local = await serve({ after }, { ...LOCAL, SERVER_KEY })
const ACCOUNT = "/api/account"
const CHATS = "/api/privatechat/conversations"
const DELETED = /deleted/

const remove = (server, account, body = {}, token = account.token) =>
  request(server, "DELETE", ACCOUNT, { body: { password: account.password, ...body }, token })
const nameless = ({ user }) => ({ id: user.id, name: "", avatarUrl: null, deleted: true })

async function open(server, by, other) {
  const { body } = await post(server, CHATS, { userId: other.user.id }, { token: by.token })
  assert.equal(body.success, true, JSON.stringify(body))
  return body.conversation.id
}

async function group(server, by, others, more = {}) {
  const memberIds = others.map((one) => one.user.id)
  const { body } = await post(server, CHATS, { memberIds, name: "Trip", ...more }, { token: by.token })
  assert.equal(body.success, true, JSON.stringify(body))
  return body.conversation.id
}

async function send(server, by, conversationId, content, more = {}) {
  const { body } = await post(
    server,
    "/api/privatechat/message",
    { conversationId, content, ...more },
    { token: by.token },
  )
  assert.equal(body.success, true, JSON.stringify(body))
  return body.message
}

const history = async (server, by, conversationId, query = "") =>
  (await get(server, `/api/privatechat/messages/${conversationId}${query}`, { token: by.token })).body
const chat = async (server, by, id) =>
  (await get(server, CHATS, { token: by.token })).body.data.find((one) => one.id === id)

describe("the deletion of an account", { concurrency: 4 }, () => {
  test("it needs the password, and a wrong one counts as a sign-in attempt", async (t) => {
    const asha = await register(local)
    const wrong = await remove(local, asha, { password: "not this one" })
    assert.equal(wrong.status, 403)
    assert.equal(wrong.body.code, "forbidden")
    for (const [body, code] of [
      [{ password: undefined }, "invalid"],
      [{ password: 5 }, "invalid"],
      [{ messages: "keep" }, "invalid"],
      [{ messages: true }, "invalid"],
    ])
      assert.equal((await remove(local, asha, body)).body.code, code, JSON.stringify(body))
    assert.equal((await request(local, "DELETE", ACCOUNT, { token: asha.token })).body.code, "invalid")
    assert.equal((await remove(local, asha, {}, "no token")).status, 401)
    assert.equal((await remove(local, asha, {}, SERVER_KEY)).status, 401)
    assert.equal((await get(local, "/api/auth/session", { token: asha.token })).status, 200)

    const strict = await serve(t, { ...LOCAL, LIMIT_LOGINS: "3" })
    const ben = await register(strict, "Ben")
    const codes = []
    for (let n = 0; n < 4 * NODES + 2; n++)
      codes.push((await remove(strict, ben, { password: `guess number ${n}` })).body.code)
    assert.ok(codes.includes("rate_limited"), codes.join())
    assert.equal((await remove(strict, ben)).body.code, "rate_limited", "the right one too")
    for (const settings of [OPEN, JWT]) {
      const other = await serve(t, settings)
      assert.equal((await remove(other, asha)).status, 404)
    }
  })

  test("sessions end everywhere, and the nameless messages stay readable", async (t) => {
    const { enter } = crowd(t, local)
    const [asha, ben, cleo] = [
      await register(local),
      await register(local, "Ben"),
      await register(local, "Cleo"),
    ]
    const { body } = await post(local, "/api/auth/login", asha)
    const phone = { ...asha, token: body.token }
    const sockets = [await enter(asha), await enter(phone)]
    const watcher = await enter(ben, { roster: "diff" })
    await watcher.seesOnline(asha.user.id)
    const place = await open(local, asha, ben)
    const sentMessage = await send(local, asha, place, "hello from Asha")
    await send(local, ben, place, "hello from Ben", { replyTo: sentMessage.id })
    const trip = await group(local, asha, [ben, cleo])
    await send(local, asha, trip, "who comes along?")
    await put(local, `/api/blocks/${cleo.user.id}`, undefined, { token: asha.token })
    const since = watcher.mark()

    const deleted = await remove(local, asha)
    assert.deepEqual(deleted.body, { success: true })
    assert.match(deleted.headers.get("set-cookie"), /lamplight_session=;.*Max-Age=0/)
    for (const socket of sockets) await socket.sees("(disconnect)", (why) => why === "io server disconnect")
    for (const one of [asha, phone])
      assert.equal((await get(local, "/api/auth/session", { token: one.token })).status, 401)
    assert.equal((await post(local, "/api/auth/login", asha)).status, 401)
    await watcher.seesOffline(asha.user.id)

    const changed = await watcher.sees(
      "conversation_updated",
      (one) => one.id === place && one.members.some((member) => member.deleted),
      { since },
    )
    assert.deepEqual(
      changed.members.find((one) => one.id === asha.user.id),
      nameless(asha),
    )
    const { data } = await history(local, ben, place)
    assert.deepEqual(
      data.map((one) => one.content),
      ["hello from Asha", "hello from Ben"],
    )
    assert.equal(data[1].replyTo.excerpt, "hello from Asha")

    const found = await get(local, `/api/users/${asha.user.id}`, { token: ben.token })
    assert.deepEqual(found.body, { success: true, user: nameless(asha) })
    const users = await get(local, `/api/users?query=${asha.username}`, { token: ben.token })
    // Others may have user names that begin with hers.
    assert.ok(!users.body.data.some((one) => one.id === asha.user.id))
    const online = await get(local, "/api/online-users?limit=200", { token: ben.token })
    assert.ok(!online.body.data.some((one) => one.userId === asha.user.id))
    const watched = await watcher.must("watch_presence", { userIds: [asha.user.id] })
    assert.equal(watched.users[0].status, "offline")
    assert.equal(watched.users[0].lastSeenAt, null)

    // Exactly one leave; a later change of another user is the marker.
    await enter(cleo)
    await watcher.seesOnline(cleo.user.id)
    const leaves = watcher
      .all("presence_changes", since)
      .flatMap((batch) => batch.changes)
      .filter((change) => change.userId === asha.user.id)
    assert.deepEqual(
      leaves.map(({ type, reason }) => [type, reason]),
      [["offline", "signed_out"]],
    )

    // The group continues without her, and has an owner.
    await until(async () => (await chat(local, ben, trip)).memberCount === 2)
    const members = (await get(local, `${CHATS}/${trip}/members`, { token: ben.token })).body.data
    assert.deepEqual(members.map((one) => one.role).sort(), ["member", "owner"])
    const left = await history(local, cleo, trip)
    assert.equal(left.data[0].content, "who comes along?")
    assert.ok(!(await history(local, ben, place)).data.some((one) => one.deletedAt))
  })

  test("messages, new conversations and additions to groups are refused", async (t) => {
    const { enter } = crowd(t, local)
    const [asha, ben, cleo] = [
      await register(local),
      await register(local, "Ben"),
      await register(local, "Cleo"),
    ]
    const place = await open(local, asha, ben)
    const own = await send(local, ben, place, "hello")
    const client = await enter(ben)
    await remove(local, asha)
    const refusal = await client.ask("send_private_message", {
      conversationId: place,
      content: "still there?",
    })
    assert.equal(refusal.code, "forbidden")
    assert.match(refusal.error, DELETED)
    const over = await post(
      local,
      "/api/privatechat/message",
      { conversationId: place, content: "?" },
      { token: ben.token },
    )
    assert.equal(over.status, 403)
    assert.match(over.body.error, DELETED)
    const react = { conversationId: place, messageId: own.id, emoji: "👍", added: true }
    assert.equal((await client.ask("react", react)).code, "forbidden")
    await client.must("delete_message", { conversationId: place, messageId: own.id })
    const again = await post(local, CHATS, { userId: asha.user.id }, { token: ben.token })
    assert.equal(again.body.conversation?.id, place, "the old one is found, to be read")
    const first = await post(local, CHATS, { userId: asha.user.id }, { token: cleo.token })
    assert.equal(first.body.code, "not_found")
    assert.match(first.body.error, DELETED)
    const made = await post(local, CHATS, { memberIds: [ben.user.id, asha.user.id] }, { token: cleo.token })
    assert.equal(made.body.code, "not_found")
    const trip = await group(local, ben, [cleo])
    const added = await post(
      local,
      `${CHATS}/${trip}/members`,
      { userIds: [asha.user.id] },
      { token: ben.token },
    )
    assert.equal(added.body.code, "not_found")
    // The host application brings no name back.
    await put(local, `/api/users/${asha.user.id}`, { name: "Asha" }, { token: SERVER_KEY })
    const found = await get(local, `/api/users/${asha.user.id}`, { token: ben.token })
    assert.deepEqual(found.body.user, nameless(asha))
    // The user name is free; its new owner inherits nothing.
    const { username, password } = asha
    const heir = await post(local, "/api/auth/register", { username, password })
    assert.equal(heir.body.success, true)
    assert.notEqual(heir.body.user.id, asha.user.id)
    const list = await get(local, CHATS, { token: heir.body.token })
    assert.deepEqual(list.body.data, [])
    assert.deepEqual(
      (await chat(local, ben, place)).members.find((one) => one.deleted),
      nameless(asha),
    )
  })

  test("it erases the user's messages in all conversations on request", async (t) => {
    const { enter } = crowd(t, local)
    const [asha, ben, cleo] = [
      await register(local),
      await register(local, "Ben"),
      await register(local, "Cleo"),
    ]
    const place = await open(local, asha, ben)
    const [trip, past] = [await group(local, ben, [asha, cleo]), await group(local, ben, [asha, cleo])]
    const word = `saxifrage${asha.user.id.replaceAll("-", "")}`
    for (const where of [place, trip, past]) {
      const sentMessage = await send(local, asha, where, `one ${word}`)
      await request(local, "PATCH", `/api/privatechat/messages/${where}/${sentMessage.id}`, {
        body: { content: `edited ${word}` },
        token: asha.token,
      })
      await send(local, ben, where, "an answer", { replyTo: sentMessage.id })
      for (let n = 0; n < 40; n++) await send(local, asha, where, `${n} ${word}`)
    }
    await request(local, "DELETE", `${CHATS}/${past}/members/${asha.user.id}`, { token: asha.token })
    const client = await enter(ben)
    const finds = async () =>
      (await get(local, `/api/privatechat/search?query=${word}`, { token: ben.token })).body.data.length
    await until(finds, "the index has caught up")
    const since = client.mark()
    assert.equal((await remove(local, asha, { messages: "delete" })).body.success, true)
    for (const where of [place, trip, past]) {
      await until(async () => {
        const { data } = await history(local, ben, where, "?limit=200")
        const of = data.filter((one) => one.senderId === asha.user.id)
        return of.length === 41 && of.every((one) => one.deletedAt && one.content === "")
      }, `all is erased in ${where}`)
      const { data } = await history(local, ben, where, "?limit=200")
      const answer = data.find((one) => one.senderId === ben.user.id)
      assert.equal(answer.content, "an answer")
      assert.equal(answer.replyTo.excerpt, "")
      const raw = await history(local, ben, where, "?kind=all&limit=200")
      assert.ok(!JSON.stringify(raw).includes(word))
    }
    await client.sees("conversation_entry", (one) => one.kind === "delete" && one.conversationId === past, {
      since,
    })
    await until(async () => (await finds()) === 0, "nothing is found")
    assert.equal((await chat(local, ben, place)).lastMessage.content, "an answer")
    await until(async () => (await chat(local, ben, trip)).memberCount === 2)
  })

  test("it invalidates signed file addresses of the account", async () => {
    const [asha, ben] = [await register(local), await register(local, "Ben")]
    const place = await open(local, asha, ben)
    const made = await raw(local, "POST", "/api/files", {
      headers: {
        authorization: `Bearer ${ben.token}`,
        "tus-resumable": "1.0.0",
        "content-type": BYTES,
        "upload-length": 5,
        "upload-metadata": metadata({ filename: "plan.txt", filetype: "text/plain", conversationId: place }),
      },
      bytes: Buffer.from("hello"),
    })
    const id = made.headers.location.split("/").at(-1)
    await send(local, ben, place, "the plan", { attachments: [id] })
    const signed = async (by) => {
      const { body } = await post(local, `/api/files/${id}/url`, undefined, { token: by.token })
      return async () => (await fetch(local.url + body.url)).status
    }
    const [hers, his] = [await signed(asha), await signed(ben)]
    assert.deepEqual([await hers(), await his()], [200, 200])
    assert.equal((await remove(local, asha)).body.success, true)
    assert.deepEqual([await hers(), await his()], [404, 200])
  })

  test("m10 a node killed before it announces a deletion leaves no session signed in", {
    skip: isCluster ? false : "needs two nodes",
  }, async (t) => {
    const redis = await new TcpProxy({ port: Number(process.env.LAMPLIGHT_TEST_REDIS_PORT) }).listen()
    t.after(() => redis.close())
    const own = (index) => (index === 0 ? { REDIS_URL: `redis://127.0.0.1:${redis.port}` } : {})
    const cluster = await startCluster({ nodes: 2, settings: LOCAL, own })
    t.after(() => cluster.dispose())
    const [victim, other] = cluster.nodes
    const [asha, ben] = [await register(other), await register(other, "Ben")]
    const place = await open(other, asha, ben)
    const { enter } = crowd(t, other)
    const [phone, watcher] = [await enter(asha), await enter(ben, { roster: "diff" })]
    await watcher.seesOnline(asha.user.id)
    // The node cannot announce what it commits from now on.
    redis.stall()
    const answer = remove(victim, asha).catch(() => {})
    const isStored = async () =>
      (await cluster.query("SELECT count(*) FROM account_deletions")).trim() === "1"
    await until(isStored, "the deletion is committed")
    await victim.kill()
    await answer
    await phone.sees("(disconnect)", (why) => why === "io server disconnect", { within: 60_000 })
    await watcher.seesOffline(asha.user.id, 60_000)
    const isDeleted = (one) => one.id === place && one.members.some((member) => member.deleted)
    await watcher.sees("conversation_updated", isDeleted, { within: 60_000 })
    assert.equal((await get(other, "/api/auth/session", { token: asha.token })).status, 401)
    const isOver = async () => (await cluster.query("SELECT count(*) FROM account_deletions")).trim() === "0"
    await until(isOver, "the deletion is finished", 60_000)
  })

  test("m10 it continues after its server was killed", async (t) => {
    const server = await serve(t, LOCAL)
    const [asha, ben, cleo] = [
      await register(server),
      await register(server, "Ben"),
      await register(server, "Cleo"),
    ]
    const place = await open(server, asha, ben)
    const trip = await group(server, asha, [ben, cleo])
    for (const where of [place, trip])
      await Promise.all(Array.from({ length: 100 }, (_, n) => send(server, asha, where, `number ${n}`)))
    assert.equal((await remove(server, asha, { messages: "delete" })).body.success, true)
    await server.kill()
    await server.start()
    await until(async () => (await chat(server, ben, trip))?.memberCount === 2, "she left", 60_000)
    for (const where of [place, trip])
      await until(
        async () => {
          const { data } = await history(server, ben, where, "?limit=200")
          return data?.length === 100 && data.every((one) => one.deletedAt)
        },
        "all is erased",
        60_000,
      )
    assert.equal((await post(server, "/api/auth/login", asha)).status, 401)
    assert.ok(isCluster || server.pid)
  })
})
