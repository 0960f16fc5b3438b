import { describe, expect, test } from "vitest"
import { memoryStorage } from "../src/storage.js"
import { Browser, makeTab, makeWorld, type Tab } from "./support/harness.js"
import { refusal } from "./support/server.js"

async function ready(options: Parameters<typeof makeTab>[1] = {}) {
  const world = makeWorld()
  const stored = world.server.addConversation("7", "me", "asha")
  const browser = new Browser()
  const tab = makeTab(world, options, browser)
  tab.client.retain()
  const seven = tab.client.conversation("7")
  seven.open()
  await world.clock.advance(500)
  const texts = () => stored.log.map((entry) => entry.content)
  return { world, ...world, stored, ...tab, seven, texts }
}

const rows = (tab: Pick<Tab, "client">, id = "7") =>
  tab.client
    .conversation(id)
    .messages.get()
    .rows.map((row) => [row.content, row.state])

describe("the outbox", () => {
  test("a message shows at once, and the stored one replaces it under the same key", async () => {
    const { clock, seven, wires } = await ready()
    wires.loseAck.add("send_private_message")
    const seen: string[][] = []
    seven.messages.subscribe(() =>
      seen.push(seven.messages.get().rows.map((row) => `${row.key} ${row.state}`)),
    )
    await seven.send("hello")
    const [optimistic] = seven.messages.get().rows
    expect(optimistic).toMatchObject({ content: "hello", state: "sending", message: null, mine: true })
    await clock.advance(6_000)
    const [real] = seven.messages.get().rows
    expect(real).toMatchObject({ key: optimistic?.key, state: "sent", seq: 1 })
    // No moment without it, none with two of it.
    for (const moment of seen) expect(moment).toHaveLength(1)
  })

  test("M1 a message whose acknowledgement is lost is sent over HTTP after 5 s with the same id, and stored once", async () => {
    const { clock, server, stored, seven, wires, client } = await ready()
    wires.loseAck.add("send_private_message")
    await seven.send("hello")
    await clock.advance(4_900)
    expect(rows({ client })).toEqual([["hello", "sending"]])
    await clock.advance(200)
    expect(rows({ client })).toEqual([["hello", "sent"]])
    expect(stored.log).toHaveLength(1)
    const sends = server.seen.filter(
      ({ what }) => what === "send_private_message" || what.includes("/message"),
    )
    const [socket, http] = sends.filter(({ body }) => body.clientMessageId)
    expect(socket?.wire).toBe("socket")
    expect(http).toMatchObject({ wire: "http", body: { clientMessageId: socket?.body.clientMessageId } })
    expect(client.outbox.get().items).toEqual([])
  })

  test("M1 a message whose answers are lost on both wires is retried with the same id and stored once", async () => {
    const { clock, stored, seven, wires, client } = await ready()
    wires.loseAck.add("send_private_message")
    wires.loseAnswer.add("POST /api/privatechat/message")
    await seven.send("hello")
    await clock.advance(5_500)
    expect(client.outbox.get()).toMatchObject({ waiting: 1, failed: 0 })
    expect(client.outbox.get().items[0]).toMatchObject({ dispatched: true, waitingFor: "connection" })
    wires.loseAnswer.clear()
    await clock.advance(10_000)
    expect(rows({ client })).toEqual([["hello", "sent"]])
    expect(stored.log).toHaveLength(1)
  })

  test("M5 order is preserved when the socket fails in mid-stream and HTTP takes over", async () => {
    const { clock, seven, wires, cut, texts, client } = await ready()
    wires.swallow.add("send_private_message")
    await Promise.all(["one", "two", "three"].map((text) => seven.send(text)))
    await clock.advance(1_000)
    wires.socketDown = true
    cut()
    await clock.advance(1_000)
    await seven.send("four")
    await clock.advance(1_000)
    expect(texts()).toEqual(["one", "two", "three", "four"])
    expect(client.connection.get().overHttp).toBe(true)
    wires.socketDown = false
    wires.swallow.clear()
    await clock.advance(15_000)
    expect(client.connection.get().status).toBe("connected")
    await seven.send("five")
    await clock.advance(100)
    expect(texts()).toEqual(["one", "two", "three", "four", "five"])
    expect(rows({ client }).map(([text]) => text)).toEqual(["one", "two", "three", "four", "five"])
  })

  test("M5 a conversation has one message in flight, and other conversations do not wait for it", async () => {
    const { clock, server, seven, wires, client, texts } = await ready()
    server.addConversation("8", "me", "ben")
    wires.swallow.add("send_private_message")
    wires.gate = new Promise(() => {})
    await seven.send("stuck")
    await seven.send("behind")
    await clock.advance(100)
    wires.swallow.clear()
    await client.conversation("8").send("free")
    await clock.advance(100)
    expect(server.conversations.get("8")?.log.map((entry) => entry.content)).toEqual(["free"])
    expect(texts()).toEqual([])
    expect(client.outbox.get().items.map((item) => item.waitingFor)).toEqual(["server", "earlier"])
  })

  test("messages written offline are stored, and arrive once and in order when the server is back", async () => {
    const { clock, seven, wires, cut, texts, client } = await ready()
    wires.socketDown = wires.httpDown = true
    cut()
    await seven.send("one")
    await seven.send("two")
    await clock.advance(60_000)
    expect(rows({ client })).toEqual([
      ["one", "sending"],
      ["two", "sending"],
    ])
    expect(client.outbox.get().items.map((item) => item.waitingFor)).toEqual(["connection", "earlier"])
    expect(client.outbox.get().items[0]?.nextTryAt).toBeGreaterThan(clock.now())
    wires.socketDown = wires.httpDown = false
    await clock.advance(31_000)
    expect(texts()).toEqual(["one", "two"])
  })

  test("returning online retries waiting messages", async () => {
    const { clock, seven, wires, cut, texts, environment } = await ready()
    wires.socketDown = wires.httpDown = true
    cut()
    await seven.send("one")
    await clock.advance(120_000)
    wires.socketDown = wires.httpDown = false
    environment.tell("wake")
    await clock.advance(10)
    expect(texts()).toEqual(["one"])
  })

  test("a permanent refusal fails the row; later messages wait until it is retried, edited or discarded", async () => {
    const { clock, seven, server, texts, client, environment } = await ready()
    server.refuse = (what, body) =>
      what === "send_private_message" && body.content === "bad" ? refusal("invalid") : undefined
    await seven.send("bad")
    await seven.send("good")
    await clock.advance(100)
    expect(seven.messages.get().rows.map((row) => [row.content, row.state, row.waitingFor])).toEqual([
      ["bad", "failed", null],
      ["good", "sending", "earlier-failed"],
    ])
    expect(seven.messages.get().rows[0]?.error?.code).toBe("invalid")
    expect(client.conversations.get().items[0]).toMatchObject({ waiting: 1, failed: 1 })
    const id = client.outbox.get().items[0]?.clientMessageId as string
    const tries = () => server.seen.filter(({ body }) => body.content === "bad").length
    environment.tell("wake")
    await clock.advance(60_000)
    expect(tries()).toBe(1)
    client.outbox.retry(id)
    await clock.advance(100)
    expect(tries()).toBe(2)
    expect(client.outbox.get().failed).toBe(1)
    await client.outbox.edit(id, "better")
    await clock.advance(100)
    expect(texts()).toEqual(["better", "good"])
    expect(client.outbox.get().items).toEqual([])
  })

  test("discarding returns the text and releases the next message", async () => {
    const { clock, seven, server, texts, client } = await ready()
    server.refuse = (what, body) =>
      what === "send_private_message" && body.content === "bad" ? refusal("invalid") : undefined
    await seven.send("bad")
    await seven.send("good")
    await clock.advance(100)
    const id = client.outbox.get().items[0]?.clientMessageId as string
    expect(await client.outbox.discard(id)).toBe("bad")
    await clock.advance(100)
    expect(texts()).toEqual(["good"])
  })

  test("a dispatched message cannot be edited; one that was never dispatched can", async () => {
    const { clock, seven, wires, client, cut } = await ready()
    wires.socketDown = wires.httpDown = true
    cut()
    await seven.send("dispatched")
    await seven.send("prepared")
    await clock.advance(100)
    const [first, second] = client.outbox.get().items
    expect([first?.dispatched, second?.dispatched]).toEqual([true, false])
    const refused = await client.outbox.edit(first?.clientMessageId as string, "other")
    expect(refused).toMatchObject({ ok: false, content: "other", error: { code: "conflict" } })
    expect(await client.outbox.edit(second?.clientMessageId as string, "changed")).toMatchObject({ ok: true })
    expect(client.outbox.get().items.map((item) => item.content)).toEqual(["dispatched", "changed"])
  })

  test("a rate-limited message shows its wait, as long as the server's retryAfter", async () => {
    const { clock, seven, server, texts, environment } = await ready()
    let limited = true
    server.refuse = (what) =>
      limited && what === "send_private_message"
        ? refusal("rate_limited", true, { retryAfterMs: 8_000 })
        : undefined
    await seven.send("hello")
    await clock.advance(1_000)
    limited = false
    environment.tell("wake")
    await clock.advance(5_000)
    expect(texts()).toEqual([])
    await clock.advance(3_000)
    expect(texts()).toEqual(["hello"])
  })

  test.each(["unavailable", "internal"] as const)(
    "M1 after %s the message is retried with the same id",
    async (code) => {
      const { clock, seven, server, stored } = await ready()
      let ill = true
      server.refuse = (what, body) => {
        if (!ill || what !== "send_private_message") return
        // The outcome is unknown: here it was stored.
        server.send("me", body)
        return refusal(code, true)
      }
      await seven.send("hello")
      await clock.advance(500)
      ill = false
      await clock.advance(5_000)
      expect(stored.log).toHaveLength(1)
    },
  )

  test.each([
    ["", "empty_message"],
    [" \n\t\u2003\u3000", "empty_message"],
    ["😀".repeat(8_001), "too_long"],
  ])("a text that the client refuses is returned (%#)", async (text, code) => {
    const { seven, client } = await ready()
    expect(await seven.send(text)).toMatchObject({
      ok: false,
      content: text,
      error: { code, retryable: false },
    })
    expect(client.outbox.get().items).toEqual([])
  })

  test("8,000 characters outside of the basic plane are accepted", async () => {
    const { seven } = await ready()
    expect(await seven.send("😀".repeat(8_000))).toMatchObject({ ok: true })
  })

  test("a message to a missing conversation returns its text", async () => {
    const { client, clock } = await ready()
    const nowhere = client.conversation("404")
    nowhere.open()
    await clock.advance(100)
    expect(nowhere.messages.get()).toMatchObject({ status: "error", error: { code: "not_found" } })
    expect(await nowhere.send("hello?")).toMatchObject({
      ok: false,
      content: "hello?",
      error: { code: "not_found" },
    })
  })

  test("M1 M5 stored messages are sent after a reload with the same ids, in order", async () => {
    const before = await ready()
    before.wires.loseAck.add("send_private_message")
    before.wires.httpDown = true
    await before.seven.send("one")
    await before.seven.send("two")
    await before.clock.advance(100)
    expect(before.texts()).toEqual(["one"])
    before.client.close()
    // The page is loaded again.
    const after = makeTab(before.world, {}, before.browser)
    after.client.retain()
    await before.clock.advance(1_000)
    expect(before.texts()).toEqual(["one", "two"])
    expect(before.stored.log).toHaveLength(2)
    expect(after.client.outbox.get().items).toEqual([])
    expect(await before.browser.storage.outbox("me")).toEqual([])
  })

  test("a failed row survives a reload", async () => {
    const before = await ready()
    before.server.refuse = (what) => (what === "send_private_message" ? refusal("forbidden") : undefined)
    await before.seven.send("one")
    await before.clock.advance(100)
    before.client.close()
    const after = makeTab(before.world, {}, before.browser)
    after.client.retain()
    after.client.conversation("7").open()
    await before.clock.advance(1_000)
    expect(after.client.conversation("7").messages.get().rows[0]).toMatchObject({
      state: "failed",
      error: { code: "forbidden" },
    })
  })

  test("M1 two tabs show the same message once, and it is sent once", async () => {
    const one = await ready()
    const other = makeTab(one.world, {}, one.browser)
    other.client.retain()
    other.client.conversation("7").open()
    await one.clock.advance(500)
    one.server.seen.length = 0
    await one.seven.send("hello")
    await other.client.conversation("7").send("there")
    await one.clock.advance(500)
    expect(one.texts()).toEqual(["hello", "there"])
    expect(one.server.seen.filter(({ what }) => what === "send_private_message")).toHaveLength(2)
    for (const tab of [one, other]) {
      expect(rows(tab)).toEqual([
        ["hello", "sent"],
        ["there", "sent"],
      ])
      expect(tab.client.outbox.get().items).toEqual([])
    }
  })

  test("M1 tabs without a channel do not send the same message twice", async () => {
    const deaf = { openChannel: () => ({ post() {}, close() {} }) }
    const one = await ready(deaf)
    one.wires.socketDown = one.wires.httpDown = true
    one.cut()
    await one.seven.send("one")
    await one.clock.advance(1_000)
    const other = makeTab(one.world, deaf, one.browser)
    other.client.retain()
    await one.clock.advance(500)
    expect(one.texts()).toEqual(["one"])
    one.wires.socketDown = one.wires.httpDown = false
    await one.clock.advance(60_000)
    const sends = one.server.seen.filter(({ body }) => body.content === "one")
    expect(sends).toHaveLength(1)
    expect(one.client.outbox.get().items).toEqual([])
  })

  test("a message whose sender was signed out waits for signing in", async () => {
    const { clock, seven, server, texts, client, wires, cut } = await ready({ userId: undefined as never })
    expect(client.me.get().status).toBe("signed-out")
    await client.login({ username: "me", password: "right" })
    await clock.advance(500)
    wires.socketDown = true
    cut()
    server.session = null
    await seven.send("hello")
    await clock.advance(100)
    expect(client.outbox.get().items[0]).toMatchObject({ state: "sending", waitingFor: "sign-in" })
    await client.login({ username: "me", password: "right" })
    await clock.advance(5_000)
    expect(texts()).toEqual(["hello"])
  })

  test("M5 another tab sends the messages of a closed tab", async () => {
    const one = await ready()
    const other = makeTab(one.world, {}, one.browser)
    other.client.retain()
    await one.clock.advance(500)
    for (const tab of [one, other]) {
      tab.wires.socketDown = tab.wires.httpDown = true
      tab.cut()
    }
    await one.seven.send("one")
    await one.seven.send("two")
    await one.clock.advance(1_000)
    expect(other.client.outbox.get().waiting).toBe(2)
    one.client.close()
    other.wires.socketDown = other.wires.httpDown = false
    await one.clock.advance(40_000)
    expect(one.texts()).toEqual(["one", "two"])
  })

  test("messages of one user in a browser are never sent as another", async () => {
    const world = makeWorld()
    const stored = world.server.addConversation("7", "me", "asha")
    const browser = new Browser()
    const mine = makeTab(world, { userId: undefined as never }, browser)
    const other = makeTab(world, { userId: undefined as never }, browser)
    // The other user signs in next.
    await other.client.session().catch(() => {})
    await mine.client.login({ username: "me", password: "right" })
    mine.client.retain()
    await world.clock.advance(500)
    expect(other.client.me.get().user?.id).toBe("me")
    const seven = mine.client.conversation("7")
    seven.open()
    await world.clock.advance(500)
    // Its tab gets no events, like a frozen one. The acknowledgement is lost, so that HTTP takes over.
    browser.tabs.clear()
    world.server.isLocal = true
    world.server.session = "asha"
    mine.wires.swallow.add("send_private_message")
    await seven.send("by me")
    await world.clock.advance(10_000)
    expect(stored.log).toEqual([])
    expect(mine.client.me.get().user?.id).toBe("asha")
    // It stays stored for its author.
    mine.wires.swallow.clear()
    await mine.client.login({ username: "me", password: "right" })
    await world.clock.advance(10_000)
    expect(stored.log.map(({ senderId, content }) => [senderId, content])).toEqual([["me", "by me"]])
  })

  test("a closed client sends nothing more", async () => {
    const { clock, seven, wires, cut, server, client } = await ready()
    wires.socketDown = wires.httpDown = true
    cut()
    await seven.send("one")
    seven.markRead(1)
    await clock.advance(1_000)
    client.close()
    wires.socketDown = wires.httpDown = false
    server.seen.length = 0
    await clock.advance(120_000)
    expect(server.seen).toEqual([])
    expect(clock.pending).toBe(0)
  })

  test("a lock that is never released does not prevent other tabs from sending", async () => {
    const { clock, seven, texts } = await ready({ withLock: () => new Promise(() => {}) })
    await seven.send("hello")
    await clock.advance(21_000)
    expect(texts()).toEqual(["hello"])
  })

  test("F6 a waiting message is retried on time although the device's clock is set back by an hour", async () => {
    const world = makeWorld()
    const stored = world.server.addConversation("7", "me", "asha")
    let skewMs = 0
    const clock = {
      now: () => world.clock.now() + skewMs,
      uptime: () => world.clock.now(),
      after: world.clock.after,
    }
    const { client } = makeTab(world, { clock })
    client.retain()
    await world.clock.advance(500)
    let isFull = true
    world.server.refuse = (what) =>
      what.includes("message") && isFull ? refusal("unavailable", true) : undefined
    await client.conversation("7").send("waits")
    await world.clock.advance(100)
    skewMs = -3_600_000
    isFull = false
    await world.clock.advance(5_000)
    expect(stored.log.map(({ content }) => content)).toEqual(["waits"])
    client.close()
  })

  test("without storage it continues in memory and reports that it is not durable", async () => {
    const broken = () => Promise.reject(new Error("no storage here"))
    const { clock, seven, texts, client } = await ready({
      storage: { outbox: broken, putOutbox: broken, deleteOutbox: broken, get: broken, set: broken },
    })
    await seven.send("hello")
    expect(client.outbox.get().durable).toBe(false)
    await clock.advance(100)
    expect(texts()).toEqual(["hello"])
    expect(rows({ client })).toEqual([["hello", "sent"]])
  })

  test("a page without storage reports that the outbox is not durable", async () => {
    const { seven, clock, client, wires, cut } = await ready({ storage: undefined as never })
    expect(client.outbox.get().durable).toBe(false)
    wires.socketDown = wires.httpDown = true
    cut()
    await seven.send("one")
    await clock.advance(100)
    expect(client.outbox.get()).toMatchObject({ durable: false, waiting: 1 })
    wires.socketDown = wires.httpDown = false
    await clock.advance(60_000)
    expect(client.outbox.get()).toMatchObject({ durable: false, waiting: 0 })
  })

  test("M11 a stored message that arrives by another way replaces the optimistic one", async () => {
    const { clock, seven, wires, server, client } = await ready()
    wires.loseAck.add("send_private_message")
    wires.httpDown = true
    await seven.send("hello")
    await clock.advance(100)
    expect(client.outbox.get().waiting).toBe(1)
    server.say("7", "asha", "I read that")
    wires.httpDown = false
    await clock.advance(1_000)
    expect(rows({ client })).toEqual([
      ["hello", "sent"],
      ["I read that", "sent"],
    ])
    expect(client.outbox.get().items).toEqual([])
  })

  test("M6 an own message after a gap is shown as sent, at the end, while the gap is fetched", async () => {
    const { clock, seven, server, wires, client } = await ready()
    wires.loseEvent.add("new_private_message")
    server.say("7", "asha", "lost on the way")
    let open = () => {}
    wires.gate = new Promise((resolve) => {
      open = resolve
    })
    await seven.send("mine")
    await clock.advance(100)
    expect(rows({ client })).toEqual([["mine", "sent"]])
    expect(seven.messages.get().catchingUp).toBe(true)
    open()
    await clock.advance(100)
    expect(rows({ client })).toEqual([
      ["lost on the way", "sent"],
      ["mine", "sent"],
    ])
  })
})

