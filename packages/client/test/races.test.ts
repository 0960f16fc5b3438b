/** Things that happen while something else is on its way: another tab writes, a user leaves, a member is removed. */
import { describe, expect, test, vi } from "vitest"
import type { OutboxRecord } from "../src/options.js"
import { memoryStorage } from "../src/storage.js"
import type { WriteResult } from "../src/types.js"
import { settle } from "./support/clock.js"
import { changeMembers } from "./support/groups.js"
import { Browser, makeTab, makeWorld } from "./support/harness.js"
import { refusal } from "./support/server.js"

/** A promise that a test resolves. */
function gate() {
  let open = () => {}
  const promise = new Promise<void>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

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
  const rows = () => seven.messages.get().rows.map((row) => [row.content, row.state])
  return { world, ...world, stored, ...tab, seven, texts, rows, browser }
}

describe("the outbox of two tabs", () => {
  /** The first tab sends a message that has no answer yet; two more wait behind it. */
  async function sending() {
    const first = await ready()
    const second = makeTab(first.world, {}, first.browser)
    second.client.retain()
    await first.clock.advance(500)
    const held: ((answer: unknown) => void)[] = []
    first.wires.take = (event, ack) => event === "send_private_message" && !!held.push(ack)
    first.wires.httpDown = true
    for (const text of ["one", "two", "three"]) await first.seven.send(text)
    await settle()
    const [, two, three] = second.client.outbox.get().items
    expect([two?.content, three?.content]).toEqual(["two", "three"])
    const go = async () => {
      first.wires.take = () => false
      first.wires.httpDown = false
      await first.clock.advance(60_000)
    }
    return { ...first, second, two: two as OutboxRecord, three: three as OutboxRecord, go }
  }

  test("a message discarded in one tab before the other dispatches it is not sent", async () => {
    const { second, two, go, texts } = await sending()
    expect(await second.client.outbox.discard(two.clientMessageId)).toBe("two")
    await go()
    expect(texts()).toEqual(["one", "three"])
    expect(second.client.outbox.get().items).toEqual([])
  })

  test("a message edited in one tab before the other dispatches it is sent as edited", async () => {
    const { second, three, go, texts } = await sending()
    expect(await second.client.outbox.edit(three.clientMessageId, "three, edited")).toMatchObject({
      ok: true,
    })
    await go()
    expect(texts()).toEqual(["one", "two", "three, edited"])
  })

  test("an edit of a message that the other tab sends follows it, even if the thread is not loaded", async () => {
    const { second, two, go, stored } = await sending()
    await second.client.conversation("7").edit(two.clientMessageId, "two, edited")
    await second.client.conversation("7").react(two.clientMessageId, "👍", true)
    second.cut()
    second.wires.socketDown = second.wires.httpDown = true
    await go()
    const message = stored.log.find(({ content }) => content === "two, edited")
    expect(stored.log.map(({ kind }) => kind)).toEqual(["message", "message", "message", "reaction"])
    expect(stored.log.at(-1)).toMatchObject({ messageId: message?.id, emoji: "👍" })
  })
})

