// The files of a conversation: listed by kind, newest first, for users with access.
import assert from "node:assert/strict"
import { after, test } from "node:test"
import { mp4, png, wav } from "./support/media.mjs"
import { conversationOf, crowd, get, request, somebody } from "./support/person.mjs"
import { isCluster, OPEN, serve } from "./support/server.mjs"
import { uploads } from "./support/tus.mjs"
import { until } from "./support/wait.mjs"

const CONVERSATIONS = "/api/privatechat/conversations"
const server = await serve({ after }, { ...OPEN, FILE_QUOTA: "0" })

const TYPES = {
  png: ["image/png", () => png(40, 30)],
  mp4: ["video/mp4", () => mp4(2)],
  wav: ["audio/wav", () => wav(1)],
  pdf: ["application/pdf", () => Buffer.from("%PDF-1.7 a paper")],
  txt: ["text/plain", () => Buffer.from("a text")],
  html: ["text/html", () => Buffer.from("<script>alert(1)</script>")],
}

/** People with a socket each, and what they do with files. */
async function people(t, ...names) {
  const { join } = crowd(t, server)
  return Promise.all(
    names.map(async (name) => {
      const id = somebody(name)
      const client = await join(id)
      const files = uploads(server, id)
      return {
        id,
        client,
        upload: (place, file) => {
          const [type, bytes] = TYPES[file.split(".").at(-1)]
          return files.whole(place, bytes(), { name: file, type })
        },
        /** Sends files in one message. */
        async share(place, ...named) {
          const attachments = []
          for (const file of named) attachments.push(await this.upload(place, file))
          return (
            await client.must("send_private_message", { conversationId: place, content: "", attachments })
          ).message
        },
        list: (place, query = "") => get(server, `${CONVERSATIONS}/${place}/files${query}`, { as: id }),
        async names(place, query = "") {
          const { status, body } = await this.list(place, query)
          assert.equal(status, 200, JSON.stringify(body))
          return body.data.map(({ file }) => file.name)
        },
      }
    }),
  )
}

async function pair(t) {
  const [asha, ben] = await people(t, "asha", "ben")
  return { asha, ben, place: await conversationOf(server, asha.id, ben.id) }
}

async function refused(answer, status, code) {
  const { status: given, body } = await answer
  assert.deepEqual([given, body.code], [status, code], JSON.stringify(body))
}

test("files are listed by kind, newest message first, as in their messages", async (t) => {
  const { asha, ben, place } = await pair(t)
  const first = await asha.share(place, "b.png", "paper.pdf", "a.mp4")
  await ben.share(place, "song.wav")
  await ben.client.must("send_private_message", { conversationId: place, content: "a text" })
  const last = await ben.share(place, "text.txt", "page.html", "c.png")
  await asha.upload(place, "not sent.png")

  const { body } = await ben.list(place)
  const file = (message, at) => ({
    file: message.attachments[at],
    messageId: message.id,
    seq: message.seq,
    senderId: message.senderId,
    createdAt: message.createdAt,
  })
  assert.deepEqual(body.data.slice(-3), [file(first, 0), file(first, 1), file(first, 2)])
  assert.deepEqual(body.data.slice(0, 3), [file(last, 0), file(last, 1), file(last, 2)])
  assert.equal(body.data.length, 7)
  assert.deepEqual(body.users, [])
  assert.equal(body.asOfSeq, last.seq)
  assert.equal(body.nextCursor, undefined)
  assert.equal(typeof body.store, "string")
  for (const [kind, expected] of [
    ["media", ["c.png", "b.png", "a.mp4"]],
    ["audio", ["song.wav"]],
    ["document", ["text.txt", "page.html", "paper.pdf"]],
    ["audio,document", ["text.txt", "page.html", "song.wav", "paper.pdf"]],
  ]) {
    assert.deepEqual(await asha.names(place, `?kind=${kind}`), expected, kind)
    // Page by page, with nothing twice and nothing left out.
    for (const limit of [1, 2]) {
      const all = []
      let cursor = ""
      do {
        const page = (await asha.list(place, `?kind=${kind}&limit=${limit}&cursor=${cursor}`)).body
        assert.ok(page.data.length <= limit)
        all.push(...page.data.map(({ file }) => file.name))
        cursor = page.nextCursor
      } while (cursor)
      assert.deepEqual(all, expected, `${kind} by ${limit}`)
    }
  }
  // A listed file can be downloaded, and its message is found by its position.
  const [one] = body.data
  assert.equal((await get(server, one.file.url, { as: asha.id })).status, 200)
  const around = await get(server, `/api/privatechat/messages/${place}?around=${one.seq}`, { as: asha.id })
  assert.ok(around.body.data.some(({ id }) => id === one.messageId))
})