test("messages behind a failed message of another tab cause no busy loop", async () => {
  const world = makeWorld()
  world.server.addConversation("7", "me", "asha")
  const storage = memoryStorage()
  let reads = 0
  const { outbox } = storage
  storage.outbox = (userId) => {
    reads++
    return outbox(userId)
  }
  const tab = makeTab(world, { storage })
  tab.client.retain()
  await world.clock.advance(1_000)
  tab.wires.socketDown = tab.wires.httpDown = true
  tab.cut()
  await tab.client.conversation("7").send("waits")
  await world.clock.advance(100)
  expect(tab.client.outbox.get().items[0]?.nextTryAt).not.toBeNull()
  const [record] = await outbox("me")
  if (!record) throw new Error("nothing is written down")
  // Begun before, and written down later: two tabs write at the same time.
  const failed = { code: "invalid", message: "No." }
  await storage.putOutbox({
    ...record,
    clientMessageId: "other",
    content: "no",
    order: record.order - 1,
    failed,
  })
  for (const tell of tab.browser.tabs) tell({ type: "outbox", userId: "me" })
  reads = 0
  await world.clock.advance(60_000)
  expect(tab.client.outbox.get().items.map(({ waitingFor }) => waitingFor)).toEqual([null, "earlier-failed"])
  expect(reads).toBeLessThan(20)
  tab.client.close()
})
