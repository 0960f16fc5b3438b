// The profiles beside a page of history, of users who are not in the list of members.
import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { crowd, get, put, request, somebody } from "./support/person.mjs"
import { OPEN, SERVER_KEY, serve } from "./support/server.mjs"

const CONVERSATIONS = "/api/privatechat/conversations"
const MESSAGES = "/api/privatechat/messages"

const server = await serve({ after }, { ...OPEN, SERVER_KEY })

async function must(as, method, path, body) {
  const who = as === null ? { token: SERVER_KEY } : { as }
  const { status, body: answer } = await request(server, method, path, { ...who, body })
  assert.equal(answer?.success, true, `${method} ${path}: ${status} ${JSON.stringify(answer)}`)
  return answer
}

/** The names beside a page of messages, and beside the same page of entries. */
async function beside(as, id, query = "") {
  const names = async (kind) => {
    const { body } = await get(server, `${MESSAGES}/${id}?${query}${kind}`, { as })
    assert.ok(Array.isArray(body.users), JSON.stringify(body))
    return body.users.map((one) => one.name).toSorted()
  }
  return [await names(""), await names("&kind=all")]
}

describe("the profiles beside a page", () => {
  test("include members past the first hundred", async (t) => {
    const { join } = crowd(t, server)
    const ids = Array.from({ length: 108 }, (_, number) =>
      somebody(`m${String(number).padStart(3, "0")}`),
    ).toSorted()
    for (const place of [104, 105]) {
      const profile = { name: `Name ${place}`, avatarUrl: `https://example.org/${place}.png` }
      assert.equal(
        (await put(server, `/api/users/${ids[place]}`, profile, { token: SERVER_KEY })).status,
        200,
      )
    }
    const { conversation } = await must(ids[0], "POST", CONVERSATIONS, { memberIds: ids })
    assert.equal(conversation.members.length, 100)
    const [listed, beyond] = await Promise.all([join(ids[3]), join(ids[104])])
    const send = (content, rest) => ({ conversationId: conversation.id, content, ...rest })
    await listed.must("send_private_message", send("from the list"))
    assert.deepEqual(await beside(ids[0], conversation.id, "after=1"), [[], []])
    const { message } = await beyond.must("send_private_message", send("beyond the list"))
    await listed.must("send_private_message", send("to", { mentions: [ids[105]], replyTo: message.id }))
    for (const as of [ids[0], ids[104]]) {
      const expected = ["Name 104", "Name 105"]
      assert.deepEqual(await beside(as, conversation.id, "after=1"), [expected, expected])
    }
    const { body } = await get(server, `${MESSAGES}/${conversation.id}?after=1`, { as: ids[0] })
    assert.deepEqual(body.users[0], {
      id: ids[104],
      name: "Name 104",
      avatarUrl: "https://example.org/104.png",
    })
    const [, everybody] = await beside(ids[0], conversation.id)
    assert.equal(everybody.length, 8, "the entry that makes the group names all, of whom 100 are listed")
  })

  test("include former members, and none in a direct conversation", async (t) => {
    const { join } = crowd(t, server)
    const [asha, ben, cleo] = ["asha", "ben", "cleo"].map(somebody)
    const { conversation } = await must(asha, "POST", CONVERSATIONS, {
      memberIds: [ben, cleo],
      history: "all",
    })
    const { id } = conversation
    const socket = await join(cleo)
    await socket.must("send_private_message", { conversationId: id, content: "Hello" })
    assert.deepEqual(await beside(ben, id), [[], []])
    await must(asha, "DELETE", `${CONVERSATIONS}/${id}/members/${cleo}`)
    assert.deepEqual(await beside(ben, id), [[cleo], [cleo]])
    assert.deepEqual(await beside(ben, id, "after=2"), [[], [cleo]])
    const direct = (await must(asha, "POST", CONVERSATIONS, { userId: cleo })).conversation
    await socket.must("send_private_message", { conversationId: direct.id, content: "Hello" })
    assert.deepEqual(await beside(asha, direct.id), [[], []])
  })
})
