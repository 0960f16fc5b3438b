// Web Push: against a push service of the test's own, which checks signatures and decrypts.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import { createServer } from "node:net"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { promisify } from "node:util"
import { SHELL } from "./support/node.mjs"
import { conversationOf, crowd, get, post, put, register, request, somebody } from "./support/person.mjs"
import { pushService } from "./support/push.mjs"
import { BINARY, isCluster, LOCAL, OPEN, SERVER_KEY, serve } from "./support/server.mjs"
import { pass, until } from "./support/wait.mjs"

const run = promisify(execFile)
const MESSAGES = Number(process.env.PUSH_MESSAGES ?? 200)
const KILLS = Number(process.env.PUSH_KILLS ?? 4)
/** A push waits for 2 s, and none is sent for 5 s after a start; a loaded machine adds to that. */
const NOTICE_MS = 60_000

const service = await pushService({ after })
const settings = { PUSH_ALLOW: service.origin, VAPID_SUBJECT: "mailto:operator@example.org", SERVER_KEY }
const server = await serve({ after }, { ...OPEN, ...settings })
after(() => assert.deepEqual(service.faults, []))

const subscribe = (on, device, who, more = {}) =>
  post(on, "/api/push/subscriptions", { ...device.subscription, ...more }, who)

async function subscribed(on, who, more) {
  const device = service.device()
  const { body } = await subscribe(on, device, who, more)
  assert.deepEqual(body, { success: true })
  return device
}

async function say(on, conversationId, content, who) {
  const message = { conversationId, content, clientMessageId: randomUUID() }
  const { body } = await post(on, "/api/privatechat/message", message, who)
  assert.equal(body?.success, true, JSON.stringify(body))
  return body.message
}

/** Two users with a conversation; Ben is away and has a subscribed browser. */
async function pair() {
  const [asha, ben] = [{ as: somebody("asha") }, { as: somebody("ben") }]
  const id = await conversationOf(server, asha.as, ben.as)
  return { asha, ben, id, device: await subscribed(server, ben) }
}

test("a message is pushed to an absent user's browser, encrypted and signed", async () => {
  const { asha, ben, id, device } = await pair()
  const sent = await say(server, id, "Tea at four? \u{1F375}", asha)
  await device.gets(1, NOTICE_MS)
  const { at, key, sub, ...payload } = device.received[0]
  assert.deepEqual(payload, {
    v: 1,
    kind: "message",
    conversationId: id,
    messageId: sent.id,
    seq: 1,
    senderId: asha.as,
    senderName: asha.as,
    text: "Tea at four? \u{1F375}",
    createdAt: sent.createdAt,
    unread: 1,
  })
  const { body } = await get(server, "/api/push/key", ben)
  assert.deepEqual(body, { success: true, key })
  assert.equal(sub, "mailto:operator@example.org")
  assert.ok(at > 0)
})

test("the push of a group has its name, and a device without texts gets ids only", async () => {
  const [asha, ben] = [{ as: somebody("asha") }, { as: somebody("ben") }]
  const group = { memberIds: [ben.as], name: "Garden" }
  const { body } = await post(server, "/api/privatechat/conversations", group, asha)
  const id = body.conversation.id
  const shown = await subscribed(server, ben)
  const quiet = await subscribed(server, ben, { content: false })
  const long = "\u{1F468}\u200D\u{1F469}\u200D\u{1F467}".repeat(444)
  const sent = await say(server, id, long, asha)
  await Promise.all([shown.gets(1, NOTICE_MS), quiet.gets(1, NOTICE_MS)])
  const [payload] = shown.received
  assert.equal(payload.conversationName, "Garden")
  assert.match(payload.text, /^(\u{1F468}\u200D\u{1F469}\u200D\u{1F467})+…$/u)
  const { at, key, sub, ...ids } = quiet.received[0]
  const { createdAt, seq } = sent
  const expected = { v: 1, kind: "message", conversationId: id, messageId: sent.id, seq, senderId: asha.as }
  assert.deepEqual(ids, { ...expected, createdAt, unread: 1 })
})