describe("the outbox and its storage", () => {
  test("a slow read of the storage does not undo a newer edit", async () => {
    const storage = memoryStorage()
    const { wires, seven, client, clock, environment, texts, cut } = await ready({ storage })
    wires.socketDown = wires.httpDown = true
    cut()
    await seven.send("one")
    await clock.advance(100)
    await seven.send("two")
    await settle()
    const [, two] = client.outbox.get().items
    const read = storage.outbox
    const reading = gate()
    storage.outbox = async (userId) => {
      const found = structuredClone(await read(userId))
      await reading.promise
      return found
    }
    // The storage is read before anything is sent.
    wires.socketDown = wires.httpDown = false
    environment.tell("wake")
    await settle()
    expect(await client.outbox.edit(two?.clientMessageId ?? "", "two, edited")).toMatchObject({ ok: true })
    reading.open()
    storage.outbox = read
    await clock.advance(60_000)
    expect(texts()).toEqual(["one", "two, edited"])
  })

  test("a message discarded while it is being stored as dispatched is not sent", async () => {
    const storage = memoryStorage()
    const { wires, seven, client, clock, texts, cut } = await ready({ storage })
    wires.socketDown = wires.httpDown = true
    cut()
    const put = storage.putOutbox
    const writing = gate()
    storage.putOutbox = async (record) => {
      if (record.dispatched) await writing.promise
      await put(record)
    }
    await seven.send("not this")
    await clock.advance(100)
    const [item] = client.outbox.get().items
    wires.socketDown = wires.httpDown = false
    await clock.advance(1_500)
    expect(await client.outbox.discard(item?.clientMessageId ?? "")).toBe("not this")
    writing.open()
    await seven.send("but this")
    await clock.advance(10_000)
    expect(texts()).toEqual(["but this"])
    expect(await storage.outbox("me")).toEqual([])
  })

  test("F23 a slow storage is used again and then has the messages written in between", async () => {
    const storage = memoryStorage()
    const put = storage.putOutbox
    const record = (id: string, content: string): OutboxRecord => ({
      clientMessageId: id,
      userId: "me",
      conversationId: "7",
      content,
      createdAt: new Date(0).toISOString(),
      order: 1,
      dispatched: false,
      failed: null,
    })
    await put(record("earlier", "of an earlier page"))
    await storage.set("drafts:own:me", { "7": "an earlier draft", "8": "another" })
    const slow = gate()
    const methods = { ...storage }
    for (const name of ["outbox", "putOutbox", "deleteOutbox", "get", "set"] as const)
      storage[name] = (async (...given: never[]) => {
        await slow.promise
        return (methods[name] as (...given: never[]) => unknown)(...given)
      }) as never
    const { client, clock, wires, seven, texts } = await ready({ storage })
    wires.swallow.add("send_private_message")
    await clock.advance(3_000)
    wires.httpDown = true
    const sent = seven.send("while it is slow")
    await clock.advance(3_000)
    await sent
    const dropped = await seven.send("not this")
    if (dropped.ok) await client.outbox.discard(dropped.clientMessageId)
    seven.setDraft("a newer draft")
    await clock.advance(1_000)
    expect(client.outbox.get()).toMatchObject({ durable: false, waiting: 1 })
    slow.open()
    await clock.advance(3_000)
    expect(client.outbox.get()).toMatchObject({ durable: true, waiting: 2 })
    const kept = (await methods.outbox("me")).map(({ content }) => content)
    expect(kept.sort()).toEqual(["of an earlier page", "while it is slow"])
    expect(await methods.get("drafts:own:me")).toEqual({ "7": "a newer draft", "8": "another" })
    wires.swallow.clear()
    wires.httpDown = false
    await clock.advance(60_000)
    expect(texts().sort()).toEqual(["of an earlier page", "while it is slow"])
    expect(client.outbox.get()).toMatchObject({ durable: true, waiting: 0 })
  })
})

