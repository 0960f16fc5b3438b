// Changes of sent messages: edits, deletions, reactions, pins, replies and mentions. Each is made over the socket and over
// HTTP, with the same answers.
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { after, describe, test } from "node:test"
import { fold } from "./support/fold.mjs"
import { conversationOf, crowd, get, put, request, somebody } from "./support/person.mjs"
import { isCluster, OPEN, SERVER_KEY, serve } from "./support/server.mjs"
import { until } from "./support/wait.mjs"

/** Generous, for machines with other work. */
const PATIENCE = { within: 20_000 }
const STATUS = {
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  invalid: 400,
  empty_message: 400,
  too_long: 413,
  conflict: 409,
  rate_limited: 429,
}
const MESSAGES = "/api/privatechat/messages"

const server = await serve({ after }, { ...OPEN, SERVER_KEY })

/** Over the socket: the acknowledgement. */
const socket = {
  name: "the socket",
  send: (by, body) => by.client.ask("send_private_message", body),
  edit: (by, body) => by.client.ask("edit_message", body),
  remove: (by, body) => by.client.ask("delete_message", body),
  react: (by, body) => by.client.ask("react", body),
  pin: (by, body) => by.client.ask("pin_message", body),
}

/** Over HTTP: the body, whose status is checked here. */
async function http(by, method, path, body) {
  const headers = by.client ? { "x-socket-id": by.client.id } : {}
  const answer = await request(by.server ?? server, method, path, { as: by.id, body, headers })
  const expected = answer.body?.success ? [200, 201] : [STATUS[answer.body?.code]]
  assert.ok(expected.includes(answer.status), `${method} ${path}: ${answer.status} ${answer.text}`)
  return answer.body
}

const path = ({ conversationId, messageId }) =>
  `${MESSAGES}/${conversationId}/${encodeURIComponent(messageId)}`
const rest = ({ clientMessageId }) => (clientMessageId === undefined ? undefined : { clientMessageId })
const overHttp = {
  name: "HTTP",
  send: (by, body) => http(by, "POST", "/api/privatechat/message", body),
  edit: (by, { conversationId, messageId, ...body }) =>
    http(by, "PATCH", path({ conversationId, messageId }), body),
  remove: (by, body) => http(by, "DELETE", path(body), rest(body)),
  react: (by, { emoji, added, ...body }) =>
    http(by, added ? "PUT" : "DELETE", `${path(body)}/reactions/${encodeURIComponent(emoji)}`, rest(body)),
  pin: (by, { pinned, ...body }) => http(by, pinned ? "PUT" : "DELETE", `${path(body)}/pin`, rest(body)),
}

/** Two people with a conversation and a socket each, and a second device of each. */
async function pair(t, on = server) {
  const { join } = crowd(t, on)
  const person = async (name) => {
    const id = somebody(name)
    return { id, server: on, client: await join(id), phone: await join(id) }
  }
  const [asha, ben] = [await person("asha"), await person("ben")]
  const conversationId = await conversationOf(on, asha.id, ben.id)
  const sentBy = async (by, content, more = {}) =>
    (await by.client.must("send_private_message", { conversationId, content, ...more })).message
  const page = async (by, query = "") =>
    (await get(on, `${MESSAGES}/${conversationId}${query}`, { as: by.id })).body
  return { asha, ben, conversationId, sentBy, page, join }
}

/** @param {any} answer @param {boolean} [duplicate] */
function done(answer, duplicate = false) {
  assert.equal(answer?.success, true, JSON.stringify(answer))
  assert.deepEqual(Object.keys(answer).sort(), ["duplicate", "entry", "success"])
  assert.equal(answer.duplicate, duplicate)
  return answer.entry
}

function refused(answer, code) {
  assert.equal(answer?.success, false, JSON.stringify(answer))
  assert.equal(answer.code, code, answer.error)
  assert.match(answer.error, /^[^\n]{10,200}[.]$/, "a sentence")
}