test("a cursor continues at its position after files were sent and deleted", async (t) => {
  const { asha, place } = await pair(t)
  const sent = []
  for (const n of [1, 2, 3, 4]) sent.push(await asha.share(place, `${n}.png`))
  const { body } = await asha.list(place, "?limit=2")
  assert.deepEqual(
    body.data.map(({ file }) => file.name),
    ["4.png", "3.png"],
  )
  await asha.share(place, "5.png")
  await asha.client.must("delete_message", { conversationId: place, messageId: sent[2].id })
  assert.deepEqual(await asha.names(place, `?limit=2&cursor=${body.nextCursor}`), ["2.png", "1.png"])
  assert.deepEqual(await asha.names(place), ["5.png", "4.png", "2.png", "1.png"], "what was deleted is gone")
})

test("M15: strangers, removed members and later members see only permitted files", async (t) => {
  const [asha, ben, cleo, stranger] = await people(t, "asha", "ben", "cleo", "stranger")
  const made = await request(server, "POST", CONVERSATIONS, {
    as: asha.id,
    body: { memberIds: [ben.id], name: "g" },
  })
  const place = made.body.conversation.id
  await asha.share(place, "before.png")
  const members = `${CONVERSATIONS}/${place}/members`
  await request(server, "POST", members, { as: asha.id, body: { userIds: [cleo.id] } })
  await ben.share(place, "later.png")
  assert.deepEqual(await ben.names(place), ["later.png", "before.png"])
  assert.deepEqual(await cleo.names(place), ["later.png"])
  for (const nowhere of [place, "nowhere"]) await refused(stranger.list(nowhere), 404, "not_found")
  const gone = await request(server, "DELETE", `${members}/${encodeURIComponent(ben.id)}`, { as: asha.id })
  assert.equal(gone.status, 200, JSON.stringify(gone.body))
  await refused(ben.list(place), 404, "not_found")
  const { body } = await asha.list(place)
  assert.deepEqual(
    body.data.map(({ file }) => file.name),
    ["later.png", "before.png"],
  )
  assert.deepEqual(
    body.users.map(({ id }) => id),
    [ben.id],
    "the profile of a former member",
  )
})

test("M15: a list omits files withheld by a block until the block ends", async (t) => {
  const { asha, ben, place } = await pair(t)
  await asha.share(place, "hers.png")
  await ben.share(place, "his.png")
  const block = (method) =>
    request(server, method, `/api/blocks/${encodeURIComponent(ben.id)}`, { as: asha.id })
  assert.equal((await block("PUT")).status, 200)
  assert.deepEqual(await ben.names(place), ["his.png"], "who was blocked has their own")
  assert.deepEqual(await asha.names(place), ["his.png", "hers.png"], "who blocks keeps what they got")
  const page = (await ben.list(place, "?limit=1")).body
  assert.ok(page.data.length <= 1)
  assert.equal((await block("DELETE")).status, 200)
  assert.deepEqual(await ben.names(place), ["his.png", "hers.png"])
})

test("invalid input is refused", async (t) => {
  const { asha, place } = await pair(t)
  await asha.share(place, "a.png")
  for (const query of [
    "?kind=pictures",
    "?kind=media,",
    "?kind=media%01",
    "?limit=0",
    "?limit=201",
    "?limit=x",
    "?cursor=x",
    "?cursor=Zjk6MDoA",
    `?cursor=${"x".repeat(4_000)}`,
  ])
    await refused(asha.list(place, query), 400, "invalid")
  await refused(get(server, `${CONVERSATIONS}/${place}/files`), 401, "unauthenticated")
  await refused(asha.list("%01"), 400, "invalid")
  assert.deepEqual(await asha.names(place, "?kind=&cursor="), ["a.png"], "empty is left out")
})

test("lists count against the user's read limit", { skip: isCluster && "one node counts" }, async (t) => {
  const limited = await serve(t, { ...OPEN, LIMIT_READS: "2" })
  const asha = somebody("asha")
  const place = await conversationOf(limited, asha, somebody("ben"))
  const refused = await until(async () => {
    const answer = await get(limited, `${CONVERSATIONS}/${place}/files`, { as: asha })
    return answer.status === 429 && answer.body
  })
  assert.equal(refused.code, "rate_limited")
  assert.equal(refused.retryable, true)
})
