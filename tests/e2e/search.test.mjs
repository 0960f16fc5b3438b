// Searches of messages over the wire. The index follows the log within about a second: a search is repeated
// until it has its hit, and absence is checked once a later message is found.
import assert from "node:assert/strict"
import { after, test } from "node:test"
import { conversationOf, get, post, request, somebody } from "./support/person.mjs"
import { isCluster, OPEN, serve } from "./support/server.mjs"
import { until } from "./support/wait.mjs"

const PATH = "/api/privatechat/search"
/** Three nodes on a loaded machine take their time. */
const PATIENCE_MS = 60_000

const server = await serve({ after }, OPEN)
let serial = 0

/** Two users with a conversation, and one who is not in it. */
async function people() {
  const [asha, ben, carl] = ["asha", "ben", "carl"].map(somebody)
  const conversationId = await conversationOf(server, asha, ben)
  const say = async (by, content, to = conversationId) => {
    const sent = { conversationId: to, content }
    const { body, text } = await post(server, "/api/privatechat/message", sent, { as: by })
    assert.equal(body?.success, true, text)
    return body.message
  }
  /** Waits until the index has everything that was written before. */
  const indexed = async (by = asha, to = conversationId) => {
    const word = `marker${process.pid}x${++serial}`
    await say(by, word, to)
    await until(async () => (await found(by, word)).length === 1, word, PATIENCE_MS)
  }
  return { asha, ben, carl, conversationId, say, indexed }
}

async function ask(by, parts) {
  const { status, body, text } = await get(server, `${PATH}?${new URLSearchParams(parts)}`, { as: by })
  assert.equal(status, 200, text)
  return body
}

const contents = ({ data }) => data.map(({ message }) => message.content)
const found = async (by, query, more = {}) => contents(await ask(by, { query, ...more }))

test("words and prefixes are found, newest first, ignoring case and diacritics, with highlights", async () => {
  const { asha, ben, say, indexed } = await people()
  await say(asha, "Die Bäckerei öffnet früh")
  await say(ben, "😀 Zur BACKEREI, bitte")
  await say(asha, "backen wir selbst")
  await indexed()
  const { data } = await ask(ben, { query: "BÄckerei" })
  assert.deepEqual(contents({ data }), ["😀 Zur BACKEREI, bitte", "Die Bäckerei öffnet früh"])
  assert.deepEqual(
    data.map(({ message, highlights }) => highlights.map(([from, to]) => message.content.slice(from, to))),
    [["BACKEREI"], ["Bäckerei"]],
  )
  assert.equal((await found(asha, "back")).length, 3)
  assert.deepEqual(await found(asha, "öffnet bäck"), ["Die Bäckerei öffnet früh"])
  assert.deepEqual(await found(asha, "bäckerei selbst"), [])
})

test("any substring is found in scripts without spaces", async () => {
  const { asha, say, indexed } = await people()
  await say(asha, "我们明天去图书馆看书")
  await say(asha, "明日は図書館に行きます")
  await indexed()
  assert.deepEqual(await found(asha, "图书馆"), ["我们明天去图书馆看书"])
  assert.deepEqual(await found(asha, "図書館に"), ["明日は図書館に行きます"])
  const { data } = await ask(asha, { query: "书馆" })
  assert.deepEqual(
    data.map(({ message, highlights }) =>
      highlights.map(([from, to]) => message.content.slice(from, to)).join(""),
    ),
    ["书馆"],
  )
})

test("an edited message is found by its new text only, and a deleted one is not found", async () => {
  const { asha, conversationId, say, indexed } = await people()
  const edited = await say(asha, "zebra one")
  const deleted = await say(asha, "zebra two")
  await indexed()
  assert.equal((await found(asha, "zebra")).length, 2)
  const path = (message) => `/api/privatechat/messages/${conversationId}/${encodeURIComponent(message.id)}`
  const patch = await request(server, "PATCH", path(edited), { as: asha, body: { content: "giraffe one" } })
  assert.equal(patch.status, 200, patch.text)
  const gone = await request(server, "DELETE", path(deleted), { as: asha })
  assert.equal(gone.status, 200, gone.text)
  // At once, also before the index has followed.
  assert.deepEqual(await found(asha, "zebra"), [])
  await until(async () => (await found(asha, "giraffe")).length === 1, "giraffe", PATIENCE_MS)
  await indexed()
  assert.deepEqual(await found(asha, "zebra"), [])
  const [{ message }] = (await ask(asha, { query: "giraffe" })).data
  assert.equal(message.id, edited.id)
  assert.ok(message.editedAt)
})