for (const wire of [socket, overHttp]) {
  describe(`over ${wire.name}`, { concurrency: 4 }, () => {
    test("every change is acknowledged, appended to the history, and sent to every other device", async (t) => {
      const { asha, ben, conversationId, sentBy, page } = await pair(t)
      const message = await sentBy(asha, "first")
      const about = { conversationId, messageId: message.id }
      const edit = done(await wire.edit(asha, { ...about, content: " second\n", clientMessageId: "e1" }))
      assert.deepEqual(
        { ...edit, id: "", createdAt: "" },
        {
          id: "",
          kind: "edit",
          conversationId,
          seq: 2,
          senderId: asha.id,
          createdAt: "",
          clientMessageId: "e1",
          messageId: message.id,
          messageSeq: 1,
          content: " second\n",
        },
      )
      const reaction = done(await wire.react(ben, { ...about, emoji: "👍🏽", added: true }))
      assert.deepEqual([reaction.kind, reaction.emoji, reaction.added], ["reaction", "👍🏽", true])
      const pin = done(await wire.pin(ben, { ...about, pinned: true }))
      assert.deepEqual([pin.kind, pin.pinned], ["pin", true])
      const shown = await page(ben)
      assert.deepEqual([shown.fromSeq, shown.toSeq, shown.asOfSeq, shown.hasMore], [1, 4, 4, false])
      assert.deepEqual(shown.data, [
        {
          ...message,
          content: " second\n",
          editedAt: edit.createdAt,
          pinnedAt: pin.createdAt,
          reactions: [{ emoji: "👍🏽", count: 1, mine: true, userIds: [ben.id] }],
        },
      ])
      assert.equal((await page(asha)).data[0].reactions[0].mine, false)
      done(await wire.pin(asha, { ...about, pinned: false }))
      done(await wire.react(ben, { ...about, emoji: "👍🏽", added: false }))
      const { data: calm } = await page(ben)
      assert.deepEqual([calm[0].pinnedAt, calm[0].reactions], [undefined, undefined])
      const deletion = done(await wire.remove(asha, about))
      assert.equal(deletion.kind, "delete")
      const { data: gone } = await page(ben)
      assert.deepEqual(gone, [{ ...message, content: "", deletedAt: deletion.createdAt }])

      // Each device gets every entry but those that it made, in order and as it was answered.
      const byAsha = new Set([2, 5, 7])
      for (const [client, own] of [
        [asha.client, byAsha],
        [asha.phone, new Set()],
        [ben.client, new Set([3, 4, 6])],
        [ben.phone, new Set()],
      ]) {
        const last = own === byAsha ? 6 : 7
        await client.sees("conversation_entry", (entry) => entry.seq === last, PATIENCE)
        const seqs = client.all("conversation_entry").map((entry) => entry.seq)
        assert.deepEqual(
          seqs,
          [2, 3, 4, 5, 6, 7].filter((seq) => !own.has(seq)),
        )
      }
      const received = ben.phone.all("conversation_entry")
      assert.deepEqual(received[0], edit)
      assert.deepEqual(received[1], reaction)
      assert.deepEqual(received.at(-1), deletion)
      assert.equal(ben.phone.messages().length, 1, "pages of the original system see messages only")
      for (const client of [asha.client, asha.phone, ben.client, ben.phone])
        await client.sees("conversation_updated", (one) => one.headSeq === 7 && !one.lastMessage, PATIENCE)
    })

    test("a change without effect returns the entry that made the state and sends no event", async (t) => {
      const { asha, ben, conversationId, sentBy } = await pair(t)
      const message = await sentBy(asha, "first")
      const about = { conversationId, messageId: message.id }
      const reaction = done(await wire.react(ben, { ...about, emoji: "❤️", added: true }))
      assert.deepEqual(done(await wire.react(ben, { ...about, emoji: "❤️", added: true }), true), reaction)
      assert.equal(done(await wire.react(ben, { ...about, emoji: "👍", added: false }), true).seq, 1)
      const edit = done(await wire.edit(asha, { ...about, content: "second" }))
      assert.deepEqual(done(await wire.edit(asha, { ...about, content: "second" }), true), edit)
      const pin = done(await wire.pin(asha, { ...about, pinned: true }))
      assert.deepEqual(done(await wire.pin(ben, { ...about, pinned: true }), true), pin)
      const deletion = done(await wire.remove(asha, about))
      assert.deepEqual(done(await wire.remove(asha, about), true), deletion)
      const marker = await sentBy(asha, "marker")
      assert.equal(marker.seq, 6)
      await ben.phone.sees("new_private_message", (one) => one.seq === 6, PATIENCE)
      const seqs = ben.phone.all("conversation_entry").map((entry) => entry.seq)
      assert.deepEqual(seqs, [2, 3, 4, 5])
    })

    test("M1: one clientMessageId is written once, also after an edit and after a deletion", async (t) => {
      const { asha, conversationId } = await pair(t)
      const sent = { conversationId, content: "first", clientMessageId: randomUUID() }
      const first = await wire.send(asha, sent)
      assert.deepEqual(first.entry, first.message)
      const about = { conversationId, messageId: first.message.id }
      const editing = { ...about, content: "second", clientMessageId: randomUUID() }
      const edit = done(await wire.edit(asha, editing))
      assert.deepEqual(done(await wire.edit(asha, editing), true), edit)
      refused(await wire.edit(asha, { ...editing, content: "third" }), "conflict")
      refused(await wire.send(asha, { ...sent, clientMessageId: editing.clientMessageId }), "conflict")
      refused(await wire.edit(asha, { ...editing, clientMessageId: sent.clientMessageId }), "conflict")
      const again = await wire.send(asha, sent)
      assert.equal(again.duplicate, true)
      assert.deepEqual(again.entry, first.entry, "as it was sent")
      assert.deepEqual(again.message, { ...first.message, content: "second", editedAt: edit.createdAt })
      const removing = { ...about, clientMessageId: randomUUID() }
      const deletion = done(await wire.remove(asha, removing))
      assert.deepEqual(done(await wire.remove(asha, removing), true), deletion)
      // The texts are erased, and the repetitions are still recognised.
      const late = await wire.send(asha, sent)
      assert.equal(late.duplicate, true)
      assert.deepEqual([late.entry.id, late.entry.content], [first.entry.id, ""])
      assert.equal(late.message.deletedAt, deletion.createdAt)
      assert.equal(done(await wire.edit(asha, editing), true).content, "")
      refused(await wire.send(asha, { ...sent, content: "another" }), "conflict")
      refused(await wire.edit(asha, { ...editing, content: "another" }), "conflict")
    })

    test("replies quote the current text of a message, and mentions name members", async (t) => {
      const { asha, ben, conversationId, sentBy, page } = await pair(t)
      const message = await sentBy(asha, `  a\n${"long ".repeat(50)}`)
      const answer = await wire.send(ben, {
        conversationId,
        content: "answer",
        replyTo: message.id,
        mentions: [asha.id, asha.id],
      })
      assert.equal(answer.success, true, answer.error)
      const { replyTo, mentions } = answer.message
      assert.deepEqual(mentions, [asha.id])
      assert.deepEqual(
        { ...replyTo, excerpt: "" },
        { id: message.id, seq: 1, senderId: asha.id, excerpt: "" },
      )
      assert.match(replyTo.excerpt, /^a long long .{128}…$/, "in one line of 140 characters")
      assert.deepEqual(
        await asha.phone.sees("new_private_message", (one) => one.seq === 2, PATIENCE),
        answer.message,
      )
      const about = { conversationId, messageId: message.id }
      done(await wire.edit(asha, { ...about, content: "short", mentions: [ben.id] }))
      const { data: edited } = await page(ben)
      assert.deepEqual([edited[0].mentions, edited[1].replyTo.excerpt], [[ben.id], "short"])
      done(await wire.edit(asha, { ...about, content: "shorter" }))
      assert.equal((await page(ben)).data[0].mentions, undefined)
      done(await wire.remove(asha, about))
      assert.equal((await page(ben)).data[1].replyTo.excerpt, "")
      for (const kind of ["", "?kind=all"])
        assert.ok(!JSON.stringify(await page(ben, kind)).includes("short"), "the text is erased")
    })

    test("each forbidden or invalid change is refused with its code", async (t) => {
      const { asha, ben, conversationId, sentBy } = await pair(t)
      const stranger = { id: somebody("stranger"), client: await crowd(t, server).join(somebody("stranger")) }
      stranger.id = stranger.client.joined.user.id
      const elsewhere = await conversationOf(server, asha.id, stranger.id)
      const foreign = (await asha.client.send(elsewhere, "elsewhere")).message
      const message = await sentBy(asha, "first")
      const gone = await sentBy(asha, "gone")
      done(await wire.remove(asha, { conversationId, messageId: gone.id }))
      const about = { conversationId, messageId: message.id }
      const deleted = { conversationId, messageId: gone.id }
      const cases = [
        ["forbidden", wire.edit(ben, { ...about, content: "mine" })],
        ["forbidden", wire.remove(ben, about)],
        ["not_found", wire.edit(asha, { ...deleted, content: "back" })],
        ["not_found", wire.react(ben, { ...deleted, emoji: "👍", added: true })],
        ["not_found", wire.pin(ben, { ...deleted, pinned: true })],
        ["not_found", wire.edit(asha, { conversationId, messageId: "nothing", content: "x" })],
        ["not_found", wire.edit(asha, { conversationId, messageId: foreign.id, content: "x" })],
        // A user outside of the conversation cannot find out whether it exists.
        ["not_found", wire.edit(stranger, { ...about, content: "x" })],
        ["not_found", wire.remove(stranger, about)],
        ["not_found", wire.react(stranger, { ...about, emoji: "👍", added: true })],
        ["not_found", wire.pin(stranger, { ...about, pinned: true })],
        ["not_found", wire.remove(stranger, { conversationId: "nothing", messageId: message.id })],
        ["empty_message", wire.edit(asha, { ...about, content: " \n" })],
        ["too_long", wire.edit(asha, { ...about, content: "x".repeat(8_001) })],
        ["invalid", wire.edit(asha, { ...about, content: 5 })],
        ["invalid", wire.edit(asha, { ...about, content: "x", mentions: [stranger.id] })],
        ["invalid", wire.edit(asha, { ...about, content: "x", clientMessageId: "" })],
        ["invalid", wire.remove(asha, { ...about, clientMessageId: "x".repeat(129) })],
        ["invalid", wire.remove(asha, { conversationId, messageId: "x".repeat(129) })],
        ...["ok", "👍👍", "1", `👍${"\u200d👍".repeat(20)}`].map((emoji) => [
          "invalid",
          wire.react(ben, { ...about, emoji, added: true }),
        ]),
        ["invalid", wire.send(asha, { conversationId, content: "x", replyTo: gone.id })],
        ["invalid", wire.send(asha, { conversationId, content: "x", replyTo: foreign.id })],
        ["invalid", wire.send(asha, { conversationId, content: "x", replyTo: "nothing" })],
        ["invalid", wire.send(asha, { conversationId, content: "x", mentions: [stranger.id] })],
        ["invalid", wire.send(asha, { conversationId, content: "x", mentions: "all" })],
        [
          "too_long",
          wire.send(asha, {
            conversationId,
            content: "x",
            mentions: Array.from({ length: 101 }, (_, n) => n),
          }),
        ],
      ]
      for (const [code, answer] of cases) refused(await answer, code)
    })

    test("a message has at most 20 kinds of reactions, and 5 of one user", async (t) => {
      const { join } = crowd(t, server)
      const people = await Promise.all(
        Array.from({ length: 6 }, async (_, n) => {
          const id = somebody(`member${n}`)
          return { id, client: await join(id) }
        }),
      )
      const conversationId = somebody("group")
      const { status } = await put(
        server,
        `/api/privatechat/conversations/${conversationId}`,
        { memberIds: people.map((person) => person.id) },
        { token: SERVER_KEY },
      )
      assert.equal(status, 200)
      const { message } = await people[0].client.send(conversationId, "hello")
      const about = { conversationId, messageId: message.id, added: true }
      const emoji = (n) => String.fromCodePoint(0x1f600 + n)
      for (let n = 0; n < 20; n++)
        done(await wire.react(people[Math.floor(n / 5)], { ...about, emoji: emoji(n) }))
      refused(await wire.react(people[0], { ...about, emoji: emoji(7) }), "invalid")
      refused(await wire.react(people[4], { ...about, emoji: emoji(20) }), "invalid")
      done(await wire.react(people[4], { ...about, emoji: emoji(7) }))
      done(await wire.react(people[0], { ...about, emoji: emoji(0), added: false }))
      done(await wire.react(people[4], { ...about, emoji: emoji(20) }))
      const { body } = await get(server, `${MESSAGES}/${conversationId}`, { as: people[4].id })
      const { reactions } = body.data[0]
      assert.equal(reactions.length, 20)
      const mine = reactions.filter((one) => one.mine).map((one) => one.emoji)
      assert.deepEqual(mine, [emoji(7), emoji(20)])
      // A conversation of the host application has no admin.
      refused(await wire.pin(people[0], { ...about, pinned: true }), "forbidden")
      refused(await wire.remove(people[1], about), "forbidden")
    })

    test("a conversation has at most 50 pinned messages", async (t) => {
      const { asha, ben, conversationId, sentBy } = await pair(t)
      const messages = []
      for (let n = 0; n <= 50; n++) messages.push(await sentBy(asha, `message ${n}`))
      const pin = (n, pinned) => wire.pin(ben, { conversationId, messageId: messages[n].id, pinned })
      for (let n = 0; n < 50; n++) done(await pin(n, true))
      refused(await pin(50, true), "invalid")
      done(await pin(3, false))
      done(await pin(50, true))
      done(await wire.remove(asha, { conversationId, messageId: messages[4].id }))
      done(await pin(3, true))
    })

    test("EDIT_WINDOW: an old message cannot be edited, and can be deleted", async (t) => {
      const strict = await serve(t, { ...OPEN, EDIT_WINDOW: "1ms" })
      const { asha, conversationId, sentBy } = await pair(t, strict)
      const message = await sentBy(asha, "first")
      const about = { conversationId, messageId: message.id }
      const late = async () => !(await wire.edit(asha, { ...about, content: randomUUID() })).success
      await until(late, "the window closes", 20_000)
      refused(await wire.edit(asha, { ...about, content: "late" }), "forbidden")
      done(await wire.remove(asha, about))
    })
  })
}

