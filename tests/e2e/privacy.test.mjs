// Privacy settings: hiding the last-seen time and read marks. Users who hide one do not see it of others.
import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { token } from "./support/jwt.mjs"
import { crowd, get, put, request, somebody } from "./support/person.mjs"
import { JWT, OPEN, serve } from "./support/server.mjs"
import { until } from "./support/wait.mjs"

const server = await serve({ after }, { ...JWT, PRESENCE_GRACE: "0s" })
const SETTINGS = "/api/account/settings"
const ALL = { lastSeen: "everyone", receipts: true }

const person = (name) => {
  const id = somebody(name)
  return { user: { id }, token: token(id, { name }) }
}
const set = (who, body) => put(server, SETTINGS, body, { token: who.token })
const settings = async (who) => (await get(server, SETTINGS, { token: who.token })).body.settings

/** The leaves of a user that a socket received, in any mode. */
function leaves(client, userId, since = 0) {
  const batches = client.all("presence_changes", since).flatMap(({ changes }) => changes)
  const one = client.all("user_offline", since)
  return [...batches.filter(({ type }) => type === "offline"), ...one].filter(
    (change) => change.userId === userId,
  )
}

describe("privacy settings", { concurrency: 4 }, () => {
  test("settings belong to the user with every AUTH, and invalid values are refused", async (t) => {
    const asha = person("Asha")
    assert.deepEqual(await settings(asha), ALL)
    const { body } = await set(asha, { lastSeen: "nobody" })
    assert.deepEqual(body, { success: true, settings: { lastSeen: "nobody", receipts: true } })
    await set(asha, { receipts: false })
    assert.deepEqual(await settings(asha), { lastSeen: "nobody", receipts: false })
    assert.deepEqual((await set(asha, ALL)).body.settings, ALL)
    for (const bad of [
      {},
      { lastSeen: "friends" },
      { lastSeen: true },
      { receipts: "no" },
      { receipts: 0 },
    ]) {
      const refused = await set(asha, bad)
      assert.equal(refused.status, 400, JSON.stringify(bad))
      assert.equal(refused.body.code, "invalid")
    }
    assert.equal((await put(server, SETTINGS, ALL)).status, 401)
    assert.equal((await get(server, SETTINGS)).status, 401)
    const open = await serve(t, OPEN)
    const id = somebody("ben")
    const own = await request(open, "PUT", SETTINGS, { as: id, body: { receipts: false } })
    assert.deepEqual(own.body.settings, { lastSeen: "everyone", receipts: false })
  })

  test("p11 lastSeen: nobody hides the user's time from others and theirs from the user", async (t) => {
    const { enter } = crowd(t, server)
    const [asha, ben] = [person("Asha"), person("Ben")]
    const watchers = []
    for (const roster of ["full", "diff", "watch"]) {
      const client = await enter(person("Watcher"), { roster })
      await client.must("watch_presence", { userIds: [asha.user.id, ben.user.id] })
      watchers.push(client)
    }
    // She hides it while she is online; he does not.
    const first = await enter(asha)
    const other = await enter(ben, { roster: "diff" })
    for (const client of watchers) {
      await client.seesOnline(asha.user.id)
      await client.seesOnline(ben.user.id)
    }
    assert.equal((await set(asha, { lastSeen: "nobody" })).body.success, true)
    first.close()
    for (const client of watchers) {
      await client.seesOffline(asha.user.id)
      await until(() => leaves(client, asha.user.id).length === 1)
      assert.equal(leaves(client, asha.user.id)[0].lastSeenAt, null)
    }
    // Later requests on any node do not show it either.
    for (let n = 0; n < 3; n++) {
      const late = await enter(person("Late"))
      const { users } = await late.must("watch_presence", { userIds: [asha.user.id] })
      assert.deepEqual([users[0].status, users[0].lastSeenAt], ["offline", null])
    }

    const again = []
    for (const roster of ["full", "diff", "watch"]) {
      const client = await enter(asha, { roster })
      await client.must("watch_presence", { userIds: [ben.user.id] })
      again.push(client)
    }
    for (const client of again.slice(0, 2)) await client.seesOnline(ben.user.id)
    other.close()
    for (const client of again) {
      await until(() => leaves(client, ben.user.id).length >= 1)
      for (const leave of leaves(client, ben.user.id)) assert.equal(leave.lastSeenAt, null)
      const { users } = await client.must("watch_presence", { userIds: [ben.user.id] })
      assert.deepEqual([users[0].status, users[0].lastSeenAt], ["offline", null])
    }
    for (const client of watchers) {
      await until(() => leaves(client, ben.user.id).length === 1)
      assert.equal(typeof leaves(client, ben.user.id)[0].lastSeenAt, "string", "others see his")
    }
    // Shown again, she receives others' times again, on her existing sockets.
    assert.equal((await set(asha, { lastSeen: "everyone" })).body.success, true)
    await until(async () => {
      const { users } = await again[1].must("watch_presence", { userIds: [ben.user.id] })
      return typeof users[0].lastSeenAt === "string"
    })
    for (const client of again) client.close()
    await watchers[0].seesOffline(asha.user.id)
    await until(() => leaves(watchers[0], asha.user.id).length === 2)
    assert.equal(typeof leaves(watchers[0], asha.user.id)[1].lastSeenAt, "string")
  })

  test("p11 receipts: false hides the user's read marks from others and theirs from the user", async (t) => {
    const { enter } = crowd(t, server)
    const [asha, ben] = [person("Asha"), person("Ben")]
    const [a, b] = [await enter(asha), await enter(ben)]
    const { body } = await request(server, "POST", "/api/privatechat/conversations", {
      body: { userId: ben.user.id },
      token: asha.token,
    })
    const conversationId = body.conversation.id
    const receipts = async (client) => {
      const { conversations } = await client.must("sync", { conversations: { [conversationId]: 0 } })
      return conversations[conversationId].receipts
    }
    const of = async (client, who) => (await receipts(client)).find((one) => one.userId === who.user.id)
    const sentMessage = (await a.must("send_private_message", { conversationId, content: "one" })).message
    await b.must("mark_read", { conversationId, seq: sentMessage.seq })
    await a.sees("receipt", (one) => one.userId === ben.user.id && one.readSeq === 1)

    assert.equal((await set(ben, { receipts: false })).body.success, true)
    const since = [a.mark(), b.mark()]
    assert.equal((await of(a, ben)).readSeq, 0)
    assert.equal((await of(b, asha)).readSeq, 0)
    await a.must("send_private_message", { conversationId, content: "two" })
    await b.sees("new_private_message", (one) => one.seq === 2)
    await b.must("mark_read", { conversationId, seq: 2 })
    // Delivered marks are sent.
    await a.sees("receipt", (one) => one.userId === ben.user.id && one.deliveredSeq === 2, {
      since: since[0],
    })
    const back = (await b.must("send_private_message", { conversationId, content: "three" })).message
    await a.sees("new_private_message", (one) => one.seq === back.seq)
    // The settings reach the node of his socket soon.
    await until(async () => {
      const mark = b.mark()
      const more = (await b.must("send_private_message", { conversationId, content: "more" })).message
      await a.sees("new_private_message", (one) => one.seq === more.seq)
      const receiptEvent = await b.sees(
        "receipt",
        (one) => one.userId === asha.user.id && one.deliveredSeq >= more.seq,
        { since: mark },
      )
      // Her reading sends him no event, which would reveal its time.
      const delivered = b.mark()
      await a.must("mark_read", { conversationId, seq: more.seq })
      await a.must("typing", { conversationId, isTyping: true })
      await b.sees("typing", (one) => one.isTyping, { since: delivered })
      const all = b.all("receipt", delivered).filter((one) => one.userId === asha.user.id)
      await a.must("typing", { conversationId, isTyping: false })
      await b.sees("typing", (one) => !one.isTyping, { since: delivered })
      return receiptEvent.readSeq === 0 && all.length === 0
    })
    const seen = a.all("receipt", since[0]).filter((one) => one.userId === ben.user.id)
    assert.ok(
      seen.every((one) => one.readSeq === 0),
      JSON.stringify(seen),
    )
    // His own devices know how far he has read.
    const list = await get(server, "/api/privatechat/conversations", { token: ben.token })
    assert.equal(list.body.data[0].unread, 0)
    assert.ok(list.body.data[0].readSeq >= back.seq)
    await set(ben, { receipts: true })
    assert.ok((await of(a, ben)).readSeq >= back.seq)
    assert.ok((await of(b, asha)).readSeq > 0)
  })
})