test("nothing is pushed to a user who views the page, has read the message or has muted the conversation", async (t) => {
  const ids = ["looker", "reader", "muter", "away"].map(somebody)
  const [looker, reader, muter, away] = ids.map((as) => ({ as }))
  const asha = { as: somebody("asha") }
  const id = somebody("room")
  const members = { memberIds: [asha.as, ...ids] }
  await put(server, `/api/privatechat/conversations/${id}`, members, { token: SERVER_KEY })
  const devices = await Promise.all([looker, reader, muter, away].map((who) => subscribed(server, who)))
  const page = await crowd(t, server).join(looker.as)
  const beats = setInterval(() => page.socket.emit("user_activity", { active: true }), 200)
  t.after(() => clearInterval(beats))
  const mute = { mutedUntil: "2100-01-01T00:00:00Z" }
  const muted = await put(server, `/api/privatechat/conversations/${id}/settings`, mute, muter)
  assert.equal(muted.status, 200)
  const sent = await say(server, id, "hello", asha)
  const read = await post(server, `/api/privatechat/conversations/${id}/read`, { seq: sent.seq }, reader)
  assert.equal(read.status, 200)
  await devices[3].gets(1, NOTICE_MS)
  // By the time of the next one, every receiver of the first has it.
  await say(server, id, "hello again", asha)
  await devices[3].gets(2, NOTICE_MS)
  assert.deepEqual(devices[0].asked, [], "who looks at it")
  assert.deepEqual(devices[2].asked, [], "who has muted it")
  await devices[1].gets(1, NOTICE_MS)
  assert.deepEqual(
    devices[1].received.map((one) => one.text),
    ["hello again"],
    "who has read the first elsewhere",
  )
  // Once the page is closed, later messages are pushed.
  clearInterval(beats)
  page.close()
  const last = await say(server, id, "are you there?", asha)
  await until(() => devices[0].messages.includes(last.id), "who has closed the page is told", NOTICE_MS)
})

test("M15: neither a deleted message nor a message to a removed member is pushed", async () => {
  const { asha, id, device, ben } = await pair()
  device.answers.push(503)
  const deleted = await say(server, id, "deleted", asha)
  await until(() => device.asked.length === 1, "it is tried once", NOTICE_MS)
  const path = `/api/privatechat/messages/${id}/${deleted.id}`
  assert.equal((await request(server, "DELETE", path, asha)).status, 200)
  const since = device.asked.length
  const kept = await say(server, id, "kept", asha)
  await until(() => device.messages.includes(kept.id), "what is not deleted comes", NOTICE_MS)
  assert.ok(!device.asked.slice(since).some((one) => one.messageId === deleted.id))

  const group = { memberIds: [ben.as], name: "Garden" }
  const { body } = await post(server, "/api/privatechat/conversations", group, asha)
  const garden = `/api/privatechat/conversations/${body.conversation.id}`
  await say(server, body.conversation.id, "not for long", asha)
  const removed = await request(server, "DELETE", `${garden}/members/${ben.as}`, asha)
  assert.equal(removed.status, 200)
  await say(server, body.conversation.id, "without you", asha)
  const marker = await say(server, id, "marker", asha)
  await until(() => device.messages.includes(marker.id), "the marker comes", NOTICE_MS)
  assert.deepEqual(
    device.received.filter((one) => one.conversationId === body.conversation.id),
    [],
  )
})

test("a subscription that the push service no longer has ends; a failed push is retried", async () => {
  const { asha, ben, id, device } = await pair()
  const [gone, large] = [await subscribed(server, ben), await subscribed(server, ben)]
  gone.answers.push(410)
  large.answers.push(413)
  device.answers.push(429)
  await say(server, id, "one", asha)
  await Promise.all([device.gets(1, NOTICE_MS), large.gets(1, NOTICE_MS)])
  assert.deepEqual(
    large.asked.map((one) => one.text),
    ["one", undefined],
    "once more without the text",
  )
  await until(() => gone.asked.length === 1)
  await say(server, id, "two", asha)
  await Promise.all([device.gets(2, NOTICE_MS), large.gets(2, NOTICE_MS)])
  assert.equal(gone.asked.length, 1)
})

test("only https endpoints on public addresses are accepted and connected to", async (t) => {
  const { asha, id, device, ben } = await pair()
  const { keys } = service.device().subscription
  const refused = async (subscription) => {
    const answer = await post(server, "/api/push/subscriptions", subscription, ben)
    return answer.body.code
  }
  for (const endpoint of [
    "http://push.example/x",
    "https://127.0.0.1/x",
    "https://10.0.0.1/x",
    "https://169.254.169.254/latest",
    "https://[::1]/x",
    "https://[::ffff:192.168.0.1]/x",
    "https://[fd00::1]/x",
    "https://user@push.example/x",
    "ftp://push.example/x",
    "/x",
    "",
  ]) {
    assert.equal(await refused({ endpoint, keys }), "invalid", endpoint)
  }
  assert.equal(await refused({ endpoint: `https://push.example/${"x".repeat(2_048)}`, keys }), "too_long")
  assert.equal(await refused({ endpoint: "https://push.example/x" }), "invalid")
  for (const bad of [{ p256dh: "AAAA" }, { auth: "AAAA" }, { p256dh: keys.auth }]) {
    assert.equal(await refused({ endpoint: "https://push.example/x", keys: { ...keys, ...bad } }), "invalid")
  }
  assert.equal(await refused({ ...device.subscription, key: keys.p256dh }), "conflict")
  // A name that leads to this machine is found out when it is resolved.
  let connections = 0
  const inside = createServer((socket) => {
    connections += 1
    socket.destroy()
  })
  await new Promise((resolve) => inside.listen(0, resolve))
  t.after(() => inside.close())
  const endpoint = `https://localhost:${inside.address().port}/x`
  assert.equal(await refused({ endpoint, keys }), undefined)
  await say(server, id, "hello", asha)
  await device.gets(1, NOTICE_MS)
  await say(server, id, "hello again", asha)
  await device.gets(2, NOTICE_MS)
  assert.equal(connections, 0)
})

