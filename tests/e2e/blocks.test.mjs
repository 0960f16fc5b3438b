// Blocks: the permissions of a blocker and a blocked user. Over the socket and over HTTP, with the same answers.
import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { conversationOf, crowd, get, post, put, register, request, somebody } from "./support/person.mjs"
import { LOCAL, OPEN, SERVER_KEY, serve } from "./support/server.mjs"

/** Generous, for machines with other work. */
const PATIENCE = { within: 20_000 }
const STATUS = { unauthenticated: 401, forbidden: 403, not_found: 404, invalid: 400, conflict: 409 }
const MESSAGES = "/api/privatechat/messages"
const NEUTRAL = "You cannot write in this conversation."

const server = await serve({ after }, { ...OPEN, SERVER_KEY })

async function http(by, method, path, body) {
  const headers = by.client ? { "x-socket-id": by.client.id } : {}
  const answer = await request(server, method, path, { as: by.id, body, headers })
  const expected = answer.body?.success ? [200, 201] : [STATUS[answer.body?.code]]
  assert.ok(expected.includes(answer.status), `${method} ${path}: ${answer.status} ${answer.text}`)
  return answer.body
}

const path = ({ conversationId, messageId }) =>
  `${MESSAGES}/${conversationId}/${encodeURIComponent(messageId)}`
const WIRES = [
  {
    name: "the socket",
    block: (by, userId) => by.client.ask("block_user", { userId }),
    unblock: (by, userId) => by.client.ask("unblock_user", { userId }),
    send: (by, body) => by.client.ask("send_private_message", body),
    edit: (by, body) => by.client.ask("edit_message", body),
    remove: (by, body) => by.client.ask("delete_message", body),
    react: (by, body) => by.client.ask("react", body),
    pin: (by, body) => by.client.ask("pin_message", body),
    read: (by, body) => by.client.ask("mark_read", body),
  },
  {
    name: "HTTP",
    block: (by, userId) => http(by, "PUT", `/api/blocks/${encodeURIComponent(userId)}`),
    unblock: (by, userId) => http(by, "DELETE", `/api/blocks/${encodeURIComponent(userId)}`),
    send: (by, body) => http(by, "POST", "/api/privatechat/message", body),
    edit: (by, { content, ...body }) => http(by, "PATCH", path(body), { content }),
    remove: (by, body) => http(by, "DELETE", path(body)),
    react: (by, { emoji, added, ...body }) =>
      http(by, added ? "PUT" : "DELETE", `${path(body)}/reactions/${encodeURIComponent(emoji)}`),
    pin: (by, { pinned, ...body }) => http(by, pinned ? "PUT" : "DELETE", `${path(body)}/pin`),
    read: (by, { conversationId, seq }) =>
      http(by, "POST", `/api/privatechat/conversations/${conversationId}/read`, { seq }),
  },
]

/** Two people with a conversation and a socket each. */
async function pair(t) {
  const { join } = crowd(t, server)
  const person = async (name) => {
    const id = somebody(name)
    return { id, client: await join(id) }
  }
  const [asha, ben] = [await person("asha"), await person("ben")]
  const conversationId = await conversationOf(server, asha.id, ben.id)
  const sentBy = async (by) =>
    (await by.client.must("send_private_message", { conversationId, content: "hello" })).message
  return { asha, ben, conversationId, sentBy, person }
}

const done = (answer) => assert.equal(answer?.success, true, JSON.stringify(answer))
function refused(answer, code, error) {
  assert.deepEqual([answer?.success, answer?.code], [false, code], JSON.stringify(answer))
  if (error) assert.equal(answer.error, error)
}

