// Private messages: sending once, order, delivery, reading, catching up.
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { after, describe, test } from "node:test"
import { conversationOf, crowd, get, post, somebody } from "./support/person.mjs"
import { isCluster, OPEN, serve } from "./support/server.mjs"
import { pass, until } from "./support/wait.mjs"

const server = await serve({ after }, OPEN)
const SEND = "/api/privatechat/message"
const UUID = /^[0-9a-f-]{36}$/

/** Two people with a conversation, each with a socket. */
async function pair(t, on = server) {
  const { join, connect } = crowd(t, on)
  const [a, b] = [somebody("asha"), somebody("ben")]
  const id = await conversationOf(on, a, b)
  return { a, b, id, join, connect, asha: await join(a), ben: await join(b) }
}

const history = async (id, as, query = "") =>
  (await get(server, `/api/privatechat/messages/${id}${query}`, { as })).body

describe("sending", { concurrency: 8 }, () => {
  test("a message is stored, acknowledged, and delivered to all but the sending socket", async (t) => {
    const { a, b, id, join, asha, ben } = await pair(t)
    const tab = await join(a)
    const phone = await join(b)
    const began = performance.now()
    const sent = await asha.must("send_private_message", { conversationId: id, content: "  Hello\n" })
    assert.deepEqual(Object.keys(sent).sort(), ["duplicate", "entry", "message", "success"])
    assert.equal(sent.duplicate, false)
    const { message } = sent
    assert.deepEqual(Object.keys(message).sort(), [
      "content",
      "conversationId",
      "createdAt",
      "id",
      "kind",
      "senderId",
      "seq",
    ])
    assert.deepEqual(
      { ...message, id: "", createdAt: "" },
      {
        id: "",
        createdAt: "",
        kind: "message",
        conversationId: id,
        seq: 1,
        senderId: a,
        content: "  Hello\n",
      },
    )
    assert.match(message.createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    for (const client of [tab, ben, phone])
      assert.deepEqual(await client.sees("new_private_message"), message)
    t.diagnostic(`sent and seen on every device within ${(performance.now() - began).toFixed(0)} ms`)
    await pass(200)
    assert.deepEqual(asha.messages(), [], "the sending socket gets its own message")
    for (const client of [tab, ben, phone]) assert.equal(client.messages().length, 1)
  })

  test("over HTTP the answer is the same, and only the sender's named socket gets no event", async (t) => {
    const { a, b, id, join, asha, ben } = await pair(t)
    const tab = await join(a)
    const first = await post(
      server,
      SEND,
      { conversationId: id, content: "one", senderId: a },
      { headers: { "x-socket-id": asha.id } },
    )
    assert.equal(first.status, 201)
    assert.deepEqual(Object.keys(first.body).sort(), ["duplicate", "entry", "message", "success"])
    await tab.sees("new_private_message", (message) => message.content === "one")
    await ben.sees("new_private_message", (message) => message.content === "one")
    assert.equal(asha.messages().length, 0)
    // Another user's socket cannot be excluded.
    await post(
      server,
      SEND,
      { conversationId: id, content: "two" },
      { as: a, headers: { "x-socket-id": ben.id } },
    )
    await ben.sees("new_private_message", (message) => message.content === "two")
    await asha.sees("new_private_message", (message) => message.content === "two")
    for (const odd of ["nobody", "", "é", "x".repeat(5_000), " "]) {
      const answer = await post(
        server,
        SEND,
        { conversationId: id, content: `odd ${odd.length}` },
        { as: a, headers: { "x-socket-id": Buffer.from(odd).toString("latin1") } },
      )
      assert.equal(answer.status, 201, answer.text)
    }
    await until(() => ben.messages().length === 7)
    assert.equal((await history(id, b)).data.length, 7)
  })

  test("M1: the same clientMessageId is stored once, over the socket, over HTTP and after a restart", async (t) => {
    const alone = await serve(t, OPEN)
    const { a, id, asha, ben } = await pair(t, alone)
    const clientMessageId = randomUUID()
    const body = { conversationId: id, content: "once", clientMessageId }
    const first = await asha.must("send_private_message", body)
    assert.equal(first.message.clientMessageId, clientMessageId)
    const again = await asha.must("send_private_message", body)
    assert.deepEqual(again, { ...first, duplicate: true })
    const http = await post(alone, SEND, body, { as: a })
    assert.equal(http.status, 200)
    assert.deepEqual(http.body, again)
    const other = { ...body, content: "something else" }
    assert.equal((await asha.ask("send_private_message", other)).code, "conflict")
    const refused = await post(alone, SEND, other, { as: a })
    assert.equal(refused.status, 409)
    // At once, from everywhere.
    const racing = { conversationId: id, content: "race", clientMessageId: randomUUID() }
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, () => asha.must("send_private_message", racing)),
      ...Array.from({ length: 10 }, async () => (await post(alone, SEND, racing, { as: a })).body),
    ])
    assert.equal(new Set(answers.map((answer) => answer.message.id)).size, 1)
    assert.equal(answers.filter((answer) => !answer.duplicate).length, 1)
    await pass(200)
    assert.equal(ben.messages().length, 2, "a duplicate is not sent again")

    await alone.kill()
    await alone.start()
    const { join } = crowd(t, alone)
    const back = await join(a)
    assert.deepEqual(await back.must("send_private_message", body), again)
    assert.deepEqual((await post(alone, SEND, body, { as: a })).body, again)
    assert.equal((await back.ask("send_private_message", other)).code, "conflict")
  })

  test("one clientMessageId of another sender or in another conversation makes another message", async (t) => {
    const { a, id, asha, ben } = await pair(t)
    const clientMessageId = randomUUID()
    const one = await asha.must("send_private_message", { conversationId: id, content: "x", clientMessageId })
    const two = await ben.must("send_private_message", { conversationId: id, content: "x", clientMessageId })
    assert.notEqual(one.message.id, two.message.id)
    const elsewhere = await conversationOf(server, a, somebody("carl"))
    const three = await asha.must("send_private_message", {
      conversationId: elsewhere,
      content: "other",
      clientMessageId,
    })
    assert.equal(three.duplicate, false)
    assert.equal(three.message.seq, 1)
  })

  test("tempId is echoed to the sender only, and deduplicates equal messages only", async (t) => {
    const { a, id, join, asha, ben } = await pair(t)
    const tab = await join(a)
    const tempId = `temp-${Date.now()}`
    const one = await asha.send(id, "one", { tempId })
    assert.equal(one.tempId, tempId)
    assert.equal(one.message.tempId, undefined)
    const got = await ben.sees("new_private_message")
    assert.deepEqual(got, one.message)
    assert.ok(!JSON.stringify(got).includes(tempId), "the receiver learns the sender's tempId")
    assert.ok(!JSON.stringify(await tab.sees("new_private_message")).includes(tempId))
    assert.deepEqual(await asha.send(id, "one", { tempId }), { ...one, duplicate: true })
    const http = await post(server, SEND, { conversationId: id, content: "one", tempId, senderId: a })
    assert.deepEqual(http.body, { ...one, duplicate: true })
    const other = await tab.send(id, "two", { tempId })
    assert.equal(other.duplicate, false)
    assert.notEqual(other.message.id, one.message.id)
    assert.equal((await tab.send(id, "two", { tempId })).message.id, other.message.id)
    // Where both are given, clientMessageId counts.
    const clientMessageId = randomUUID()
    const both = await asha.send(id, "one", { tempId, clientMessageId })
    assert.equal(both.duplicate, false)
    assert.equal(both.tempId, tempId)
    assert.equal((await asha.send(id, "three", { tempId, clientMessageId })).code, "conflict")
    assert.equal((await asha.send(id, "one", { tempId: "temp-2", clientMessageId })).tempId, "temp-2")
    const number = await asha.send(id, "number", { tempId: 1234 })
    assert.equal(number.tempId, "1234")
  })

  test("M4, M5: a hundred sends at once keep their order, in seq and at the receiver", async (t) => {
    const { b, id, asha, ben } = await pair(t)
    const texts = Array.from({ length: 100 }, (_, n) => `message ${n}`)
    const answers = await Promise.all(texts.map((content) => asha.send(id, content)))
    assert.deepEqual(
      answers.map((answer) => answer.message.seq),
      texts.map((_, n) => n + 1),
    )
    await until(() => ben.messages().length === 100)
    assert.deepEqual(
      ben.messages().map((message) => message.content),
      texts,
    )
    assert.deepEqual(
      (await history(id, b, "?limit=200")).data.map((message) => message.content),
      texts,
    )
  })

  test("M5: order is preserved when the socket fails in mid-stream and HTTP takes over", async (t) => {
    for (let round = 0; round < 3; round++) {
      const { a, b, id, asha, ben } = await pair(t)
      const items = Array.from({ length: 60 }, (_, n) => ({
        conversationId: id,
        content: `message ${n}`,
        clientMessageId: randomUUID(),
      }))
      const known = new Set()
      for (const item of items.slice(0, 40)) {
        asha.socket.emit("send_private_message", item, () => known.add(item.clientMessageId))
      }
      await until(() => known.size > 5 * round)
      asha.cut()
      for (const item of items) {
        if (known.has(item.clientMessageId)) continue
        const { body } = await post(server, SEND, item, { as: a })
        assert.ok(body.success, JSON.stringify(body))
      }
      const { data } = await history(id, b, "?limit=200")
      assert.deepEqual(
        data.map((message) => message.content),
        items.map((item) => item.content),
      )
      assert.deepEqual(
        data.map((message) => message.seq),
        items.map((_, n) => n + 1),
      )
      await until(() => ben.messages().length === 60)
      assert.deepEqual(
        ben.messages().map((message) => message.seq),
        items.map((_, n) => n + 1),
      )
    }
  })

  test("order is preserved over polling and through the upgrade, in both directions", async (t) => {
    for (const transports of [["polling"], ["polling", "websocket"]]) {
      const { join } = crowd(t, server)
      const [a, b] = [somebody("a"), somebody("b")]
      const id = await conversationOf(server, a, b)
      const [asha, ben] = await Promise.all([a, b].map((user) => join(user, { options: { transports } })))
      const texts = Array.from({ length: 100 }, (_, n) => `${n} é😀\u001e`)
      const [mine, theirs] = await Promise.all(
        [asha, ben].map((one) => Promise.all(texts.map((content) => one.send(id, content)))),
      )
      for (const answers of [mine, theirs]) {
        const seqs = answers.map((answer) => answer.message.seq)
        assert.deepEqual(
          seqs,
          [...seqs].sort((x, y) => x - y),
        )
      }
      for (const one of [asha, ben]) {
        await until(() => one.messages().length === 100)
        assert.deepEqual(
          one.messages().map((message) => message.content),
          texts,
        )
      }
      await until(() => asha.socket.io.engine.transport.name === transports.at(-1))
    }
  })

  test("M14: in a batch, one bad item fails alone", async (t) => {
    const { b, id, asha } = await pair(t)
    const foreign = await conversationOf(server, somebody("x"), somebody("y"))
    const batch = [
      { conversationId: id, content: "good 1" },
      { conversationId: id, content: "  " },
      { conversationId: foreign, content: "not mine" },
      { conversationId: id, content: "x".repeat(8_001) },
      { conversationId: id, content: 5 },
      { conversationId: id, content: "good 2" },
    ]
    const answers = await Promise.all(batch.map((item) => asha.ask("send_private_message", item)))
    assert.deepEqual(
      answers.map((answer) => answer.code ?? "ok"),
      ["ok", "empty_message", "not_found", "too_long", "invalid", "ok"],
    )
    assert.deepEqual(
      (await history(id, b)).data.map((message) => message.seq),
      [1, 2],
    )
  })

  test("content is stored unchanged: markup, every script, line ends, 8,000 characters of four bytes", async (t) => {
    const { b, id, asha, ben } = await pair(t)
    const texts = [
      `<img src=x onerror="alert(1)"> <script>alert(1)</script> &lt;b&gt; </script>`,
      "'; DROP TABLE messages; -- %s {{x}} ../../etc/passwd",
      "  spaces kept \r\n\t tabs too  ",
      "نص من اليمين \u202e und \u200d 👩‍👩‍👧‍👦 e\u0301 \u2028 \u2029 \u0000 \u001e \ufeff",
      "😀".repeat(8_000),
      '{"type":2,"data":["x"]}',
      "\ud800 lone surrogate".replace("\ud800", "\ufffd"),
    ]
    for (const content of texts) {
      const { message } = await asha.must("send_private_message", { conversationId: id, content })
      assert.equal(message.content, content)
      assert.equal((await ben.sees("new_private_message", (one) => one.seq === message.seq)).content, content)
    }
    assert.deepEqual(
      (await history(id, b)).data.map((message) => message.content),
      texts,
    )
    for (const content of ["", " ", "\n\t\u00a0\u2003"])
      assert.equal((await asha.send(id, content)).code, "empty_message")
    assert.equal((await asha.send(id, "😀".repeat(8_001))).code, "too_long")
    const http = await post(server, SEND, { conversationId: id, content: "x".repeat(8_001), senderId: b })
    assert.equal(http.status, 413)
    assert.equal(http.body.code, "too_long")
  })

  test("ids are accepted as numbers and returned as strings", async (t) => {
    const { join } = crowd(t, server)
    const [a, b] = [7_000_000 + process.pid, 8_000_000 + process.pid]
    const { body } = await post(server, "/api/privatechat/conversations", { userId: b, senderId: a })
    assert.ok(body.success, JSON.stringify(body))
    assert.deepEqual(body.conversation.members.map((member) => member.id).sort(), [String(a), String(b)])
    const asha = await join(a)
    assert.equal(asha.joined.user.id, String(a))
    const ben = await join(String(b))
    const id = body.conversation.id
    await asha.must("join_conversation", id)
    await asha.must("leave_conversation", { conversationId: id })
    const sent = await asha.must("send_private_message", {
      conversationId: id,
      content: "x",
      clientMessageId: 12,
    })
    assert.equal(sent.message.clientMessageId, "12")
    assert.equal((await ben.sees("new_private_message")).senderId, String(a))
    assert.match(id, /./)
    assert.match(randomUUID(), UUID)
    for (const bad of [1.5, -0.5, 1e300, true, null, [], {}, "", "x".repeat(129), "a\u0007b"]) {
      const answer = await asha.ask("send_private_message", { conversationId: bad, content: "x" })
      assert.equal(answer.code, "invalid", JSON.stringify(bad))
    }
  })

  test("sending too fast is rate_limited with retryAfterMs, over both wires", async (t) => {
    const strict = await serve(t, { ...OPEN, LIMIT_SENDS: "5" })
    const { a, b, id, asha, ben } = await pair(t, strict)
    const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => asha.send(id, `m ${n}`)))
    const refused = answers.filter((answer) => !answer.success)
    assert.ok(refused.length >= 5, `${refused.length} refused`)
    for (const answer of refused) {
      assert.equal(answer.code, "rate_limited")
      assert.equal(answer.retryable, true)
      assert.ok(answer.retryAfterMs > 0 && answer.retryAfterMs <= 1_000)
    }
    let http
    do http = await post(strict, SEND, { conversationId: id, content: "http" }, { as: a })
    while (http.status === 201)
    assert.equal(http.status, 429)
    assert.ok(Number(http.headers.get("retry-after")) >= 1)
    assert.equal((await ben.send(id, "another user")).success, true)
    await pass(http.body.retryAfterMs)
    // The node of her socket may know of more sends than the one that answered.
    const sends = async () => (await asha.send(id, "after waiting")).success
    if (isCluster) await until(sends)
    else assert.equal(await sends(), true)
    const { data } = (await get(strict, `/api/privatechat/messages/${id}`, { as: b })).body
    assert.deepEqual(
      data.map((message) => message.seq),
      data.map((_, n) => n + 1),
    )
  })
})