describe("a member who is removed", () => {
  async function group() {
    const world = makeWorld()
    const { server } = world
    for (const id of ["me", "asha", "ben"]) server.addUser(id)
    server.addConversation("g")
    changeMembers(server, "g", "asha", { added: ["me", "asha", "ben"], roles: { asha: "owner" } })
    for (let n = 0; n < 5; n++) server.store("g", "asha", `text ${n}`)
    const tab = makeTab(world)
    tab.client.retain()
    await world.clock.advance(1_000)
    const handle = tab.client.conversation("g")
    return { ...world, world, ...tab, handle }
  }
  const listed = ({ client }: Awaited<ReturnType<typeof group>>) =>
    client.conversations.get().items.map(({ id }) => id)

  test("M15 a page in flight restores nothing", async () => {
    const all = await group()
    const { wires, handle, server, clock } = all
    const late = gate()
    wires.late = late.promise
    handle.open()
    await clock.advance(10)
    changeMembers(server, "g", "asha", { removed: ["me"] })
    await clock.advance(10)
    expect(handle.messages.get()).toMatchObject({ isRemoved: true, rows: [] })
    wires.late = null
    late.open()
    await clock.advance(3_000)
    expect(handle.messages.get()).toMatchObject({ isRemoved: true, rows: [], error: { code: "not_found" } })
    expect(listed(all)).toEqual([])
  })

  test("M15 a list in flight restores nothing, and being added again does", async () => {
    const all = await group()
    const { wires, client, server, clock, handle } = all
    const late = gate()
    wires.late = late.promise
    client.reloadConversations().catch(() => {})
    await clock.advance(10)
    changeMembers(server, "g", "asha", { removed: ["me"] })
    await clock.advance(10)
    wires.late = null
    late.open()
    await clock.advance(3_000)
    expect(listed(all)).toEqual([])
    changeMembers(server, "g", "asha", { added: ["me"] })
    await clock.advance(3_000)
    expect(listed(all)).toEqual(["g"])
    handle.open()
    await clock.advance(3_000)
    expect(handle.messages.get().rows).toHaveLength(5)
  })

  test("a user who opens a conversation before joining it sees it once they are a member", async () => {
    const { world, server, clock, client } = await group()
    server.addConversation("later", "asha", "ben")
    server.store("later", "asha", "welcome")
    const later = client.conversation("later")
    later.open()
    await clock.advance(1_000)
    expect(later.messages.get()).toMatchObject({ status: "error", error: { code: "not_found" } })
    expect(await later.send("hello?")).toMatchObject({ ok: false })
    changeMembers(server, "later", "asha", { added: ["me"] })
    await world.clock.advance(3_000)
    expect(later.messages.get()).toMatchObject({ status: "ready", error: null })
    expect(later.messages.get().rows.map(({ content }) => content)).toEqual(["welcome"])
    expect(await later.send("hello")).toMatchObject({ ok: true })
  })
})

describe("one request that fails", () => {
  test("receipts that failed with the first page load with the next attempt", async () => {
    const world = makeWorld()
    world.server.addConversation("7", "me", "asha")
    world.server.store("7", "me", "hello")
    world.server.mark("asha", "7", 1)
    const { client } = makeTab(world)
    client.retain()
    await world.clock.advance(1_000)
    let failures = 1
    world.server.refuse = (what) =>
      what.startsWith("GET /api/privatechat/messages") && failures-- > 0
        ? refusal("unavailable", true)
        : undefined
    const seven = client.conversation("7")
    seven.open()
    await world.clock.advance(5_000)
    expect(failures).toBeLessThanOrEqual(0)
    expect(seven.messages.get().rows).toHaveLength(1)
    expect(seven.readers.get()).toMatchObject({ asha: { readSeq: 1 } })
  })

  test("4 pinned conversations that failed load with the next attempt, however many there are", async () => {
    const world = makeWorld()
    world.server.listPage = 3
    for (let n = 0; n < 12; n++) world.server.addConversation(`c${n}`, "me", `friend-${n}`)
    for (let n = 0; n < 12; n++) world.server.store(`c${n}`, `friend-${n}`, "hello")
    const pinned = ["c0", "c1", "c2", "c3", "c4"]
    for (const id of pinned) world.server.conversations.get(id)?.settings.set("me", { pinned: true })
    const { client, wires } = makeTab(world)
    const asked = "GET /api/privatechat/conversations?pinned=true&limit=50"
    wires.loseAnswer.add(asked)
    client.retain()
    await world.clock.advance(500)
    expect(world.server.seen.map(({ what }) => what)).toContain(asked)
    wires.loseAnswer.clear()
    await world.clock.advance(10_000)
    const items = client.conversations.get().items.filter((item) => item.pinned)
    expect(items.map(({ id }) => id).sort()).toEqual(pinned)
  })

  test("9 presence without an answer is requested again, for many users in batches", async () => {
    const world = makeWorld()
    world.server.come("friend-1")
    const { client, wires } = makeTab(world, { roster: "watch" })
    client.retain()
    await world.clock.advance(1_000)
    wires.loseAck.add("watch_presence")
    const ids = Array.from({ length: 450 }, (_, n) => `friend-${n}`)
    const some = client.roster(ids)
    some.subscribe(() => {})
    await world.clock.advance(5_500)
    expect(some.get()["friend-1"]?.status).toBe("unknown")
    wires.loseAck.clear()
    await world.clock.advance(6_000)
    expect(some.get()["friend-1"]?.status).toBe("online")
    expect(some.get()["friend-449"]?.status).toBe("offline")
    const asked = world.server.seen.filter(({ what }) => what === "watch_presence")
    expect(Math.max(...asked.map(({ body }) => (body.userIds as string[]).length))).toBe(200)
  })

  test("M9 another tab sends the mark of a tab that closes before sending it", async () => {
    const world = makeWorld()
    const stored = world.server.addConversation("7", "me", "asha")
    world.server.store("7", "asha", "hello")
    const browser = new Browser()
    const [one, two] = [makeTab(world, {}, browser), makeTab(world, {}, browser)]
    for (const { client } of [one, two]) client.retain()
    one.client.conversation("7").open()
    await world.clock.advance(1_000)
    one.wires.swallow.add("mark_read")
    one.wires.httpDown = true
    one.client.conversation("7").markRead()
    await world.clock.advance(10)
    one.client.close()
    await world.clock.advance(10_000)
    expect(two.client.unread.get().total).toBe(0)
    expect(stored.read.get("me")).toBe(1)
    // One that arrives is not repeated.
    world.server.say("7", "asha", "again")
    await world.clock.advance(100)
    two.client.conversation("7").open()
    await world.clock.advance(1_000)
    const third = makeTab(world, {}, browser)
    third.client.retain()
    await world.clock.advance(1_000)
    world.server.seen = []
    two.client.conversation("7").markRead()
    await world.clock.advance(20_000)
    expect(world.server.seen.filter(({ what }) => what === "mark_read")).toHaveLength(1)
  })
})