for (const wire of WIRES) {
  describe(wire.name, () => {
    test("m15 neither can write to the other, and both can delete their own messages", async (t) => {
      const { asha, ben, conversationId, sentBy } = await pair(t)
      const own = { asha: await sentBy(asha), ben: await sentBy(ben) }
      await asha.client.sees("new_private_message", (one) => one.id === own.ben.id, PATIENCE)
      await ben.client.sees("new_private_message", (one) => one.id === own.asha.id, PATIENCE)
      done(await wire.block(asha, ben.id))
      done(await wire.block(asha, ben.id))
      const since = { asha: asha.client.mark(), ben: ben.client.mark() }
      for (const [by, mine, other] of [
        [asha, own.asha, own.ben],
        [ben, own.ben, own.asha],
      ]) {
        const on = (message) => ({ conversationId, messageId: message.id })
        refused(await wire.send(by, { conversationId, content: "hello?" }), "forbidden", NEUTRAL)
        refused(await wire.edit(by, { ...on(mine), content: "edited" }), "forbidden", NEUTRAL)
        refused(await wire.react(by, { ...on(other), emoji: "👍", added: true }), "forbidden", NEUTRAL)
        refused(await wire.pin(by, { ...on(other), pinned: true }), "forbidden", NEUTRAL)
        refused(await wire.remove(by, on(other)), "forbidden")
        done(await wire.remove(by, on(mine)))
      }
      const deleted = (message) => (entry) => entry.kind === "delete" && entry.messageId === message.id
      await asha.client.sees("conversation_entry", deleted(own.ben), { since: since.asha, ...PATIENCE })
      await ben.client.sees("conversation_entry", deleted(own.asha), { since: since.ben, ...PATIENCE })
      assert.deepEqual(asha.client.messages(since.asha), [])
      assert.deepEqual(ben.client.messages(since.ben), [])
      done(await wire.unblock(asha, ben.id))
      done(await wire.send(ben, { conversationId, content: "hello again" }))
      await asha.client.sees("new_private_message", (one) => one.content === "hello again", PATIENCE)
    })

    test("p11 typing and receipts are not delivered", async (t) => {
      const { asha, ben, conversationId, sentBy } = await pair(t)
      const message = await sentBy(asha)
      done(await wire.block(ben, asha.id))
      const since = asha.client.mark()
      await ben.client.must("typing", { conversationId, isTyping: true })
      await asha.client.must("typing", { conversationId, isTyping: true })
      done(await wire.read(ben, { conversationId, seq: message.seq }))
      const list = await http(ben, "GET", "/api/privatechat/conversations")
      assert.equal(list.data[0].readSeq, message.seq, "one's own mark moves")
      // A marker: all events before the deletion have arrived.
      done(await wire.remove(asha, { conversationId, messageId: message.id }))
      await ben.client.sees("conversation_entry", () => true, PATIENCE)
      await asha.client.sees("conversation_updated", () => true, { since, ...PATIENCE })
      assert.deepEqual(asha.client.all("typing", since), [])
      assert.deepEqual(ben.client.all("typing"), [])
      const received = asha.client.all("receipt", since).filter((one) => one.userId === ben.id)
      assert.ok(!received.some((one) => one.readSeq > 0), JSON.stringify(received))
      const { conversations } = await asha.client.must("sync", { conversations: { [conversationId]: 0 } })
      const seen = conversations[conversationId].receipts.find((one) => one.userId === ben.id)
      assert.equal(seen.readSeq, 0)
    })

    test("m15 typing ends before a block, and no typing event follows", async (t) => {
      const { asha, ben, conversationId, sentBy } = await pair(t)
      const message = await sentBy(asha)
      const both = [asha.client, ben.client]
      const since = both.map((client) => client.mark())
      for (const client of both) await client.must("typing", { conversationId, isTyping: true })
      const seen = (isTyping) =>
        both.map((client, at) =>
          client.sees("typing", (one) => one.isTyping === isTyping, { since: since[at], ...PATIENCE }),
        )
      await Promise.all(seen(true))
      done(await wire.block(asha, ben.id))
      await Promise.all(seen(false))
      for (const client of both) await client.must("typing", { conversationId, isTyping: false })
      // A marker: all events before the deletions have arrived.
      done(await wire.remove(asha, { conversationId, messageId: message.id }))
      await ben.client.sees("conversation_entry", () => true, PATIENCE)
      await asha.client.must("sync", { conversations: { [conversationId]: 0 } })
      for (const [at, client] of both.entries()) {
        const received = client.all("typing", since[at]).map((one) => one.isTyping)
        assert.deepEqual(received, [true, false])
      }
    })

    test("invalid requests are refused", async (t) => {
      const { asha } = await pair(t)
      refused(await wire.block(asha, asha.id), "invalid", "You cannot block yourself.")
      refused(await wire.block(asha, "x".repeat(129)), "invalid")
      done(await wire.unblock(asha, somebody("never-blocked")))
    })
  })
}

test("a block prevents new conversations", async (t) => {
  const { person } = await pair(t)
  const [one, other] = [await person("one"), await person("other")]
  done(await WIRES[1].block(one, other.id))
  for (const [by, whom] of [
    [one, other],
    [other, one],
  ]) {
    const open = await post(server, "/api/privatechat/conversations", { userId: whom.id }, { as: by.id })
    assert.equal(open.status, 403)
    refused(open.body, "forbidden", NEUTRAL)
  }
  assert.deepEqual((await http(one, "GET", "/api/privatechat/conversations")).data, [])
})

test("lists blocked users by name and in pages", async (t) => {
  const { asha } = await pair(t)
  const names = ["Cem", "Ada", "Bo"]
  const key = { authorization: `Bearer ${SERVER_KEY}` }
  for (const name of names) {
    const id = somebody(name)
    const made = await put(server, `/api/users/${id}`, { name }, { headers: key })
    assert.equal(made.status, 200, made.text)
    done(await WIRES[0].block(asha, id))
  }
  const page = (query) => http(asha, "GET", `/api/blocks${query}`)
  const first = await page("?limit=2")
  assert.deepEqual(
    first.data.map((one) => one.name),
    ["Ada", "Bo"],
  )
  const rest = await page(`?limit=2&cursor=${first.nextCursor}`)
  assert.deepEqual(
    rest.data.map((one) => one.name),
    ["Cem"],
  )
  assert.equal(rest.nextCursor, undefined)
  refused(await page("?limit=0"), "invalid")
  refused(await page("?cursor=nonsense"), "invalid")
  const nobody = await get(server, "/api/blocks")
  assert.equal(nobody.status, 401)
})

test("with accounts, only accounts can be blocked", async (t) => {
  const local = await serve(t, LOCAL)
  const [ada, bo] = [await register(local, "Ada"), await register(local, "Bo")]
  const block = (id, token) => request(local, "PUT", `/api/blocks/${id}`, { token })
  assert.equal((await block(bo.user.id, ada.token)).status, 200)
  const unknown = await block("nobody-at-all", ada.token)
  assert.deepEqual([unknown.status, unknown.body.code], [404, "not_found"])
  assert.equal((await block(bo.user.id)).status, 401)
})
