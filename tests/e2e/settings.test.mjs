// A member's settings of a conversation: muted, archived, pinned. Over the socket and over HTTP, with the same answers.
import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { conversationOf, crowd, get, put, request, somebody } from "./support/person.mjs"
import { OPEN, serve } from "./support/server.mjs"

/** Generous, for machines with other work. */
const PATIENCE = { within: 20_000 }
const STATUS = { unauthenticated: 401, forbidden: 403, not_found: 404, invalid: 400 }
const CONVERSATIONS = "/api/privatechat/conversations"
const FAR = "2100-01-01T00:00:00.000Z"

const server = await serve({ after }, OPEN)

const WIRES = [
  {
    name: "the socket",
    set: (by, conversationId, body) =>
      by.client.ask("set_conversation_settings", { conversationId, ...body }),
  },
  {
    name: "HTTP",
    async set(by, conversationId, body) {
      const path = `${CONVERSATIONS}/${encodeURIComponent(conversationId)}/settings`
      const answer = await put(server, path, body, { as: by.id })
      assert.equal(answer.status, answer.body?.success ? 200 : STATUS[answer.body?.code], answer.text)
      return answer.body
    },
  },
]

/** Two people with a conversation and a socket each, and a second device of the first. */
async function pair(t) {
  const { join } = crowd(t, server)
  const person = async (name) => {
    const id = somebody(name)
    return { id, client: await join(id), phone: await join(id) }
  }
  const [asha, ben] = [await person("asha"), await person("ben")]
  return { asha, ben, join, id: await conversationOf(server, asha.id, ben.id) }
}

const list = async (by, query = "") => (await get(server, CONVERSATIONS + query, { as: by.id })).body
const own = async (by, id) => (await list(by)).data.find((one) => one.id === id)
const settingsOf = ({ mutedUntil, archived, pinned }) => ({ mutedUntil, archived, pinned })
const NONE = settingsOf({})

for (const { name, set } of WIRES) {
  describe(name, () => {
    test("settings are acknowledged, stored, and sent to the user's own devices only", async (t) => {
      const { asha, ben, id } = await pair(t)
      const wanted = { mutedUntil: FAR, archived: true, pinned: true }
      const answer = await set(asha, id, wanted)
      assert.deepEqual(settingsOf(answer.conversation), wanted)
      for (const device of [asha.client, asha.phone]) {
        const updated = await device.sees("conversation_updated", (one) => one.pinned, PATIENCE)
        assert.deepEqual(settingsOf(updated), wanted)
      }
      assert.deepEqual(settingsOf(await own(asha, id)), wanted)
      assert.deepEqual(settingsOf(await own(ben, id)), NONE)
      const kept = await set(asha, id, { archived: false })
      assert.deepEqual(settingsOf(kept.conversation), { ...wanted, archived: undefined })
      const cleared = await set(asha, id, { mutedUntil: null, pinned: false })
      assert.deepEqual(settingsOf(cleared.conversation), NONE)
      // A marker: all earlier events for Ben have arrived.
      await asha.client.must("send_private_message", { conversationId: id, content: "marker" })
      await ben.phone.sees("new_private_message", () => true, PATIENCE)
      assert.ok(!ben.phone.all("conversation_updated").some((one) => one.pinned || one.mutedUntil))
    })

    test("a message unarchives a conversation unless it is muted", async (t) => {
      const { asha, ben, id } = await pair(t)
      await set(asha, id, { archived: true })
      await asha.phone.sees("conversation_updated", (one) => one.archived, PATIENCE)
      const since = asha.phone.mark()
      await ben.client.must("send_private_message", { conversationId: id, content: "back" })
      const back = (one) => one.id === id && !one.archived && one.unread === 1
      await asha.phone.sees("conversation_updated", back, { since, ...PATIENCE })
      assert.equal((await own(asha, id)).archived, undefined)
      await set(asha, id, { archived: true, mutedUntil: FAR })
      await ben.client.must("send_private_message", { conversationId: id, content: "still away" })
      assert.equal((await own(asha, id)).archived, true)
    })

    test("invalid and forbidden settings are refused", async (t) => {
      const { asha, id, join } = await pair(t)
      const stranger = { id: somebody("stranger") }
      stranger.client = await join(stranger.id)
      const refused = async (by, place, body, code) => {
        const answer = await set(by, place, body)
        assert.deepEqual([answer.success, answer.code], [false, code], JSON.stringify(body))
        return answer
      }
      await refused(stranger, id, { archived: true }, "not_found")
      await refused(asha, "nowhere", { archived: true }, "not_found")
      const when = await refused(asha, id, { mutedUntil: "tomorrow" }, "invalid")
      assert.match(when.error, /mutedUntil is an RFC 3339 time/)
      await refused(asha, id, { mutedUntil: 5 }, "invalid")
      await refused(asha, id, { archived: "yes" }, "invalid")
      await refused(asha, "x".repeat(129), { archived: true }, "invalid")
      assert.deepEqual(settingsOf(await own(asha, id)), NONE)
    })
  })
}

test("both wires return the same answers", async (t) => {
  const { asha, id } = await pair(t)
  const [first, second] = [
    await WIRES[0].set(asha, id, { pinned: true, mutedUntil: FAR }),
    await WIRES[1].set(asha, id, { pinned: true, mutedUntil: FAR }),
  ]
  assert.deepEqual(first, second)
})

test("lists filter by archive and have the unread total over all pages", async (t) => {
  const { join } = crowd(t, server)
  const asha = { id: somebody("asha") }
  const ids = []
  for (let number = 0; number < 5; number++) {
    const other = { id: somebody("other") }
    other.client = await join(other.id)
    const id = await conversationOf(server, asha.id, other.id)
    for (let sent = 0; sent <= number; sent++)
      await other.client.must("send_private_message", { conversationId: id, content: "hello" })
    ids.push(id)
  }
  const setting = (id, body) => WIRES[1].set(asha, id, body)
  await setting(ids[4], { archived: true })
  await setting(ids[3], { mutedUntil: FAR })
  await setting(ids[2], { mutedUntil: "2020-01-01T00:00:00.000Z" })
  const shown = async (query) => {
    const page = await list(asha, query)
    assert.equal(page.totalUnread, 1 + 2 + 3, query)
    return page.data.map((one) => one.id)
  }
  const newestFirst = [...ids].reverse()
  assert.deepEqual(await shown(""), newestFirst)
  assert.deepEqual(await shown("?archived=all"), newestFirst)
  assert.deepEqual(await shown("?archived=true"), [ids[4]])
  assert.deepEqual(await shown("?archived=false&limit=2"), [ids[3], ids[2]])
  const refused = await request(server, "GET", `${CONVERSATIONS}?archived=perhaps`, { as: asha.id })
  assert.deepEqual([refused.status, refused.body.code], [400, "invalid"])
})
