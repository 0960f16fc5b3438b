import { describe, expect, test } from "vitest"
import { Browser, makeTab, makeWorld } from "./support/harness.js"
import { refusal } from "./support/server.js"

async function ready(messages = 3, options: Parameters<typeof makeTab>[1] = {}) {
  const world = makeWorld()
  const stored = world.server.addConversation("7", "me", "asha")
  for (let at = 1; at <= messages; at++) world.server.store("7", "asha", `text ${at}`)
  const browser = new Browser()
  const tab = makeTab(world, options, browser)
  tab.client.retain()
  const seven = tab.client.conversation("7")
  const look = seven.open()
  await world.clock.advance(500)
  const texts = () => seven.messages.get().rows.map((row) => row.content)
  const historyCalls = () => world.server.seen.filter(({ what }) => what.includes("/messages/7"))
  return { world, ...world, stored, ...tab, seven, look, texts, historyCalls }
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => `text ${from + at}`)

describe("a thread", () => {
  test("loads the newest page, then older ones, once each", async () => {
    const { seven, texts, historyCalls } = await ready(120)
    expect(texts()).toEqual(numbered(71, 120))
    expect(seven.messages.get()).toMatchObject({ hasOlder: true, status: "ready", headSeq: 120 })
    await Promise.all([seven.loadOlder(), seven.loadOlder()])
    expect(texts()).toEqual(numbered(21, 120))
    await seven.loadOlder()
    expect(texts()).toEqual(numbered(1, 120))
    expect(seven.messages.get().hasOlder).toBe(false)
    await seven.loadOlder()
    expect(historyCalls()).toHaveLength(3)
  })

  test("M6 P12 a lost event is fetched as soon as the list announces it", async () => {
    const { client, server, clock, wires, texts, historyCalls } = await ready(3)
    wires.loseEvent.add("new_private_message")
    server.say("7", "asha", "text 4")
    await clock.advance(1_000)
    expect(texts()).toEqual(numbered(1, 3))
    await client.reloadConversations()
    await clock.advance(1_000)
    expect(texts()).toEqual(numbered(1, 4))
    expect(historyCalls()).toHaveLength(2)
  })

  test("M11 rows that do not change are the same objects when others come", async () => {
    const { seven, server, clock, cut } = await ready(60)
    const before = seven.messages.get().rows
    await seven.loadOlder()
    server.say("7", "asha", "new")
    cut()
    await clock.advance(5_000)
    await seven.reload()
    const after = seven.messages.get().rows
    expect(after).toHaveLength(61)
    for (const row of before) expect(after).toContain(row)
    expect(new Set(after.map((row) => row.key)).size).toBe(61)
  })

  test("M6 the next message reveals a lost one, which is fetched and shown in its place", async () => {
    const { seven, server, clock, wires, texts } = await ready()
    wires.loseEvent.add("new_private_message")
    server.say("7", "asha", "text 4")
    await clock.advance(100)
    wires.loseEvent.clear()
    const moments: string[][] = []
    seven.messages.subscribe(() => moments.push(texts()))
    server.say("7", "asha", "text 5")
    await clock.advance(100)
    expect(texts()).toEqual(numbered(1, 5))
    for (const moment of moments) expect(moment).toEqual(numbered(1, moment.length))
  })

  test("M6 a gap that cannot be fetched is retried, and nothing after it shows until then", async () => {
    const { seven, server, clock, wires, texts } = await ready()
    wires.loseEvent.add("new_private_message")
    server.say("7", "asha", "text 4")
    await clock.advance(100)
    wires.loseEvent.clear()
    wires.httpDown = true
    server.say("7", "asha", "text 5")
    await clock.advance(10_000)
    expect(texts()).toEqual(numbered(1, 3))
    expect(seven.messages.get().catchingUp).toBe(true)
    wires.httpDown = false
    await clock.advance(16_000)
    expect(texts()).toEqual(numbered(1, 5))
    expect(seven.messages.get().catchingUp).toBe(false)
  })

  test("M6 M11 missed messages are loaded after a reconnect, without a request for history", async () => {
    const { server, clock, cut, texts, historyCalls, client, wires } = await ready()
    const before = historyCalls().length
    wires.socketDown = wires.httpDown = true
    cut()
    for (let at = 4; at <= 9; at++) server.store("7", "asha", `text ${at}`)
    wires.socketDown = wires.httpDown = false
    await clock.advance(3_000)
    server.say("7", "asha", "text 10")
    await clock.advance(100)
    expect(texts()).toEqual(numbered(1, 10))
    expect(historyCalls()).toHaveLength(before)
    expect(client.unread.get()).toEqual({ total: 10, byConversation: { "7": 10 } })
  })

  test("M6 hundreds of messages missed while offline are loaded to the end", async () => {
    const { server, clock, cut, texts, seven } = await ready()
    cut()
    for (let at = 4; at <= 704; at++) server.store("7", "asha", `text ${at}`)
    await clock.advance(3_000)
    expect(texts()).toEqual(numbered(1, 704))
    expect(seven.messages.get().catchingUp).toBe(false)
  })

  test("after 10,000 missed messages the newest page replaces the loaded ones", async () => {
    const { server, clock, cut, texts, seven, client } = await ready()
    cut()
    for (let at = 4; at <= 10_000; at++) server.store("7", "asha", `text ${at}`)
    const before = server.seen.length
    await clock.advance(3_000)
    expect(texts().at(-1)).toBe("text 10000")
    expect(seven.messages.get().hasOlder).toBe(true)
    expect(server.seen.length - before).toBeLessThan(25)
    expect(client.unread.get().total).toBe(10_000)
  })

  test("M8 while loading or catching up, it never reports an empty conversation", async () => {
    const world = makeWorld()
    world.server.addConversation("7", "me", "asha")
    const { client, wires, cut } = makeTab(world)
    const seven = client.conversation("7")
    let open = () => {}
    wires.gate = new Promise((resolve) => {
      open = resolve
    })
    const wrong: string[] = []
    const look = () => {
      const { status } = client.connection.get()
      if (seven.messages.get().isEmpty && status !== "connected") wrong.push(status)
    }
    seven.messages.subscribe(look)
    client.connection.subscribe(look)
    client.retain()
    seven.open()
    await world.clock.advance(100)
    expect(seven.messages.get()).toMatchObject({ status: "loading", isEmpty: false })
    open()
    await world.clock.advance(500)
    expect(seven.messages.get()).toMatchObject({ status: "ready", isEmpty: true })
    cut()
    world.server.store("7", "asha", "text 1")
    expect(seven.messages.get().isEmpty).toBe(false)
    await world.clock.advance(3_000)
    expect(seven.messages.get().rows).toHaveLength(1)
    expect(wrong).toEqual([])
  })

  test("the results of an older catch-up are dropped", async () => {
    const { clock, client, cut, wires, texts } = await ready()
    // The answer of the next cycle comes only when that cycle is over, and says something that is not true any more.
    let late = () => {}
    wires.take = (event, ack) => {
      if (event !== "sync") return false
      late = () => ack({ success: true, conversations: { "7": refusal("not_found") }, added: [] })
      return true
    }
    cut()
    await clock.advance(1_000)
    expect(client.connection.get().status).toBe("catching-up")
    wires.take = () => false
    cut()
    await clock.advance(5_000)
    expect(client.connection.get().status).toBe("connected")
    late()
    await clock.advance(100)
    expect(texts()).toEqual(numbered(1, 3))
    expect(client.conversations.get().items).toHaveLength(1)
  })

  test("conversations created live or while offline are in the list", async () => {
    const { server, clock, client, cut } = await ready()
    cut()
    server.addConversation("8", "me", "ben")
    server.store("8", "ben", "hi")
    await clock.advance(3_000)
    expect(client.conversations.get().items.map((item) => [item.id, item.unread])).toContainEqual(["8", 1])
    server.addConversation("9", "me", "cleo")
    server.say("9", "cleo", "hey")
    await clock.advance(1_000)
    expect(client.conversations.get().items.map((item) => [item.id, item.unread])).toContainEqual(["9", 1])
  })

  test("the list loads in pages, newest first, and a catch-up does not load further pages", async () => {
    const world = makeWorld()
    world.server.listPage = 2
    for (let at = 1; at <= 5; at++) {
      await world.clock.advance(1_000)
      world.server.addConversation(`c${at}`, "me", `u${at}`)
    }
    const { client, cut } = makeTab(world)
    client.retain()
    await world.clock.advance(500)
    const ids = () => client.conversations.get().items.map((item) => item.id)
    expect(ids()).toEqual(["c5", "c4"])
    expect(client.conversations.get().hasMore).toBe(true)
    await Promise.all([client.loadMoreConversations(), client.loadMoreConversations()])
    expect(ids()).toEqual(["c5", "c4", "c3", "c2"])
    cut()
    world.server.addConversation("c6", "me", "u6")
    await world.clock.advance(3_000)
    expect(ids()).toEqual(["c6", "c5", "c4", "c3", "c2"])
    await client.loadMoreConversations()
    expect(ids()).toEqual(["c6", "c5", "c4", "c3", "c2", "c1"])
    expect(client.conversations.get()).toMatchObject({ hasMore: false, loadingMore: false })
  })

  test("an open conversation that is far down the list is found, and has its members", async () => {
    const world = makeWorld()
    world.server.listPage = 2
    for (let at = 1; at <= 9; at++) {
      await world.clock.advance(1_000)
      world.server.addConversation(`c${at}`, "me", `u${at}`)
    }
    const { client } = makeTab(world)
    client.retain()
    const far = client.conversation("c3")
    far.open()
    await world.clock.advance(1_000)
    expect(far.item.get()?.other?.id).toBe("u3")
    expect(client.conversations.get().items.map((item) => item.id)).toEqual([
      "c9",
      "c8",
      "c7",
      "c6",
      "c5",
      "c4",
      "c3",
      "c2",
    ])
    client.conversation("nobody-s").open()
    await world.clock.advance(1_000)
    expect(client.conversations.get().hasMore).toBe(true)
  })

  test("a name changed while offline shows soon after the reconnect", async () => {
    const { server, clock, seven, cut } = await ready()
    cut()
    server.addUser("asha", "Asha Rao")
    await clock.advance(12_000)
    expect(seven.item.get()?.other?.name).toBe("Asha Rao")
  })

  test("300 conversations are requested in batches of 100", async () => {
    const world = makeWorld()
    for (let at = 0; at < 300; at++) world.server.addConversation(`c${at}`, "me", `u${at}`)
    const { client } = makeTab(world)
    client.retain()
    await world.clock.advance(1_000)
    expect(client.connection.get().status).toBe("connected")
    const syncs = world.server.seen.filter(({ what }) => what === "sync")
    expect(syncs.map(({ body }) => Object.keys(body.conversations as object).length)).toEqual([100, 100, 100])
  })

  test("a failed first page shows an error and is retried automatically", async () => {
    const { clock, client, server } = await ready()
    server.addConversation("8", "me", "ben")
    server.store("8", "ben", "hi")
    let ill = true
    server.refuse = (what) => (ill && what.includes("/messages/8") ? refusal("unavailable", true) : undefined)
    const eight = client.conversation("8")
    eight.open()
    await clock.advance(100)
    expect(eight.messages.get()).toMatchObject({ status: "error", error: { code: "unavailable" } })
    ill = false
    await clock.advance(5_000)
    expect(eight.messages.get()).toMatchObject({ status: "ready", error: null })
  })

  test("an open conversation is joined on the server, on each connection", async () => {
    const { clock, cut, look, server } = await ready()
    const looks = () =>
      server.seen.filter(({ what }) => /^(join|leave)_conversation$/.test(what)).map(({ what }) => what)
    cut()
    await clock.advance(3_000)
    look()
    await clock.advance(10)
    expect(looks().at(-1)).toBe("leave_conversation")
    expect(looks().filter((what) => what === "join_conversation")).toHaveLength(2)
  })
})