test("messages in other users' conversations are not found", async () => {
  const { asha, ben, carl, conversationId, say, indexed } = await people()
  const other = await conversationOf(server, carl, ben)
  await say(asha, "platypus secret")
  await say(carl, "platypus of ours", other)
  await indexed()
  await indexed(carl, other)
  assert.deepEqual(await found(carl, "platypus"), ["platypus of ours"])
  assert.deepEqual((await found(ben, "platypus")).sort(), ["platypus of ours", "platypus secret"])
  // Another user's conversation has no hits or is refused as unknown: its messages are never found.
  const answer = await get(server, `${PATH}?${new URLSearchParams({ query: "platypus", conversationId })}`, {
    as: carl,
  })
  assert.deepEqual(answer.body.data ?? [], [], answer.text)
  assert.ok(answer.body.success || answer.body.code === "not_found", answer.text)
})

test("a search is filtered by conversation, sender and time", async () => {
  const { asha, ben, conversationId, say, indexed } = await people()
  const first = await say(asha, "walrus of asha")
  await until(() => Date.now() > Date.parse(first.createdAt) + 5)
  const second = await say(ben, "walrus of ben")
  await indexed()
  assert.deepEqual(await found(asha, "walrus", { senderId: ben }), ["walrus of ben"])
  assert.deepEqual(await found(asha, "walrus", { conversationId }), ["walrus of ben", "walrus of asha"])
  assert.deepEqual(await found(asha, "walrus", { before: second.createdAt }), ["walrus of asha"])
  assert.deepEqual(await found(asha, "walrus", { after: first.createdAt }), ["walrus of ben"])
})

test("pages by cursor contain every hit once, newest first", async () => {
  const { asha, conversationId, say, indexed } = await people()
  for (let n = 0; n < 23; n++) await say(asha, `otter ${n}`)
  await indexed()
  for (const more of [{}, { conversationId }]) {
    const all = []
    let cursor
    do {
      const page = await ask(asha, { query: "otter", limit: "5", ...more, ...(cursor ? { cursor } : {}) })
      assert.ok(page.data.length <= 5)
      all.push(...contents(page))
      cursor = page.nextCursor
    } while (cursor)
    assert.deepEqual(
      all,
      Array.from({ length: 23 }, (_, n) => `otter ${22 - n}`),
    )
  }
})

test("an invalid search is refused with an explanation", async () => {
  const { asha } = await people()
  for (const parts of [
    {},
    { query: "?!" },
    { query: "x".repeat(201) },
    { query: "a", limit: "0" },
    { query: "a", limit: "51" },
    { query: "a", before: "yesterday" },
    { query: "a", cursor: "not a cursor" },
  ]) {
    const { status, body } = await get(server, `${PATH}?${new URLSearchParams(parts)}`, { as: asha })
    assert.equal(status, 400, JSON.stringify([parts, body]))
    assert.equal(body.code, "invalid")
    assert.match(body.error, /^[^\n]{10,200}[.]$/)
  }
  const { status } = await get(server, `${PATH}?query=a`)
  assert.equal(status, 401)
})

test("searches count against the user's read limit", { skip: isCluster && "one node counts" }, async (t) => {
  const limited = await serve(t, { ...OPEN, LIMIT_READS: "2" })
  const asha = somebody("asha")
  await conversationOf(limited, asha, somebody("ben"))
  const refused = await until(async () => {
    const answer = await get(limited, `${PATH}?query=a`, { as: asha })
    return answer.status === 429 && answer.body
  })
  assert.equal(refused.code, "rate_limited")
  assert.equal(refused.retryable, true)
  assert.ok(refused.retryAfterMs > 0)
})
