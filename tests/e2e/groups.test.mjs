// Groups: members, roles and details, and what new and removed members can see. Changes over the socket and over HTTP, with
// the same answers.
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { after, describe, test } from "node:test"
import { crowd, get, put, request, somebody } from "./support/person.mjs"
import { OPEN, SERVER_KEY, serve } from "./support/server.mjs"
import { until } from "./support/wait.mjs"

/** Generous, for machines with other work. */
const PATIENCE = { within: 20_000 }
const STATUS = { forbidden: 403, not_found: 404, invalid: 400, too_long: 413, conflict: 409 }
const CONVERSATIONS = "/api/privatechat/conversations"
const MESSAGES = "/api/privatechat/messages"

const server = await serve({ after }, { ...OPEN, SERVER_KEY, GROUP_LIMIT: "6" })

/** The body of an answer, whose status fits. */
async function ask(as, method, path, body, headers = {}) {
  const who = as === null ? { token: SERVER_KEY } : { as }
  const answer = await request(server, method, path, { ...who, body, headers })
  const expected = answer.body?.success ? [200, 201] : [STATUS[answer.body?.code]]
  assert.ok(expected.includes(answer.status), `${method} ${path}: ${answer.status} ${answer.text}`)
  return answer.body
}

function done(answer, duplicate = false) {
  assert.equal(answer?.success, true, JSON.stringify(answer))
  assert.equal(answer.duplicate, duplicate)
  return answer.entry
}

function refused(answer, code) {
  assert.equal(answer?.success, false, JSON.stringify(answer))
  assert.equal(answer.code, code, answer.error)
  assert.match(answer.error, /^[^\n]{10,200}[.]$/, "a sentence")
}

/** How a person changes a group of the id `id`, or opens a conversation. */
const WIRES = [
  {
    name: "the socket",
    open: (by, body) => by.client.ask("open_conversation", body),
    details: (by, id, body) => by.client.ask("update_group", { conversationId: id, ...body }),
    add: (by, id, body) => by.client.ask("add_members", { conversationId: id, ...body }),
    remove: (by, id, userId, body) => by.client.ask("remove_member", { conversationId: id, userId, ...body }),
    role: (by, id, userId, body) => by.client.ask("set_member_role", { conversationId: id, userId, ...body }),
  },
  {
    name: "HTTP",
    open: (by, body) => ask(by.id, "POST", CONVERSATIONS, body, from(by)),
    details: (by, id, body) => ask(by.id, "PATCH", `${CONVERSATIONS}/${id}`, body, from(by)),
    add: (by, id, body) => ask(by.id, "POST", `${CONVERSATIONS}/${id}/members`, body, from(by)),
    remove: (by, id, userId, body) =>
      ask(by.id, "DELETE", `${CONVERSATIONS}/${id}/members/${userId}`, body, from(by)),
    role: (by, id, userId, body) =>
      ask(by.id, "PUT", `${CONVERSATIONS}/${id}/members/${userId}`, body, from(by)),
  },
]

/** Names the socket that makes a change: only this socket gets no event. */
const from = (by) => ({ "x-socket-id": by.client.id })

/** People with a socket each, and a group of them that the first one made. */
async function group(t, names, more = {}) {
  const { join } = crowd(t, server)
  const people = {}
  for (const name of names) {
    const id = somebody(name)
    people[name] = { id, client: await join(id) }
  }
  const [owner, ...others] = names.map((name) => people[name])
  const body = { memberIds: others.map((one) => one.id), name: "The group", ...more }
  const { conversation } = await ask(owner.id, "POST", CONVERSATIONS, body)
  const at = `${CONVERSATIONS}/${conversation.id}`
  const members = (by, method, of = "", body) =>
    ask(by?.id ?? null, method, `${at}/members${of === "" ? "" : `/${of}`}`, body)
  const say = async (by, content, rest = {}) => {
    const more = { conversationId: conversation.id, content, ...rest }
    return (await by.client.must("send_private_message", more)).message
  }
  const history = async (by, query = "") =>
    (await get(server, `${MESSAGES}/${conversation.id}${query}`, { as: by.id })).body
  return { ...people, conversation, id: conversation.id, at, members, say, history, join }
}