describe("another user", () => {
  test("F4 a message for the previous user does not reach the next user's listeners", async () => {
    const world = makeWorld()
    const { server } = world
    server.isLocal = true
    server.session = "me"
    for (const id of ["me", "next"]) server.addUser(id)
    const { client, wires } = makeTab(world, { userId: undefined as never })
    const received: string[] = []
    client.onMessage(({ content }) => received.push(content))
    client.retain()
    await world.clock.advance(1_000)
    server.addConversation("7", "me", "asha")
    const late = gate()
    wires.late = late.promise
    server.say("7", "asha", "private")
    await world.clock.advance(10)
    wires.late = null
    const out = client.logout()
    await world.clock.advance(10)
    await out
    late.open()
    await world.clock.advance(1_000)
    expect(received).toEqual([])
    client.close()
  })

  test("F4 conversations opened, created or changed by one user do not become the next one's", async () => {
    const world = makeWorld()
    const { server } = world
    server.isLocal = true
    server.session = "me"
    for (const id of ["me", "asha", "next"]) server.addUser(id)
    const { client, wires } = makeTab(world, { userId: undefined as never })
    client.retain()
    await world.clock.advance(1_000)
    // Loaded before, since that takes real time.
    await client.createGroup({ memberIds: ["asha"] })
    const late = gate()
    wires.late = late.promise
    const all = [
      client.openConversation("asha"),
      client.createGroup({ memberIds: ["asha"], name: "Trip" }),
      client.updateAccount({ name: "Me" }),
    ]
    const done = Promise.allSettled(all)
    await settle()
    wires.late = null
    await client.login({ username: "next", password: "secret" })
    await world.clock.advance(1_000)
    late.open()
    await done
    expect(client.me.get().user?.id).toBe("next")
    expect(client.conversations.get().items).toEqual([])
    client.close()
  })

  test("F4 an answer about the session from before a sign-in does not undo the sign-in", async () => {
    const world = makeWorld()
    const { server } = world
    server.isLocal = true
    server.addUser("me")
    const { client, wires } = makeTab(world, { userId: undefined as never })
    const late = gate()
    wires.late = late.promise
    const before = client.session()
    await settle()
    wires.late = null
    await client.login({ username: "me", password: "secret" })
    expect(client.me.get()).toMatchObject({ status: "signed-in" })
    late.open()
    await before
    expect(client.me.get()).toMatchObject({ status: "signed-in" })
    client.close()
  })
})