describe("both wires", { concurrency: 4 }, () => {
  test("one limit counts messages and changes", async (t) => {
    const limited = await serve(t, { ...OPEN, LIMIT_SENDS: "5" })
    const { asha, conversationId, sentBy } = await pair(t, limited)
    const message = await sentBy(asha, "first")
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        (n % 2 ? socket : overHttp).react(asha, {
          conversationId,
          messageId: message.id,
          emoji: "👍",
          added: n % 4 < 2,
        }),
      ),
    )
    const over = answers.filter((answer) => !answer.success)
    assert.ok(over.length > 0)
    for (const answer of over) refused(answer, "rate_limited")
    assert.ok(over.every((answer) => answer.retryAfterMs > 0 && answer.retryable))
  })

  test("folded history, raw history, pages, sync and the list agree", async (t) => {
    const { asha, ben, conversationId, sentBy, page } = await pair(t)
    const messages = []
    for (let n = 1; n <= 12; n++) {
      const message = await sentBy(n % 2 ? asha : ben, `message ${n}`)
      messages.push(message)
      const about = { conversationId, messageId: message.id }
      const wire = n % 2 ? socket : overHttp
      done(await wire.react(ben, { ...about, emoji: "🎉", added: true }))
      if (n % 3 === 0) done(await wire.edit(n % 2 ? asha : ben, { ...about, content: `edited ${n}` }))
      if (n % 4 === 0) done(await wire.remove(n % 2 ? asha : ben, about))
    }
    const { data: log } = await page(asha, "?kind=all&limit=200")
    assert.deepEqual(
      log.map((entry) => entry.seq),
      log.map((_, at) => at + 1),
    )
    for (const viewer of [asha, ben]) {
      const { data, fromSeq, toSeq, asOfSeq } = await page(viewer, "?limit=200")
      assert.deepEqual(data, fold(log, viewer.id))
      assert.deepEqual([fromSeq, toSeq, asOfSeq], [1, log.length, log.length])
      // The pages cover the whole log, without a gap and without an overlap.
      const pages = []
      for (let before = log.length + 1; before > 1; ) {
        const part = await page(viewer, `?limit=5&before=${before}`)
        assert.equal(part.toSeq, before - 1)
        pages.unshift(...part.data)
        before = part.fromSeq
      }
      assert.deepEqual(pages, data)
      const newer = []
      for (let last = 0, more = true; more; ) {
        const part = await page(viewer, `?limit=5&after=${last}`)
        assert.equal(part.fromSeq, last + 1)
        newer.push(...part.data)
        last = part.toSeq
        more = part.hasMore
      }
      assert.deepEqual(newer, data)
      const middle = await page(viewer, `?limit=6&around=${messages[6].seq}`)
      assert.deepEqual([middle.hasBefore, middle.hasAfter, middle.data.length], [true, true, 6])
      assert.ok(middle.data.some((message) => message.seq === messages[6].seq))
      const synced = await viewer.client.must("sync", { conversations: { [conversationId]: 0 } })
      assert.deepEqual(synced.conversations[conversationId].entries, log)
      // Of twelve, 4, 8 and 12 are deleted; each sent six, and none of the other's is read.
      const { body } = await get(server, "/api/privatechat/conversations", { as: viewer.id })
      const [item] = body.data
      assert.equal(item.lastMessage.seq, messages[10].seq)
      assert.equal(item.lastMessage.content, "message 11")
      assert.equal(item.headSeq, log.length)
    }
    // Ben sent the twelfth, which is past what Asha read by her own sends; it is deleted.
    const { body } = await get(server, "/api/privatechat/conversations", { as: asha.id })
    assert.equal(body.data[0].unread, 0)
  })

  test("unread does not count deleted messages, and the last message is not deleted", async (t) => {
    const { asha, ben, conversationId, sentBy } = await pair(t)
    const messages = []
    for (let n = 0; n < 4; n++) messages.push(await sentBy(asha, `message ${n}`))
    const item = async (by) =>
      (await get(server, "/api/privatechat/conversations", { as: by.id })).body.data[0]
    assert.equal((await item(ben)).unread, 4)
    done(await socket.remove(asha, { conversationId, messageId: messages[3].id }))
    const shown = await item(ben)
    assert.deepEqual([shown.unread, shown.lastMessage.seq, shown.headSeq], [3, 3, 5])
    const updated = await ben.client.sees("conversation_updated", (one) => one.headSeq === 5, PATIENCE)
    assert.deepEqual([updated.unread, updated.lastMessage.content], [3, "message 2"])
    done(await overHttp.edit(asha, { conversationId, messageId: messages[2].id, content: "edited" }))
    assert.equal((await item(ben)).lastMessage.content, "edited")
    await ben.client.must("mark_read", { conversationId, seq: 2 })
    done(await socket.remove(asha, { conversationId, messageId: messages[0].id }))
    assert.equal((await item(ben)).unread, 1, "what was read before it was deleted")
    done(await socket.remove(asha, { conversationId, messageId: messages[2].id }))
    done(await socket.remove(asha, { conversationId, messageId: messages[1].id }))
    const empty = await item(ben)
    assert.deepEqual([empty.unread, empty.lastMessage], [0, null])
  })

  test("malformed HTTP requests are refused", async (t) => {
    const { asha, conversationId, sentBy, page } = await pair(t)
    const message = await sentBy(asha, "first")
    const at = path({ conversationId, messageId: message.id })
    const ask = (method, where, options) => request(server, method, where, { as: asha.id, ...options })
    for (const [method, where, options, status] of [
      ["PATCH", at, {}, 415],
      ["PATCH", at, { headers: { "content-type": "application/json" } }, 400],
      ["PATCH", at, { body: [] }, 400],
      ["PUT", `${at}/pin`, { raw: "{", headers: { "content-type": "application/json" } }, 400],
      ["PUT", `${at}/pin`, { raw: "x=1", headers: { "content-type": "text/plain" } }, 415],
      ["PUT", `${at}/reactions/%ff`, {}, 400],
      ["DELETE", `${at}/reactions/ok`, {}, 400],
      ["POST", `${at}/pin`, { body: {} }, 405],
      ["GET", at, {}, 405],
      ["GET", `${MESSAGES}/${conversationId}?kind=some`, {}, 400],
    ]) {
      const answer = await ask(method, where, options)
      assert.equal(answer.status, status, `${method} ${where}: ${answer.text}`)
    }
    assert.equal((await request(server, "DELETE", at)).status, 401)
    assert.equal((await page(asha)).data[0].deletedAt, undefined)
    // A body is optional, and may be empty whatever its content type.
    const empty = { headers: { "content-type": "application/json" } }
    assert.equal((await ask("PUT", `${at}/pin`, empty)).status, 200)
    assert.equal((await ask("DELETE", `${at}/pin`, { body: {} })).status, 200)
    assert.equal((await ask("PUT", `${at}/reactions/${encodeURIComponent("#️⃣")}`, {})).status, 200)
    const preflight = await request(server, "OPTIONS", at, {
      headers: { origin: server.url, "access-control-request-method": "DELETE" },
    })
    assert.match(preflight.headers.get("access-control-allow-methods") ?? "", /\bDELETE\b/)
  })

  test("M1, M3: a change is stored once after a restart", { skip: isCluster && "one node" }, async (t) => {
    const alone = await serve(t, OPEN)
    const { asha, conversationId, sentBy } = await pair(t, alone)
    const message = await sentBy(asha, "secret")
    const about = { conversationId, messageId: message.id }
    const editing = { ...about, content: "still secret", clientMessageId: randomUUID() }
    const edit = done(await socket.edit(asha, editing))
    await alone.kill()
    await alone.start()
    const back = { ...asha, client: await crowd(t, alone).join(asha.id) }
    assert.deepEqual(done(await socket.edit(back, editing), true), edit)
    done(await overHttp.remove(back, about))
    await alone.kill()
    await alone.start()
    const again = { ...asha, client: await crowd(t, alone).join(asha.id) }
    assert.equal(done(await overHttp.edit(again, editing), true).content, "")
    const { body } = await get(alone, `${MESSAGES}/${conversationId}`, { as: asha.id })
    assert.deepEqual([body.data[0].content, typeof body.data[0].deletedAt], ["", "string"])
  })
})
