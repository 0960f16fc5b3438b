// Places in a conversation: its pinned messages, the messages of a time, and the conversations that are pinned.
import assert from "node:assert/strict"
import { after, test } from "node:test"
import { conversationOf, crowd, get, put, request, somebody } from "./support/person.mjs"
import { OPEN, serve } from "./support/server.mjs"

const CONVERSATIONS = "/api/privatechat/conversations"
const server = await serve({ after }, OPEN)

async function pair(t) {
  const { join } = crowd(t, server)
  const [asha, ben] = [{ id: somebody("asha") }, { id: somebody("ben") }]
  for (const one of [asha, ben]) one.client = await join(one.id)
  const id = await conversationOf(server, asha.id, ben.id)
  const say = async (by, content) =>
    (await by.client.must("send_private_message", { conversationId: id, content })).message
  const pin = (by, { id: messageId }, pinned = true) =>
    by.client.must("pin_message", { conversationId: id, messageId, pinned })
  return { asha, ben, id, say, pin }
}

const pins = (by, id, query = "") => get(server, `${CONVERSATIONS}/${id}/pins${query}`, { as: by.id })
const place = (by, id, at) =>
  get(server, `${CONVERSATIONS}/${id}/seq?at=${encodeURIComponent(at)}`, { as: by.id })

test("pinned messages are listed in their current form, however old", async (t) => {
  const { asha, ben, id, say, pin } = await pair(t)
  const sent = []
  for (let n = 1; n <= 8; n++) sent.push(await say(asha, `text ${n}`))
  for (const n of [0, 2, 4, 6]) await pin(ben, sent[n])
  await asha.client.must("edit_message", { conversationId: id, messageId: sent[2].id, content: "changed" })
  await asha.client.must("delete_message", { conversationId: id, messageId: sent[4].id })
  const react = { conversationId: id, messageId: sent[6].id, emoji: "👍", added: true }
  const { entry } = await ben.client.must("react", react)
  const { body } = await pins(ben, id)
  assert.deepEqual(
    body.data.map(({ content }) => content),
    ["text 1", "changed", "text 7"],
  )
  assert.deepEqual([body.hasMore, body.asOfSeq], [false, entry.seq])
  const history = (await get(server, `/api/privatechat/messages/${id}`, { as: ben.id })).body.data
  assert.deepEqual(
    body.data,
    history.filter(({ pinnedAt }) => pinnedAt),
  )
  const newest = (await pins(asha, id, "?limit=2")).body
  assert.deepEqual([newest.data.map(({ seq }) => seq), newest.hasMore], [[3, 7], true])
  const older = (await pins(asha, id, "?limit=2&before=3")).body
  assert.deepEqual([older.data.map(({ seq }) => seq), older.hasMore], [[1], false])
  await pin(asha, sent[0], false)
  assert.equal((await pins(asha, id)).body.data.length, 2)
})

test("a time is resolved to a position in the log", async (t) => {
  const { asha, id, say } = await pair(t)
  assert.equal((await place(asha, id, "2020-01-01T00:00:00Z")).body.seq, 0)
  const sent = []
  for (let n = 1; n <= 5; n++) sent.push(await say(asha, `text ${n}`))
  assert.equal((await place(asha, id, "2020-01-01T00:00:00Z")).body.seq, 1)
  assert.equal((await place(asha, id, "2100-01-01T00:00:00Z")).body.seq, 5)
  const first = sent.find(({ createdAt }) => createdAt === sent[3].createdAt)
  assert.equal((await place(asha, id, sent[3].createdAt)).body.seq, first.seq)
})

test("invalid and forbidden requests are refused", async (t) => {
  const { asha, id } = await pair(t)
  const stranger = { id: somebody("stranger") }
  const refused = async (answer, status, code) => {
    const { status: got, body } = await answer
    assert.deepEqual([got, body.code], [status, code], JSON.stringify(body))
  }
  await refused(pins(stranger, id), 404, "not_found")
  await refused(pins(asha, "nowhere"), 404, "not_found")
  await refused(pins(asha, id, "?limit=0"), 400, "invalid")
  await refused(place(stranger, id, "2020-01-01T00:00:00Z"), 404, "not_found")
  await refused(place(asha, id, "yesterday"), 400, "invalid")
  await refused(get(server, `${CONVERSATIONS}/${id}/seq`, { as: asha.id }), 400, "invalid")
  await refused(get(server, `${CONVERSATIONS}?pinned=perhaps`, { as: asha.id }), 400, "invalid")
  const both = request(server, "GET", `${CONVERSATIONS}?pinned=true&archived=true`, { as: asha.id })
  await refused(both, 400, "invalid")
})

test("pinned conversations can be listed alone", async (t) => {
  const { asha, ben, id, say } = await pair(t)
  await say(ben, "hello")
  const other = somebody("other")
  const second = await conversationOf(server, asha.id, other)
  const listed = async (query) => {
    const { body } = await get(server, CONVERSATIONS + query, { as: asha.id })
    assert.equal(body.totalUnread, 1)
    return body.data.map((one) => one.id)
  }
  assert.deepEqual(await listed("?pinned=true"), [])
  await put(server, `${CONVERSATIONS}/${second}/settings`, { pinned: true }, { as: asha.id })
  assert.deepEqual(await listed("?pinned=true"), [second])
  assert.deepEqual((await listed("")).toSorted(), [id, second].toSorted())
})