describe("a change of settings", () => {
  async function offline(world: ReturnType<typeof makeWorld>, browser: Browser) {
    const tab = makeTab(world, {}, browser)
    tab.client.retain()
    await world.clock.advance(500)
    tab.wires.socketDown = tab.wires.httpDown = true
    tab.cut()
    return tab
  }
  function set(client: ReturnType<typeof makeTab>["client"], id: string, change: object) {
    const done: { result?: WriteResult } = {}
    void client
      .conversation(id)
      .setSettings(change)
      .then((result) => {
        done.result = result
      })
    return done
  }
  /** What writes settings loads with the first change, which takes real time. */
  const saved = (browser: Browser, count: number) =>
    vi.waitFor(async () => {
      await settle()
      const all = Object.values((await browser.storage.get("settings:own:me")) ?? {}).flat()
      expect(Object.assign([], all)).toHaveLength(count)
    })

  test("two offline tabs that change settings and close lose none", async () => {
    const world = makeWorld()
    for (const id of ["a", "b"]) world.server.addConversation(id, "me", `friend-${id}`)
    const browser = new Browser()
    const [one, two] = [await offline(world, browser), await offline(world, browser)]
    set(one.client, "a", { pinned: true })
    await saved(browser, 1)
    set(two.client, "a", { archived: true })
    set(two.client, "b", { pinned: true })
    await saved(browser, 3)
    for (const { client } of [one, two]) client.close()
    const after = makeTab(world, {}, browser)
    after.client.retain()
    const of = (id: string) => world.server.conversations.get(id)?.settings.get("me")
    await vi.waitFor(async () => {
      await world.clock.advance(1_000)
      expect([of("a"), of("b")]).toEqual([{ pinned: true, archived: true }, { pinned: true }])
      expect(await browser.storage.get("settings:own:me")).toBeUndefined()
    })
  })

  test("F4 a waiting change is settled when the user leaves or the client closes", async () => {
    for (const end of ["logout", "close"] as const) {
      const world = makeWorld()
      world.server.isLocal = true
      world.server.session = "me"
      world.server.addConversation("a", "me", "asha")
      const { client, wires, browser } = makeTab(world, { userId: undefined as never })
      client.retain()
      await world.clock.advance(1_000)
      wires.swallow.add("set_conversation_settings")
      const done = set(client, "a", { pinned: true })
      await saved(browser, 1)
      await client[end]()
      await settle()
      expect(done.result).toMatchObject({ ok: false, error: { code: "aborted" } })
      client.close()
    }
  })
})

test("waiting settings of a user who left are sent when that user is back", async () => {
  const world = makeWorld()
  const { server } = world
  server.isLocal = true
  server.session = "me"
  const stored = server.addConversation("a", "me", "asha")
  const { client, wires, browser } = makeTab(world, { userId: undefined as never })
  client.retain()
  await world.clock.advance(1_000)
  wires.swallow.add("set_conversation_settings")
  void client.conversation("a").setSettings({ pinned: true })
  const kept = () => browser.storage.get("settings:own:me")
  await vi.waitFor(async () => {
    await settle()
    expect(await kept()).toBeDefined()
  })
  await client.logout()
  wires.swallow.clear()
  await client.login({ username: "me", password: "secret" })
  await vi.waitFor(async () => {
    await world.clock.advance(1_000)
    expect(stored.settings.get("me")).toEqual({ pinned: true })
    expect(await kept()).toBeUndefined()
  })
  client.close()
})