describe("while the socket is refused", () => {
  test("the list and history load, and messages are sent and received over HTTP", async () => {
    const world = makeWorld()
    world.server.addConversation("7", "me", "asha")
    world.server.store("7", "asha", "hello")
    const { client, wires } = makeTab(world)
    wires.socketDown = true
    client.retain()
    const seven = client.conversation("7")
    seven.open()
    await world.clock.advance(1_000)
    const texts = () => seven.messages.get().rows.map((row) => [row.content, row.state])
    expect(client.conversations.get().status).toBe("ready")
    expect(texts()).toEqual([["hello", "sent"]])
    await seven.send("hi")
    await world.clock.advance(100)
    expect(texts().at(-1)).toEqual(["hi", "sent"])
    world.server.store("7", "asha", "a reply")
    await world.clock.advance(6_000)
    expect(texts().at(-1)).toEqual(["a reply", "sent"])
    expect(client.connection.get()).toMatchObject({ overHttp: true })
    expect(client.unread.get().total).toBe(1)
    seven.markRead()
    await world.clock.advance(1_000)
    expect(world.server.conversations.get("7")?.read.get("me")).toBe(3)
    wires.socketDown = false
    await world.clock.advance(15_000)
    expect(client.connection.get()).toMatchObject({ status: "connected", overHttp: false })
  })

  test("a connection that drops during a request leaves one round of requests", async () => {
    const { server, clock, cut, wires, client } = await ready()
    wires.socketDown = true
    cut()
    let open = () => {}
    wires.gate = new Promise((resolve) => {
      open = resolve
    })
    // The first round hangs while the line is back, and lost again.
    await clock.advance(5_500)
    wires.socketDown = false
    client.connect()
    await clock.advance(1_000)
    expect(client.connection.get().status).toBe("connected")
    wires.socketDown = true
    cut()
    wires.gate = null
    open()
    await clock.advance(5_000)
    server.seen.length = 0
    await clock.advance(40_000)
    expect(server.seen.filter(({ what }) => what.includes("/conversations")).length).toBeLessThanOrEqual(14)
  })

  test("polling is slow, slows down without answers, and stops while the page is hidden", async () => {
    const { server, clock, cut, wires, environment } = await ready()
    wires.socketDown = true
    cut()
    server.seen.length = 0
    await clock.advance(60_000)
    const asked = server.seen.length
    expect(asked).toBeGreaterThan(20)
    expect(asked).toBeLessThanOrEqual(34)
    environment.visible = false
    await clock.advance(60_000)
    expect(server.seen.length - asked).toBeLessThanOrEqual(2)
  })
})