describe("reading", { concurrency: 8 }, () => {
  test("M9: unread counts, read marks and receipts agree on two devices", async (t) => {
    const { a, b, id, join, asha, ben } = await pair(t)
    const phone = await join(b)
    const mine = async (as) =>
      (await get(server, "/api/privatechat/conversations", { as })).body.data.find((one) => one.id === id)
    for (let n = 1; n <= 3; n++) await asha.send(id, `m ${n}`)
    const seen = await mine(b)
    assert.deepEqual(Object.keys(seen).sort(), [
      "createdAt",
      "headSeq",
      "id",
      "kind",
      "lastMessage",
      "members",
      "readSeq",
      "unread",
    ])
    assert.equal(seen.kind, "direct")
    assert.equal(seen.unread, 3)
    assert.equal(seen.headSeq, 3)
    assert.equal(seen.readSeq, 0)
    assert.equal(seen.lastMessage.content, "m 3")
    assert.equal((await mine(a)).unread, 0, "one's own are never unread")
    const delivered = await asha.sees("receipt", (data) => data.userId === b && data.deliveredSeq === 3)
    assert.deepEqual(delivered, { conversationId: id, userId: b, deliveredSeq: 3, readSeq: 0 })

    const answer = await ben.must("mark_read", { conversationId: id, seq: 2 })
    assert.equal(answer.readSeq, 2)
    await asha.sees("receipt", (data) => data.userId === b && data.readSeq === 2)
    for (const device of [ben, phone]) {
      const updated = await device.sees(
        "conversation_updated",
        (data) => data.id === id && data.readSeq === 2,
      )
      assert.equal(updated.unread, 1)
    }
    assert.equal((await ben.must("mark_read", { conversationId: id, seq: 1 })).readSeq, 2, "never back")
    const http = await post(server, `/api/privatechat/conversations/${id}/read`, { seq: 3 }, { as: b })
    assert.equal(http.body.readSeq, 3)
    await phone.sees("conversation_updated", (data) => data.readSeq === 3 && data.unread === 0)
    const beyond = await phone.must("mark_read", { conversationId: id, seq: 1_000_000 })
    assert.equal(beyond.readSeq, 3, "not past the end")
    // A send moves the sender's mark.
    await asha.send(id, "m 4")
    await ben.send(id, "m 5")
    assert.equal((await mine(b)).readSeq, 5)
    assert.equal((await mine(b)).unread, 0)
    assert.equal((await mine(a)).unread, 1)
    // The sender's other devices derive it from the message itself.
    await phone.sees("new_private_message", (message) => message.seq === 5 && message.senderId === b)
    for (const seq of [-1, 1.5, "x", null, 2 ** 70]) {
      assert.equal((await ben.ask("mark_read", { conversationId: id, seq })).code, "invalid", String(seq))
    }
  })

  test("conversation_updated is sent when a conversation is created, and not for each message", async (t) => {
    const { join } = crowd(t, server)
    const [a, b] = [somebody("a"), somebody("b")]
    const [asha, ben] = [await join(a), await join(b)]
    const id = await conversationOf(server, a, b)
    for (const client of [asha, ben]) await client.sees("conversation_updated", (data) => data.id === id)
    const [one, two] = [asha.mark(), ben.mark()]
    for (let n = 0; n < 5; n++) await asha.send(id, "x")
    await until(() => ben.messages().length === 5)
    await pass(300)
    assert.equal(ben.all("conversation_updated", two).length, 0)
    assert.ok(asha.all("conversation_updated", one).length <= 5)
    const again = await post(server, "/api/privatechat/conversations", { userId: a }, { as: b })
    assert.equal(again.body.conversation.id, id)
    await pass(200)
    assert.equal(ben.all("conversation_updated", two).length, 0)
  })

  test("a message is delivered once it is written to a socket or fetched", async (t) => {
    const { join } = crowd(t, server)
    const [a, b] = [somebody("a"), somebody("b")]
    const id = await conversationOf(server, a, b)
    const asha = await join(a)
    await asha.send(id, "you are not in")
    await pass(500)
    assert.deepEqual(
      asha.all("receipt").filter((data) => data.userId === b),
      [],
    )
    await history(id, b)
    await asha.sees("receipt", (data) => data.userId === b && data.deliveredSeq === 1 && data.readSeq === 0)
  })

  test("typing is sent to the other members and ends by false, a message, leaving, or after 6 s", async (t) => {
    const { a, b, id, join, asha, ben } = await pair(t)
    const tab = await join(a)
    const body = { conversationId: id, isTyping: true }
    const began = performance.now()
    const asked = Date.now()
    await asha.must("typing", body)
    const typing = await ben.sees("typing", (data) => data.isTyping)
    assert.equal(typing.conversationId, id)
    assert.equal(typing.userId, a)
    const expires = Date.parse(typing.expiresAt)
    assert.ok(expires - asked >= 5_900 && expires - Date.now() <= 6_200, `${expires - asked} ms`)
    await asha.must("typing", { ...body, isTyping: false })
    await ben.sees("typing", (data) => !data.isTyping)
    let since = ben.mark()
    const again = performance.now()
    await asha.must("typing", body)
    await ben.sees("typing", (data) => data.isTyping, { since })
    await ben.sees("typing", (data) => !data.isTyping, { since })
    const took = performance.now() - again
    t.diagnostic(`typing ended by itself after ${took.toFixed(0)} ms`)
    assert.ok(took > 5_500 && took < 20_000, `${took} ms`)
    since = ben.mark()
    await asha.must("typing", body)
    await ben.sees("typing", (data) => data.isTyping, { since })
    asha.close()
    await ben.sees("typing", (data) => !data.isTyping, { since })
    assert.deepEqual(tab.all("typing"), [], "one's own devices are not told")
    assert.ok(performance.now() > began)
    assert.equal((await ben.ask("typing", { conversationId: id })).code, "invalid")
    assert.equal((await ben.ask("typing", { conversationId: id, isTyping: "yes" })).code, "invalid")
    assert.equal(
      (await (await join(b)).ask("typing", { conversationId: "no", isTyping: true })).code,
      "not_found",
    )
  })
})