const entry =
  (kind, fits = () => true) =>
  (data) =>
    data.kind === kind && fits(data)

describe("groups", () => {
  test("a group is created once for its creator's client id, and announced to all members", async (t) => {
    const { join } = crowd(t, server)
    const [asha, ben, cleo] = ["asha", "ben", "cleo"].map(somebody)
    const socket = await join(ben)
    const body = { memberIds: [ben, cleo, asha], name: " Trip ", clientConversationId: randomUUID() }
    const first = await request(server, "POST", CONVERSATIONS, { as: asha, body })
    assert.equal(first.status, 201)
    const { conversation } = first.body
    assert.equal(conversation.kind, "group")
    assert.equal(conversation.name, "Trip")
    assert.equal(conversation.memberCount, 3)
    assert.equal(conversation.role, "owner")
    assert.equal(conversation.headSeq, 1)
    assert.ok(!("avatarUrl" in conversation))
    const received = await socket.sees("conversation_updated", (one) => one.id === conversation.id, PATIENCE)
    assert.equal(received.role, "member")
    const members = await socket.sees("conversation_entry", (one) => one.conversationId === conversation.id)
    assert.equal(members.kind, "members")
    assert.deepEqual(members.added.toSorted(), [asha, ben, cleo].toSorted())
    assert.deepEqual(members.roles, { [asha]: "owner" })
    const again = await request(server, "POST", CONVERSATIONS, { as: asha, body })
    assert.equal(again.status, 200)
    assert.equal(again.body.conversation.id, conversation.id)
    const listed = (await get(server, CONVERSATIONS, { as: cleo })).body.data
    assert.equal(listed[0].id, conversation.id)
    // The conversation of two is another one.
    const direct = await ask(asha, "POST", CONVERSATIONS, { userId: ben, senderId: asha })
    assert.equal(direct.conversation.kind, "direct")
    assert.ok(!("role" in direct.conversation))
    const few = await ask(asha, "POST", CONVERSATIONS, { memberIds: [asha] })
    refused(few, "invalid")
    const many = Array.from({ length: 6 }, (_, number) => somebody(`n${number}`))
    refused(await ask(asha, "POST", CONVERSATIONS, { memberIds: many }), "too_long")
    refused(await ask(asha, "POST", CONVERSATIONS, {}), "invalid")
    refused(await ask(asha, "POST", CONVERSATIONS, { userId: ben, memberIds: [ben] }), "invalid")
  })

  for (const wire of WIRES) {
    test(`roles decide who may change a group, over ${wire.name}`, async (t) => {
      const { asha, ben, cleo, id, at, members, join } = await group(t, ["asha", "ben", "cleo"])
      const dan = somebody("dan")
      refused(await wire.add(ben, id, { userIds: [dan] }), "forbidden")
      refused(await wire.role(ben, id, cleo.id, { role: "admin" }), "forbidden")
      refused(await wire.remove(ben, id, cleo.id), "forbidden")
      refused(await wire.details(ben, id, { name: "No" }), "forbidden")
      const promoted = done(await wire.role(asha, id, ben.id, { role: "admin" }))
      assert.deepEqual(promoted.roles, { [ben.id]: "admin" })
      done(await wire.role(asha, id, ben.id, { role: "admin" }), true)
      const key = { clientMessageId: randomUUID() }
      const added = done(await wire.add(ben, id, { userIds: [dan, cleo.id], ...key }))
      assert.deepEqual(added.added, [dan])
      // Repeated over either wire.
      for (const { add } of WIRES)
        assert.deepEqual(done(await add(ben, id, { userIds: [dan, cleo.id], ...key }), true), added)
      refused(await wire.add(ben, id, { userIds: [somebody("eve")], ...key }), "conflict")
      refused(await wire.add(ben, id, { userIds: "eve" }), "invalid")
      refused(await wire.remove(ben, id, asha.id), "forbidden")
      refused(await wire.role(asha, id, asha.id, { role: "member" }), "invalid")
      refused(await wire.role(asha, id, asha.id, { role: "king" }), "invalid")
      refused(await wire.remove(ben, id, somebody("nobody")), "not_found")
      const many = ["x", "y", "z"].map(somebody)
      refused(await wire.add(ben, id, { userIds: many }), "too_long")
      refused(await wire.details(ben, id, {}), "invalid")
      refused(await wire.details(ben, id, { avatarUrl: "javascript:alert(1)" }), "invalid")
      const since = ben.client.mark()
      done(await wire.details(ben, id, { name: "Renamed", avatarUrl: "/g.png" }))
      const renamed = await cleo.client.sees("conversation_entry", entry("details"), PATIENCE)
      assert.deepEqual([renamed.name, renamed.avatarUrl, renamed.senderId], ["Renamed", "/g.png", ben.id])
      await cleo.client.sees("conversation_updated", (one) => one.name === "Renamed", PATIENCE)
      const stranger = { id: somebody("stranger") }
      stranger.client = await join(stranger.id)
      refused(await wire.details(stranger, id, { name: "No" }), "not_found")
      const page = await members(cleo, "GET", "")
      assert.deepEqual(
        page.data.map(({ id, role }) => [id, role]).toSorted(),
        [
          [asha.id, "owner"],
          [ben.id, "admin"],
          [cleo.id, "member"],
          [dan, "member"],
        ].toSorted(),
      )
      const first = await ask(cleo.id, "GET", `${at}/members?limit=3`)
      assert.equal(first.data.length, 3)
      const rest = await ask(cleo.id, "GET", `${at}/members?limit=3&cursor=${first.nextCursor}`)
      assert.equal(rest.data.length, 1)
      const removed = done(await wire.remove(ben, id, dan, { clientMessageId: randomUUID() }))
      assert.deepEqual(removed.removed, [dan])
      // The socket that made the change has the answer and no event; a later message is the marker.
      await asha.client.must("send_private_message", { conversationId: id, content: "a marker" })
      await ben.client.sees("new_private_message", (one) => one.content === "a marker", {
        since,
        ...PATIENCE,
      })
      const received = ben.client.events.slice(since).filter(({ name }) => name === "conversation_entry")
      assert.deepEqual(received, [])
    })

    test(`a conversation is opened over ${wire.name}`, async (t) => {
      const { asha, ben, cleo } = await group(t, ["asha", "ben", "cleo"])
      const key = { clientConversationId: randomUUID() }
      const body = { memberIds: [ben.id, cleo.id], name: " Trip ", history: "all", ...key }
      const { conversation, created } = await wire.open(asha, body)
      assert.deepEqual([conversation.kind, conversation.name, created], ["group", "Trip", true])
      for (const { open } of WIRES) {
        const again = await open(asha, body)
        assert.deepEqual([again.conversation.id, again.created], [conversation.id, false])
      }
      const direct = await wire.open(asha, { userId: ben.id })
      assert.deepEqual([direct.success, direct.conversation.kind], [true, "direct"])
      for (const bad of [{}, { userId: ben.id, memberIds: [ben.id] }, { memberIds: [asha.id] }])
        refused(await wire.open(asha, bad), "invalid")
      const many = Array.from({ length: 6 }, (_, number) => somebody(`n${number}`))
      refused(await wire.open(asha, { memberIds: many }), "too_long")
    })
  }

  test("admins delete and pin messages of others", async (t) => {
    const { asha, ben, id, say } = await group(t, ["asha", "ben", "cleo"])
    const sent = await say(ben, "by a member")
    const path = `${MESSAGES}/${id}/${sent.id}`
    refused(await ask(ben.id, "PUT", `${path}/pin`), "forbidden")
    done(await ask(asha.id, "PUT", `${path}/pin`))
    const own = await say(asha, "by the owner")
    refused(await ask(ben.id, "DELETE", `${MESSAGES}/${id}/${own.id}`), "forbidden")
    done(await ask(asha.id, "DELETE", path))
  })

  test("m15 a removed member gets the entry of the removal and nothing after it", async (t) => {
    const { asha, ben, cleo, id, members, say, history } = await group(t, ["asha", "ben", "cleo"])
    const before = await say(cleo, "before")
    const since = cleo.client.mark()
    const removal = done(await members(asha, "DELETE", cleo.id))
    const last = await cleo.client.sees("conversation_entry", (one) => one.seq === removal.seq, PATIENCE)
    assert.deepEqual(last.removed, [cleo.id])
    const after = await say(ben, "after", { replyTo: before.id })
    await asha.client.sees("new_private_message", (one) => one.seq === after.seq, PATIENCE)
    await ben.client.ask("typing", { conversationId: id, isTyping: true })
    done(await ask(ben.id, "PUT", `${MESSAGES}/${id}/${before.id}/reactions/${encodeURIComponent("👍")}`))
    // A marker: this arrives after all of the above.
    const direct = await ask(ben.id, "POST", CONVERSATIONS, { userId: cleo.id, senderId: ben.id })
    await ben.client.must("send_private_message", { conversationId: direct.conversation.id, content: "hi" })
    await cleo.client.sees("new_private_message", (one) => one.content === "hi", { since, ...PATIENCE })
    const of = cleo.client.events.slice(since).filter(({ data }) => (data?.conversationId ?? data?.id) === id)
    // Events of the group's creation may still have been in flight before it.
    const ending = of.findIndex(({ data }) => data.seq === removal.seq)
    assert.deepEqual(
      of.slice(ending).map(({ name, data }) => [name, data.seq]),
      [["conversation_entry", removal.seq]],
    )
    assert.equal((await history(cleo)).code, "not_found")
    assert.equal((await history(cleo, "?kind=all")).code, "not_found")
    const synced = await cleo.client.ask("sync", { conversations: { [id]: 1 } })
    assert.equal(synced.conversations[id].code, "not_found")
    assert.ok(!synced.added.some((one) => one.id === id))
    refused(await cleo.client.ask("send_private_message", { conversationId: id, content: "x" }), "not_found")
    refused(await members(cleo, "GET", ""), "not_found")
    refused(await members(cleo, "DELETE", cleo.id), "not_found")
    const found = await ask(cleo.id, "GET", "/api/privatechat/search?query=before")
    assert.equal(found.data.length, 0)
  })

  test("m15 a new member sees nothing from before they joined, in any answer or event", async (t) => {
    const { asha, ben, id, members, say, history, join } = await group(t, ["asha", "ben"])
    const old = await say(asha, "a secret")
    const dan = { id: somebody("dan") }
    dan.client = await join(dan.id)
    const added = done(await members(asha, "POST", "", { userIds: [dan.id] }))
    const joined = await dan.client.sees("conversation_updated", (one) => one.id === id, PATIENCE)
    assert.deepEqual([joined.unread, joined.lastMessage, joined.headSeq], [0, null, added.seq])
    const reaction = `${MESSAGES}/${id}/${old.id}/reactions/${encodeURIComponent("👍")}`
    const reacted = done(await ask(ben.id, "PUT", reaction))
    const answer = await say(ben, "an answer", { replyTo: old.id })
    const hidden = await dan.client.sees("conversation_entry", (one) => one.seq === reacted.seq, PATIENCE)
    assert.equal(hidden.kind, "hidden")
    assert.ok(!("messageId" in hidden))
    const seen = await dan.client.sees("new_private_message", (one) => one.seq === answer.seq, PATIENCE)
    assert.deepEqual(seen.replyTo, { id: old.id, seq: old.seq, senderId: asha.id, excerpt: "" })
    const whole = await asha.client.sees("new_private_message", (one) => one.seq === answer.seq, PATIENCE)
    assert.equal(whole.replyTo.excerpt, "a secret")
    const kinds = (await history(dan, "?kind=all")).data.map((one) => [one.seq, one.kind])
    assert.deepEqual(kinds, [
      [added.seq, "members"],
      [reacted.seq, "hidden"],
      [answer.seq, "message"],
    ])
    const page = await history(dan)
    assert.equal(page.fromSeq, added.seq)
    assert.ok(!JSON.stringify(page).includes("secret"))
    const synced = await dan.client.must("sync", { conversations: { [id]: 0 } })
    assert.equal(synced.conversations[id].firstSeq, added.seq)
    assert.ok(!JSON.stringify(synced).includes("secret"))
    refused(await ask(dan.id, "PUT", reaction), "not_found")
    await until(
      async () => (await ask(dan.id, "GET", "/api/privatechat/search?query=answer")).data.length === 1,
      "the index follows",
      20_000,
    )
    assert.equal((await ask(dan.id, "GET", "/api/privatechat/search?query=secret")).data.length, 0)
    // Away and back: the log begins anew.
    done(await members(dan, "DELETE", dan.id))
    await say(asha, "between")
    const back = done(await members(asha, "POST", "", { userIds: [dan.id] }))
    const again = await dan.client.must("sync", { conversations: { [id]: answer.seq } })
    assert.equal(again.conversations[id].reset, true)
    assert.deepEqual(
      again.conversations[id].entries.map((one) => one.seq),
      [back.seq],
    )
  })

  test("with history: all, every member sees the whole log", async (t) => {
    const { asha, members, say, history } = await group(t, ["asha", "ben"], { history: "all" })
    await say(asha, "for all")
    const dan = { id: somebody("dan") }
    done(await members(asha, "POST", "", { userIds: [dan.id] }))
    assert.deepEqual(
      (await history(dan)).data.map((one) => one.content),
      ["for all"],
    )
  })

  test("the last owner who leaves transfers the ownership", async (t) => {
    const { asha, ben, cleo, members } = await group(t, ["asha", "ben", "cleo"])
    done(await members(asha, "PUT", cleo.id, { role: "admin" }))
    const left = done(await members(asha, "DELETE", asha.id))
    assert.deepEqual([left.removed, left.roles], [[asha.id], { [cleo.id]: "owner" }])
    await ben.client.sees("conversation_entry", (one) => one.seq === left.seq, PATIENCE)
    done(await members(cleo, "DELETE", ben.id))
  })

  test("the host application makes every change in its own name", async (t) => {
    const { ben, at, members } = await group(t, ["asha", "ben"])
    const dan = somebody("dan")
    const added = done(await members(null, "POST", "", { userIds: [dan] }))
    assert.equal(added.senderId, null)
    const seen = await ben.client.sees("conversation_entry", (one) => one.seq === added.seq, PATIENCE)
    assert.equal(seen.senderId, null)
    done(await ask(null, "PATCH", at, { name: "By the host" }))
    done(await members(null, "PUT", dan, { role: "owner" }))
    done(await members(null, "DELETE", dan))
    assert.equal((await members(null, "GET", "")).data.length, 2)
    const hosted = somebody("hosted")
    const place = `${CONVERSATIONS}/${hosted}`
    const people = ["x", "y", "z"].map(somebody)
    await put(server, place, { memberIds: people }, { token: SERVER_KEY })
    const [one] = (await get(server, CONVERSATIONS, { as: people[0] })).body.data
    assert.deepEqual([one.kind, one.role, one.memberCount, one.headSeq], ["group", "member", 3, 0])
    await put(server, place, { memberIds: people.slice(1) }, { token: SERVER_KEY })
    const log = (await get(server, `${MESSAGES}/${hosted}?kind=all`, { as: people[1] })).body.data
    assert.deepEqual(
      log.map(({ kind, senderId, removed }) => [kind, senderId, removed]),
      [["members", null, [people[0]]]],
    )
  })
})