test("signing out ends the subscriptions of that device alone, and so does unsubscribing", async (t) => {
  const local = await serve(t, { ...LOCAL, ...settings })
  const [asha, ben] = await Promise.all([register(local, "Asha"), register(local, "Ben")])
  const { username, password } = ben
  const login = async () => (await post(local, "/api/auth/login", { username, password })).body
  const other = await login()
  const opened = await post(local, "/api/privatechat/conversations", { userId: ben.user.id }, asha)
  const { id } = opened.body.conversation
  const [first, second] = [await subscribed(local, ben), await subscribed(local, other)]
  const third = await subscribed(local, other)
  await say(local, id, "one", asha)
  await Promise.all([first, second, third].map((device) => device.gets(1, NOTICE_MS)))
  assert.equal(first.received[0].senderName, "Asha")
  assert.equal((await post(local, "/api/auth/logout", {}, ben)).status, 200)
  const { endpoint } = third
  const ended = await request(local, "DELETE", "/api/push/subscriptions", { ...other, body: { endpoint } })
  assert.deepEqual(ended.body, { success: true })
  await say(local, id, "two", asha)
  await second.gets(2, NOTICE_MS)
  await say(local, id, "three", asha)
  await second.gets(3, NOTICE_MS)
  assert.deepEqual(
    [first, third].map((device) => device.asked.length),
    [1, 1],
  )
  assert.equal((await get(local, "/api/push/key")).status, 401)
})

test("a new key applies to new subscriptions, and existing ones keep working", async (t) => {
  const own = await serve(t, { ...OPEN, ...settings })
  const [asha, ben] = [{ as: somebody("asha") }, { as: somebody("ben") }]
  const id = await conversationOf(own, asha.as, ben.as)
  const key = async () => (await get(own, "/api/push/key", ben)).body.key
  const old = await key()
  const before = await subscribed(own, ben, { key: old })
  await own.stop()
  const node = own.nodes?.[0] ?? own
  const env = { ...SHELL, ...node.settings, DATA_DIR: join(node.home, "data") }
  const { stdout } = await run(BINARY, ["new-push-key"], { env, cwd: node.home })
  await own.start()
  const next = await key()
  assert.notEqual(next, old)
  assert.ok(stdout.includes(next), stdout)
  const since = await subscribed(own, ben)
  await say(own, id, "hello", asha)
  await Promise.all([before.gets(1, NOTICE_MS), since.gets(1, NOTICE_MS)])
  assert.deepEqual([before.received[0].key, since.received[0].key], [old, next])
})

describe("kill -9 while messages are pushed to an absent user", () => {
  test(`M3: none of ${MESSAGES} messages is missing after ${KILLS} kills`, async (t) => {
    const own = await serve(t, { ...OPEN, ...settings })
    service.slow(5)
    t.after(() => service.slow(0))
    const [asha, ben] = [{ as: somebody("asha") }, { as: somebody("ben") }]
    const id = await conversationOf(own, asha.as, ben.as)
    const device = await subscribed(own, ben)
    const sent = []
    const send = async () => {
      for (let n = 0; n < MESSAGES; n += 1) {
        const message = { conversationId: id, content: `${n}`, clientMessageId: randomUUID() }
        const post_ = () => post(own, "/api/privatechat/message", message, asha).catch(() => null)
        const stored = async () => (await post_())?.body?.message
        sent.push((await until(stored, `message ${n} is stored`, NOTICE_MS)).id)
        await pass(1)
      }
    }
    const sending = send()
    for (let kill = 0; kill < KILLS; kill += 1) {
      const share = Math.floor((MESSAGES * (kill + 0.5)) / KILLS)
      const reached = () => device.messages.length >= share
      await until(reached, `${share} messages come before kill ${kill + 1}`, 2 * NOTICE_MS)
      // All of it, or one node after the other.
      const victim = own.nodes?.[kill % own.nodes.length] ?? own
      await victim.kill()
      await victim.start()
    }
    await sending
    await device.gets(MESSAGES, 3 * NOTICE_MS)
    const missing = sent.filter((one) => !device.messages.includes(one))
    assert.deepEqual(missing, [])
    const repeated = device.received.length - device.messages.length
    t.diagnostic(
      `${device.messages.length} messages, ${repeated} repetitions, on ${isCluster ? "three nodes" : "one node"}`,
    )
    assert.ok(repeated <= 64 * KILLS, `${repeated} repetitions`)
    const order = device.messages.map((one) => sent.indexOf(one))
    assert.deepEqual(
      order,
      [...order].sort((one, other) => one - other),
      "each first comes in its order",
    )
  })
})