describe("catching up", { concurrency: 4 }, () => {
  test("history pages before, after and around a seq, oldest first, with hasMore for that direction", async (t) => {
    const { a, b, id, asha, ben } = await pair(t)
    for (let n = 1; n <= 25; n++)
      asha.socket.emit("send_private_message", { conversationId: id, content: `${n}` })
    await asha.must("sync", { conversations: {} })
    await until(async () => (await history(id, b)).data.length === 25)
    const page = async (query) => {
      const { success, data, hasMore } = await history(id, b, query)
      assert.equal(success, true)
      return [data.map((message) => message.seq), hasMore]
    }
    const range = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n)
    assert.deepEqual(await page(""), [range(1, 25), false])
    assert.deepEqual(await page("?limit=10"), [range(16, 25), true])
    assert.deepEqual(await page("?before=16&limit=10"), [range(6, 15), true])
    assert.deepEqual(await page("?before=6&limit=10"), [range(1, 5), false])
    assert.deepEqual(await page("?before=11&limit=10"), [range(1, 10), false])
    assert.deepEqual(await page("?before=1"), [[], false])
    assert.deepEqual(await page("?after=0&limit=10"), [range(1, 10), true])
    assert.deepEqual(await page("?after=20&limit=10"), [range(21, 25), false])
    assert.deepEqual(await page("?after=15&limit=10"), [range(16, 25), false])
    assert.deepEqual(await page("?after=25"), [[], false])
    assert.deepEqual(await page("?after=1000"), [[], false])
    assert.deepEqual(await page("?before=18446744073709551615&limit=1"), [[25], true])
    assert.deepEqual(await page("?after=9223372036854775807"), [[], false])
    const around = async (query) => {
      const { data, hasMore, hasBefore, hasAfter } = await history(id, b, query)
      assert.equal(hasMore, hasBefore || hasAfter)
      return [data.map((message) => message.seq), hasBefore, hasAfter]
    }
    assert.deepEqual(await around("?around=13&limit=6"), [range(10, 15), true, true])
    assert.deepEqual(await around("?around=1&limit=6"), [range(1, 6), false, true])
    assert.deepEqual(await around("?around=25&limit=6"), [range(20, 25), true, false])
    assert.deepEqual(await around("?around=13"), [range(1, 25), false, false])
    assert.deepEqual(await around("?around=18446744073709551615&limit=2"), [range(24, 25), true, false])
    // The first unread message is the one after the read mark, one's own sends included.
    await ben.must("mark_read", { conversationId: id, seq: 7 })
    const conversation = (await get(server, "/api/privatechat/conversations", { as: b })).body.data[0]
    assert.deepEqual([conversation.readSeq, conversation.unread], [7, 18])
    assert.deepEqual(await around(`?around=${conversation.readSeq + 1}&limit=2`), [range(7, 8), true, true])
    assert.equal((await history(id, b, "")).hasBefore, undefined)
    const bad = [
      "before=1&after=2",
      "before=1&around=2",
      "after=1&around=2",
      "around=x",
      "limit=0",
      "limit=201",
      "limit=x",
      "before=-1",
      "after=1.5",
      "before=",
    ]
    for (const query of [...bad, "before=99999999999999999999999", "before=1&before=2"]) {
      const answer = await get(server, `/api/privatechat/messages/${id}?${query}`, { as: a })
      assert.equal(answer.status, 400, query)
      assert.equal(answer.body.code, "invalid", query)
    }
  })

  test("sync returns at most 200 missed entries each, single refusals, and conversations that were not named", async (t) => {
    const { a, b, id, join, asha, ben } = await pair(t)
    for (let n = 1; n <= 250; n++)
      asha.socket.emit("send_private_message", { conversationId: id, content: `${n}` })
    await until(() => ben.messages().length === 250)
    const foreign = await conversationOf(server, somebody("x"), somebody("y"))
    const added = await conversationOf(server, b, somebody("carl"))
    const answer = await ben.must("sync", { conversations: { [id]: 10, [foreign]: 0, "no such": 3 } })
    const page = answer.conversations[id]
    assert.deepEqual(Object.keys(page).sort(), [
      "entries",
      "firstSeq",
      "hasMore",
      "headSeq",
      "readSeq",
      "receipts",
    ])
    assert.equal(page.entries.length, 200)
    assert.equal(page.entries[0].seq, 11)
    assert.equal(page.entries[199].seq, 210)
    assert.equal(page.hasMore, true)
    assert.equal(page.headSeq, 250)
    assert.equal(page.firstSeq, 1)
    assert.equal(page.readSeq, 0)
    assert.deepEqual(page.receipts.map((receipt) => receipt.userId).sort(), [a, b].sort())
    const refusals = [answer.conversations[foreign], answer.conversations["no such"]]
    assert.deepEqual(refusals[0], refusals[1], "what is not yours cannot be told from what is not there")
    assert.equal(refusals[0].code, "not_found")
    assert.equal(refusals[0].success, false)
    assert.deepEqual(
      answer.added.map((one) => one.id),
      [added],
    )
    const rest = await ben.must("sync", { conversations: { [id]: 210 } })
    assert.equal(rest.conversations[id].entries.length, 40)
    assert.equal(rest.conversations[id].hasMore, false)
    const none = await ben.must("sync", { conversations: { [id]: 250 } })
    assert.deepEqual(none.conversations[id].entries, [])
    const ahead = await ben.must("sync", { conversations: { [id]: 9_000 } })
    assert.equal(ahead.conversations[id].headSeq, 250)
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`c${n}`, 0]))
    assert.equal((await ben.ask("sync", { conversations: many })).code, "too_long")
    for (const bad of [[], null, 5]) {
      assert.equal((await ben.ask("sync", { conversations: bad })).code, "invalid", JSON.stringify(bad))
    }
    // M14: an entry that makes no sense is refused alone.
    for (const bad of [{ ghost: -1 }, { ghost: "x" }, { ghost: null }, { ["y".repeat(129)]: 0 }, { "": 0 }]) {
      const { conversations } = await ben.must("sync", { conversations: { [id]: 240, ...bad } })
      assert.equal(conversations[id].entries.length, 10)
      assert.equal(conversations[Object.keys(bad)[0]].code, "invalid", JSON.stringify(bad))
    }
    const stranger = await join(somebody("stranger"))
    const theirs = await stranger.must("sync", { conversations: {} })
    assert.deepEqual(theirs, { success: true, conversations: {}, added: [], store: theirs.store })
  })

  test("conversations are listed by newest entry, in pages by a cursor, and only the user's own", async (t) => {
    const { join } = crowd(t, server)
    const a = somebody("a")
    const asha = await join(a)
    const ids = []
    for (let n = 0; n < 7; n++) {
      ids.unshift(await conversationOf(server, a, somebody("other")))
      await asha.send(ids[0], "x")
    }
    await pass(5) // Entries of one millisecond have no order among conversations.
    await asha.send(ids[3], "y")
    const order = [ids[3], ...ids.filter((id) => id !== ids[3])]
    const list = async (query) =>
      (await get(server, `/api/privatechat/conversations${query}`, { as: a })).body
    assert.deepEqual(
      (await list("")).data.map((one) => one.id),
      order,
    )
    const found = []
    let query = "?limit=3"
    for (;;) {
      const page = await list(query)
      found.push(...page.data.map((one) => one.id))
      if (!page.nextCursor) break
      assert.equal(page.data.length, 3)
      query = `?limit=3&cursor=${encodeURIComponent(page.nextCursor)}`
    }
    assert.deepEqual(found, order)
    for (const cursor of ["x", "%00", "9".repeat(400), "' OR 1=1"]) {
      const answer = await get(
        server,
        `/api/privatechat/conversations?cursor=${encodeURIComponent(cursor)}`,
        {
          as: a,
        },
      )
      assert.equal(answer.status, 400, answer.text)
    }
    assert.deepEqual(
      (await get(server, "/api/privatechat/conversations", { as: somebody("z") })).body.data,
      [],
    )
  })

  test("two users have one conversation, also if both create it twice and at once", async () => {
    const [a, b] = [somebody("a"), somebody("b")]
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        post(server, "/api/privatechat/conversations", { userId: n % 2 ? a : b }, { as: n % 2 ? b : a }),
      ),
    )
    assert.equal(new Set(answers.map((answer) => answer.body.conversation?.id)).size, 1)
    const self = await post(server, "/api/privatechat/conversations", { userId: a }, { as: a })
    assert.equal(self.status, 400)
    assert.equal(self.body.code, "invalid")
  })

  test("P11: no answer distinguishes invisible from offline", async (t) => {
    const alone = await serve(t, OPEN)
    const { join } = crowd(t, alone)
    // Two users who act alike; then one closes everything and the other goes invisible.
    const [gone, hidden] = ["u-1", "u-2"]
    const full = await join("w-1", { roster: "full" })
    const diff = await join("w-2", { roster: "diff" })
    const watch = await join("w-3", { roster: "watch" })
    const ids = {}
    const sockets = {}
    for (const user of [gone, hidden]) {
      ids[user] = await conversationOf(alone, "w-1", user)
      sockets[user] = await join(user, { roster: "full" })
    }
    await watch.must("watch_presence", { userIds: [gone, hidden] })
    for (const user of [gone, hidden]) for (const one of [full, diff]) await one.seesOnline(user)
    const since = full.mark()

    const now = Date.now()
    await sockets[hidden].must("set_status", { status: "invisible" })
    sockets[gone].close()
    // The received events, since a later list names neither.
    const offline = (one, user) =>
      one.events
        .flatMap(({ name, data }) =>
          name === "presence_changes" ? data.changes.filter(({ type }) => type === "offline") : [data],
        )
        .find(({ userId, reason }) => userId === user && reason)
    for (const one of [full, diff, watch])
      for (const user of [gone, hidden])
        await until(() => offline(one, user), `${user} is offline to ${one.joined.roster}`)
    const shape = (one) => {
      const { userId, version, lastSeenAt, ...rest } = one
      assert.ok(Number.isSafeInteger(version) && userId)
      assert.ok(Math.abs(Date.parse(lastSeenAt) - now) < 1_000, lastSeenAt)
      return rest
    }
    for (const one of [full, diff, watch]) {
      assert.deepEqual(shape(offline(one, hidden)), shape(offline(one, gone)))
      assert.equal(offline(one, hidden).reason, "closed")
    }
    const frozen = offline(full, hidden)

    /** Every answer in which a user shows, with the ids of the two put for each other. */
    const answers = async (user) => {
      const other = user === gone ? hidden : gone
      const watched = await watch.must("watch_presence", { userIds: [user] })
      const synced = await full.must("sync", { conversations: { [ids[user]]: 0 } })
      const page = synced.conversations[ids[user]]
      const http = []
      for (const path of [
        "/api/online-users",
        "/api/online-users?countOnly=true",
        `/api/online-users?excludeUserId=${user}`,
        `/api/online-users?excludeUserId=${user}&countOnly=true`,
        `/api/users?query=${user}`,
        `/api/privatechat/messages/${ids[user]}`,
      ]) {
        const { status, body } = await get(alone, path, { as: "w-1" })
        http.push({ path, status, body })
      }
      const all = JSON.stringify({ watched, page, http })
        .replaceAll(ids[user], "ID")
        .replaceAll(ids[other], "OTHER")
        .replaceAll(user, "USER")
      // What differs between any two people, and for a different reason. The nodes of a cluster count the versions of
      // these two apart.
      return (isCluster ? all.replaceAll(/("status":"offline".*?"version"):\d+/g, "$1:0") : all)
        .replaceAll(/"(lastSeenAt|createdAt|lastActiveAt)":"[^"]*"/g, '"$1":"TIME"')
        .replaceAll(/"id":"[0-9a-f-]{36}"/g, '"id":"MESSAGE"')
    }
    assert.equal(await answers(hidden), await answers(gone))

    // They type, fetch, send heartbeats, reload and have three tabs, without any visible effect.
    const quiet = [full.mark(), diff.mark(), watch.mark()]
    await full.send(ids[hidden], "are you there?")
    await full.send(ids[gone], "are you there?")
    await sockets[hidden].sees("new_private_message")
    await sockets[hidden].must("typing", { conversationId: ids[hidden], isTyping: true })
    await sockets[hidden].must("user_activity")
    await sockets[hidden].must("set_activity", { activity: { kind: "in_call" } })
    await sockets[hidden].must("sync", { conversations: { [ids[hidden]]: 0 } })
    await get(alone, `/api/privatechat/messages/${ids[hidden]}`, { as: hidden })
    const tab = await join(hidden, { roster: "full", name: hidden })
    sockets[hidden].close()
    await pass(1_500)
    assert.equal(await answers(hidden), await answers(gone))
    tab.close()
    await pass(1_500)
    const back = await join(hidden, { roster: "full" })
    assert.equal(back.joined.status.status, "invisible")
    await pass(1_200)
    assert.equal(await answers(hidden), await answers(gone))
    for (const [index, one] of [full, diff, watch].entries()) {
      const came = one.events.slice(quiet[index]).filter((event) => JSON.stringify(event).includes(hidden))
      assert.deepEqual(came, [])
    }
    assert.equal(full.all("user_offline", since).filter((data) => data.userId === hidden).length, 1)

    // Over a restart, a clean one and a crash.
    for (const end of ["stop", "kill"]) {
      await alone[end]()
      await alone.start()
      const again = crowd(t, alone)
      const watcher = await again.join("w-3", { roster: "watch" })
      const seen = async (user) => (await watcher.must("watch_presence", { userIds: [user] })).users[0]
      const before = await seen(hidden)
      assert.equal(before.lastSeenAt, frozen.lastSeenAt, `after ${end}`)
      await again.join(hidden)
      await pass(300)
      const after = await seen(hidden)
      assert.equal(after.status, "offline")
      assert.equal(after.lastSeenAt, frozen.lastSeenAt)
      // On a cluster both follow Redis' clock, each in a bucket of its own (4,096 versions a millisecond).
      const apart = Math.abs((await seen(gone)).version - after.version)
      assert.ok(isCluster ? apart < 60_000 * 4_096 : apart === 0, `${apart} apart`)
      // Redis still has what the nodes of a cluster left behind, until their leases lapse.
      const online = (await get(alone, "/api/online-users")).body.data.map(({ userId }) => userId)
      assert.ok(online.includes("w-3") && !online.includes(hidden) && !online.includes(gone))
      assert.equal(isCluster || online.length === 1, true)
    }

    // And back.
    const { join: rejoin } = crowd(t, alone)
    const last = await rejoin("w-1", { roster: "full" })
    const shown = await rejoin(hidden)
    await shown.must("set_status", { status: "online" })
    await last.seesOnline(hidden)
  })

  test("P11: delivered marks of an invisible user are published once the user is visible", async (t) => {
    const { b, id, asha, ben } = await pair(t)
    await ben.must("set_status", { status: "invisible" })
    await asha.send(id, "x")
    await ben.sees("new_private_message")
    await pass(600)
    assert.deepEqual(
      asha.all("receipt").filter((data) => data.userId === b),
      [],
    )
    await ben.must("set_status", { status: "online" })
    await asha.sees("receipt", (data) => data.userId === b && data.deliveredSeq === 1)
  })
})