describe("a conversation far down the list", () => {
  async function deep(open = true) {
    const world = makeWorld()
    world.server.listPage = 2
    for (let at = 40; at >= 1; at--) {
      world.server.addConversation(`r${at}`, "me", "asha")
      await world.clock.advance(1_000)
    }
    const tab = makeTab(world)
    tab.client.retain()
    await world.clock.advance(500)
    if (open) tab.client.conversation("r40").open()
    const calls = () => world.server.seen.filter(({ what }) => what.includes("/conversations?")).length
    return { world, ...tab, calls }
  }

  test("the search for it ends when the client is closed", async () => {
    const { world, client, calls } = await deep()
    await Promise.resolve()
    client.close()
    // A search that goes on does so without a pause: nothing else would run any more.
    await world.clock.advance(1_000)
    const before = calls()
    client.conversation("r39").open()
    await world.clock.advance(1_000)
    expect(calls()).toBe(before)
  })

  test("the search for it waits where the server asks to", async () => {
    const { world, client, calls } = await deep(false)
    let left = 5
    let until = 0
    world.server.refuse = (what) => {
      if (!what.startsWith("GET /api/privatechat/conversations")) return undefined
      if (world.clock.now() < until) throw new Error("asked while told to wait")
      if (left-- > 0) return undefined
      left = 5
      until = world.clock.now() + 1_000
      return refusal("rate_limited", true, { retryAfterMs: 1_000 })
    }
    client.conversation("r40").open()
    await world.clock.advance(10_000)
    expect(client.conversation("r40").item.get()?.id).toBe("r40")
    expect(calls()).toBeLessThan(30)
  })
})