describe("a slow network", () => {
  /** A client whose answers come in parts, each after so many milliseconds. */
  function slow(parts: number, ms: number) {
    const world = makeWorld()
    world.server.addConversation("7", "me", "asha")
    const after = (time: number) => new Promise<void>((resolve) => world.clock.after(time, resolve))
    const fetch = async (path: string, init: RequestInit = {}) => {
      const headers = init.headers as Record<string, string>
      const { status, reply } = world.server.onHttp(init.method ?? "GET", path, {}, headers)
      const bytes = new TextEncoder().encode(JSON.stringify(reply))
      const size = Math.ceil(bytes.length / parts)
      let at = 0
      return new Response(
        new ReadableStream({
          start: (controller) =>
            init.signal?.addEventListener("abort", () => controller.error(new Error("aborted"))),
          async pull(controller) {
            await after(ms)
            if (at < bytes.length) controller.enqueue(bytes.subarray(at, at + size))
            else controller.close()
            at += size
          },
        }),
        { status },
      )
    }
    const { client } = makeTab(world, { fetch: fetch as typeof globalThis.fetch })
    return { world, client }
  }

  test("a slow answer does not time out while data arrives", async () => {
    const { world, client } = slow(10, 8_000)
    client.retain()
    await world.clock.advance(100_000)
    expect(client.conversations.get()).toMatchObject({ status: "ready", items: [{ id: "7" }] })
    client.close()
  })

  test("a stalled answer is aborted", async () => {
    const { world, client } = slow(10, 12_000)
    client.retain()
    await world.clock.advance(10_100)
    expect(client.conversations.get()).toMatchObject({ status: "error", error: { code: "timeout" } })
    client.close()
  })
})

test("a closed client closes its storage after its writes", async () => {
  const world = makeWorld()
  world.server.addConversation("7", "me", "asha")
  const storage = memoryStorage()
  let closed = 0
  storage.close = () => void closed++
  const { client } = makeTab(world, { storage })
  client.retain()
  await world.clock.advance(1_000)
  client.conversation("7").setDraft("half a sentence")
  client.close()
  await world.clock.advance(1_000)
  expect(closed).toBe(1)
  expect(await storage.get("drafts:own:me")).toEqual({ "7": "half a sentence" })
})

test("38: typing before the stored drafts are loaded loses none of them", async () => {
  const world = makeWorld()
  for (const id of ["7", "8"]) world.server.addConversation(id, "me", "asha")
  const storage = memoryStorage()
  await storage.set("drafts:own:me", { "8": "half a letter" })
  await storage.set("marks:own:me", { "8": { seq: 1 } })
  const { outbox, get } = storage
  // A database that has just been opened is slow, and may answer one store before another.
  const slow = gate()
  storage.outbox = async (userId) => {
    await slow.promise
    return outbox(userId)
  }
  storage.get = async (key) => {
    const value = await get(key)
    await slow.promise
    return value
  }
  const { client } = makeTab(world, { storage })
  client.retain()
  await world.clock.advance(100)
  client.conversation("7").setDraft("a new one")
  // It is saved by now.
  await world.clock.advance(500)
  client.conversation("7").markRead(3)
  slow.open()
  await world.clock.advance(1_000)
  expect(client.conversation("8").draft.get()).toBe("half a letter")
  expect(await storage.get("drafts:own:me")).toEqual({ "7": "a new one", "8": "half a letter" })
  client.close()
})

test("38: closing the page before drafts are loaded keeps the new text and the other drafts", async () => {
  const world = makeWorld()
  world.server.addConversation("7", "me", "asha")
  const storage = memoryStorage()
  await storage.set("drafts:own:me", { "8": "half a letter" })
  const { outbox } = storage
  const slow = gate()
  storage.outbox = async (userId) => {
    await slow.promise
    return outbox(userId)
  }
  const { client } = makeTab(world, { storage })
  client.retain()
  await world.clock.advance(100)
  client.conversation("7").setDraft("a new one")
  client.close()
  slow.open()
  await world.clock.advance(1_000)
  expect(await storage.get("drafts:own:me")).toEqual({ "7": "a new one", "8": "half a letter" })
})
