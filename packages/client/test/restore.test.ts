import { describe, expect, test } from "vitest"
import { Browser, makeTab, makeWorld } from "./support/harness.js"

/** Two conversations, and a user with the first one open. */
async function ready(browser = new Browser(), world = makeWorld()) {
  if (!world.server.conversations.size) {
    world.server.addConversation("7", "me", "asha")
    world.server.addConversation("8", "me", "ben")
    for (let at = 1; at <= 3; at++) world.server.store("7", "asha", `text ${at}`)
    world.server.store("8", "ben", "hi")
  }
  const tab = makeTab(world, {}, browser)
  tab.client.retain()
  const seven = tab.client.conversation("7")
  seven.open()
  await world.clock.advance(1_000)
  const texts = () => seven.messages.get().rows.map((row) => row.content)
  const unread = () => tab.client.unread.get().byConversation
  const item = (id: string) => tab.client.conversations.get().items.find((one) => one.id === id)
  return { world, ...world, ...tab, seven, texts, unread, item }
}

/** Each way in which the server's data goes back: told by another generation, or noticed by the ids. */
const ways = [
  ["another generation", "second"],
  ["a file that was copied", undefined],
] as const

describe("F14 the server's data is restored from a backup under an open page", () => {
  for (const [name, generation] of ways) {
    test(`${name}: lost messages disappear, and all counts are correct`, async () => {
      const { server, clock, texts, unread, item, seven, client } = await ready()
      const backup = server.backup()
      for (let at = 4; at <= 7; at++) server.say("7", "asha", `lost ${at}`)
      server.say("8", "ben", "lost")
      seven.markRead(2)
      await clock.advance(500)
      expect(unread()).toEqual({ "7": 5, "8": 2 })
      server.restore(backup, generation)
      server.store("7", "asha", "text 4")
      await clock.advance(5_000)
      expect(texts()).toEqual(["text 1", "text 2", "text 3", "text 4"])
      expect(unread()).toEqual({ "7": 4, "8": 1 })
      expect(item("7")).toMatchObject({ headSeq: 4, readSeq: 0, lastMessage: { content: "text 4" } })
      expect(item("8")).toMatchObject({ headSeq: 1, lastMessage: { content: "hi" } })
      expect(seven.messages.get()).toMatchObject({ headSeq: 4, readSeq: 0, catchingUp: false })
      expect(client.restored.get()).toMatchObject({ dismissed: false })
      client.dismissRestored()
      server.say("7", "asha", "text 5")
      await clock.advance(100)
      expect([texts().at(-1), client.restored.get().dismissed]).toEqual(["text 5", true])
    })

    test(`${name}: other messages with the same numbers replace the loaded ones`, async () => {
      const { server, clock, texts, item, seven } = await ready()
      const backup = server.backup()
      server.say("7", "asha", "lost 4")
      server.say("7", "asha", "lost 5")
      await clock.advance(10)
      seven.markRead()
      await clock.advance(500)
      server.restore(backup, generation)
      for (let at = 4; at <= 9; at++) server.store("7", "asha", `text ${at}`)
      await clock.advance(5_000)
      expect(texts()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9].map((at) => `text ${at}`))
      expect(item("7")?.unread).toBe(9)
    })

    test(`${name}: an unsent message remains and is sent once, in order`, async () => {
      const { server, clock, texts, seven, wires, cut } = await ready()
      const backup = server.backup()
      server.say("7", "asha", "lost 4")
      wires.socketDown = wires.httpDown = true
      cut()
      const sent = await seven.send("from me")
      await clock.advance(10)
      server.restore(backup, generation)
      wires.socketDown = wires.httpDown = false
      await clock.advance(20_000)
      expect(texts()).toEqual(["text 1", "text 2", "text 3", "from me"])
      const there = server.conversations.get("7")?.log.filter((entry) => entry.senderId === "me")
      expect(there?.map((entry) => entry.clientMessageId)).toEqual([sent.ok && sent.clientMessageId])
    })

    test(`${name}: lost messages disappear from a thread that shows the past`, async () => {
      const world = makeWorld()
      world.server.addConversation("7", "me", "asha")
      for (let at = 1; at <= 500; at++) world.server.store("7", "asha", `text ${at}`)
      const { server, clock, seven, texts } = await ready(new Browser(), world)
      const backup = server.backup()
      for (let at = 1; at <= 400; at++) server.store("7", "asha", "lost")
      await seven.jumpTo(10)
      server.restore(backup, generation)
      server.store("7", "asha", "text 501")
      await clock.advance(5_000)
      // The conversation has lost entries that this client never had: only the generation reveals it.
      if (generation) expect(texts().at(-1)).toBe("text 501")
      await seven.jumpToNewest()
      expect(texts().at(-1)).toBe("text 501")
      expect(texts()).not.toContain("lost")
    })
  }

  test("a sync answer without room for the newest messages still leads to them", async () => {
    const { server, clock, texts, seven, item } = await ready()
    const backup = server.backup()
    server.say("7", "asha", "lost")
    await clock.advance(10)
    server.mostReset = 0
    server.restore(backup)
    await clock.advance(5_000)
    expect(texts()).toEqual(["text 1", "text 2", "text 3"])
    expect(item("7")).toMatchObject({ unread: 3, lastMessage: { content: "text 3" } })
    expect(seven.readers.get().asha).toMatchObject({ readSeq: 3 })
  })

  test("an unsent mark is dropped, also when a page is loaded in between", async () => {
    const browser = new Browser()
    const one = await ready(browser)
    const backup = one.server.backup()
    for (let at = 4; at <= 9; at++) one.server.say("7", "asha", `lost ${at}`)
    await one.clock.advance(10)
    one.wires.socketDown = one.wires.httpDown = true
    one.cut()
    one.seven.markRead()
    await one.clock.advance(1_000)
    one.client.close()
    one.server.restore(backup, "second")
    for (let at = 4; at <= 12; at++) one.server.store("7", "asha", `text ${at}`)
    const two = await ready(browser, one.world)
    await one.clock.advance(10_000)
    expect(two.unread()).toEqual({ "7": 12, "8": 1 })
    expect(one.server.conversations.get("7")?.read.get("me")).toBeUndefined()
    expect(two.client.restored.get()).toMatchObject({ conversationIds: null, dismissed: false })
    // It is reported once.
    two.client.close()
    const three = await ready(browser, one.world)
    expect(three.client.restored.get().dismissed).toBe(true)
    expect(three.unread()).toEqual({ "7": 12, "8": 1 })
  })

  test("a mark that a slow storage returns after the restore is dropped, too", async () => {
    const browser = new Browser()
    const one = await ready(browser)
    for (let at = 4; at <= 9; at++) one.server.say("7", "asha", `lost ${at}`)
    await one.clock.advance(10)
    one.wires.socketDown = one.wires.httpDown = true
    one.cut()
    one.seven.markRead()
    await one.clock.advance(1_000)
    one.client.close()
    one.server.restore(one.server.backup(), "second")
    const { storage } = browser
    const get = storage.get
    storage.get = (key) => new Promise((resolve) => one.clock.after(500, () => resolve(get(key))))
    const two = await ready(browser, one.world)
    await one.clock.advance(10_000)
    expect(two.unread()).toEqual({ "7": 9, "8": 1 })
    expect(one.server.conversations.get("7")?.read.get("me")).toBeUndefined()
  })

  test("lost entries cannot be marked as read", async () => {
    const { server, clock, seven } = await ready()
    const backup = server.backup()
    for (let at = 4; at <= 9; at++) server.say("7", "asha", `lost ${at}`)
    server.restore(backup, "second")
    await clock.advance(5_000)
    // A page that has not drawn itself anew yet.
    seven.markRead(9)
    expect(seven.messages.get().readSeq).toBe(3)
    server.say("7", "asha", "text 4")
    await clock.advance(1_000)
    expect(server.conversations.get("7")?.read.get("me")).toBe(3)
  })

  test("a mark over HTTP first checks the generation", async () => {
    const { server, clock, seven, wires, cut, unread, texts } = await ready()
    const backup = server.backup()
    for (let at = 4; at <= 9; at++) server.say("7", "asha", `lost ${at}`)
    await clock.advance(10)
    wires.socketDown = true
    cut()
    server.restore(backup, "second")
    for (let at = 4; at <= 12; at++) server.store("7", "asha", `text ${at}`)
    seven.markRead()
    await clock.advance(1_000)
    expect(server.conversations.get("7")?.read.get("me")).toBeUndefined()
    expect(unread()).toEqual({ "7": 12, "8": 1 })
    expect(texts().at(-1)).toBe("text 12")
    seven.markRead()
    await clock.advance(1_000)
    expect(server.conversations.get("7")?.read.get("me")).toBe(12)
  })

  test("over HTTP alone the next request detects it", async () => {
    const { server, clock, wires, cut, texts, client, unread } = await ready()
    const backup = server.backup()
    server.say("7", "asha", "lost")
    wires.socketDown = true
    cut()
    server.restore(backup, "second")
    await clock.advance(10_000)
    expect(texts()).toEqual(["text 1", "text 2", "text 3"])
    expect(unread()).toEqual({ "7": 3, "8": 1 })
    expect(client.restored.get().since).not.toBeNull()
    wires.socketDown = false
    server.store("7", "asha", "text 4")
    await clock.advance(20_000)
    expect(texts().at(-1)).toBe("text 4")
  })

  test("an answer from before the restore that arrives after it is dropped", async () => {
    const { server, clock, wires, texts, client, unread, seven, item } = await ready()
    const backup = server.backup()
    server.say("7", "asha", "lost")
    server.say("8", "ben", "lost")
    await clock.advance(10)
    // The answers to these are on their way when the server goes back.
    let open = () => {}
    wires.late = new Promise((resolve) => {
      open = resolve
    })
    const eight = client.conversation("8")
    eight.open()
    const before = [seven.reload(), client.reloadConversations()]
    await clock.advance(10)
    wires.late = null
    server.restore(backup, "second")
    await clock.advance(5_000)
    const since = client.restored.get().since
    const moments: string[] = []
    eight.messages.subscribe(() => moments.push(...eight.messages.get().rows.map((row) => row.content)))
    open()
    await Promise.all(before)
    await clock.advance(5_000)
    expect(texts()).toEqual(["text 1", "text 2", "text 3"])
    expect(eight.messages.get().rows.map((row) => row.content)).toEqual(["hi"])
    expect(unread()).toEqual({ "7": 3, "8": 1 })
    expect([item("7")?.headSeq, item("8")?.headSeq]).toEqual([3, 1])
    expect(moments).not.toContain("lost")
    // It is no change back.
    expect(client.restored.get().since).toBe(since)
  })

  test("a message acknowledged before the restore is sent again", async () => {
    const { server, clock, wires, texts, seven, client } = await ready()
    const backup = server.backup()
    let open = () => {}
    wires.late = new Promise((resolve) => {
      open = resolve
    })
    wires.swallow.add("send_private_message")
    await seven.send("from me")
    await clock.advance(6_000)
    expect(server.conversations.get("7")?.log.at(-1)?.content).toBe("from me")
    wires.late = null
    wires.swallow.clear()
    server.restore(backup, "second")
    await clock.advance(2_000)
    open()
    await clock.advance(5_000)
    expect(texts()).toEqual(["text 1", "text 2", "text 3", "from me"])
    expect(server.conversations.get("7")?.log.at(-1)?.content).toBe("from me")
    expect(client.outbox.get().items).toEqual([])
  })

  test("a socket that stays open over the restore is replaced: it may deliver old data", async () => {
    const { server, clock, client, sockets, texts } = await ready()
    server.generation = "second"
    await client.reloadConversations()
    await clock.advance(5_000)
    expect(sockets).toHaveLength(2)
    expect(sockets[0]?.connected).toBe(false)
    expect(client.connection.get().status).toBe("connected")
    expect(texts()).toEqual(["text 1", "text 2", "text 3"])
  })

  test("the roster is loaded again", async () => {
    const { server, clock, client } = await ready()
    server.come("asha")
    server.go("asha")
    server.come("ben", { text: "of before" })
    await clock.advance(10)
    server.restore(server.backup(), "second")
    server.presence.clear()
    // A store whose counter began anew, as an early one did.
    server.version = 0
    server.come("ben", { text: "of now" })
    await clock.advance(10_000)
    const users = client
      .roster()
      .get()
      .users.map(({ userId, text }) => [userId, text])
    expect(users).toEqual([
      ["ben", "of now"],
      ["me", null],
    ])
    expect(client.roster().get().status).toBe("live")
  })

  test("each tab detects it by itself, and ignores marks from a tab that has not yet", async () => {
    const browser = new Browser()
    const one = await ready(browser)
    const two = await ready(browser, one.world)
    const backup = one.server.backup()
    for (let at = 4; at <= 9; at++) one.server.say("7", "asha", `lost ${at}`)
    await one.clock.advance(10)
    two.wires.socketDown = two.wires.httpDown = true
    one.server.restore(backup, "second")
    for (let at = 4; at <= 12; at++) one.server.store("7", "asha", `text ${at}`)
    await one.clock.advance(5_000)
    expect(one.unread()).toEqual({ "7": 12, "8": 1 })
    two.seven.markRead()
    await one.clock.advance(1_000)
    expect(one.unread()).toEqual({ "7": 12, "8": 1 })
    two.wires.socketDown = two.wires.httpDown = false
    await one.clock.advance(30_000)
    expect(two.unread()).toEqual({ "7": 12, "8": 1 })
    expect(two.texts().at(-1)).toBe("text 12")
    expect(one.server.conversations.get("7")?.read.get("me")).toBeUndefined()
  })

  test("two servers with different data behind one address cause no request storm", async () => {
    const { server, clock, cut } = await ready()
    // HTTP reaches the one, the socket the other.
    const onHttp = server.onHttp.bind(server)
    server.onHttp = (...request) => {
      const { status, reply } = onHttp(...request)
      return { status, reply: "store" in reply ? { ...reply, store: "second" } : reply }
    }
    cut()
    await clock.advance(5_000)
    server.seen.length = 0
    await clock.advance(60_000)
    expect(server.seen.length).toBeLessThan(150)
  })

  test("a server without a generation counts as unchanged", async () => {
    const world = makeWorld()
    world.server.generation = undefined as never
    const { server, clock, cut, client, texts } = await ready(new Browser(), world)
    cut()
    server.store("7", "asha", "text 4")
    await clock.advance(5_000)
    expect([texts().at(-1), client.restored.get().since]).toEqual(["text 4", null])
  })
})

describe("F14 messages that arrive while the list is fetched", () => {
  test("a message that is missing in the pending answer is fetched after it", async () => {
    const { server, clock, wires, client, item } = await ready()
    let answer = () => {}
    wires.late = new Promise((resolve) => {
      answer = resolve
    })
    server.restore(server.backup(), "second")
    await clock.advance(3_000)
    server.say("7", "asha", "text 4")
    await clock.advance(1)
    // Asks for the list, which is under way.
    void client.reloadConversations()
    await clock.advance(1)
    answer()
    wires.late = null
    await clock.advance(5_000)
    expect(item("7")).toMatchObject({ headSeq: 4, unread: 4, lastMessage: { content: "text 4" } })
  })
})

describe("F14 a restored conversation past the first page of the list", () => {
  test.each([3, 0])(
    "unread messages are counted although the answer has only %i entries",
    async (mostReset) => {
      const world = makeWorld()
      const { server, clock } = world
      server.addConversation("7", "me", "asha")
      server.addConversation("8", "me", "ben")
      for (let at = 1; at <= 20; at++) server.store("7", "asha", `text ${at}`)
      await clock.advance(10)
      const { client, cut } = makeTab(world)
      server.listPage = 1
      server.mostReset = mostReset
      const backup = server.backup()
      server.store("7", "asha", "after the copy")
      server.store("8", "ben", "newest")
      const release = client.retain()
      await clock.advance(1_000)
      await client.loadMoreConversations()
      const seven = () => client.conversations.get().items.find(({ id }) => id === "7")
      expect(seven()).toMatchObject({ headSeq: 21, unread: 21 })
      cut()
      server.restore(backup)
      server.store("8", "ben", "newest")
      await clock.advance(10_000)
      expect(seven()).toMatchObject({ headSeq: 20, unread: 20 })
      release()
      client.close()
    },
  )
})

describe("F14 entries announced past a gap are lost", () => {
  async function holed() {
    const world = makeWorld()
    const { server, clock } = world
    server.addConversation("7", "me", "asha")
    for (let at = 1; at <= 20; at++) server.store("7", "asha", `text ${at}`)
    const backup = server.backup()
    const tab = makeTab(world)
    tab.client.retain()
    const seven = tab.client.conversation("7")
    seven.open()
    await clock.advance(1_000)
    tab.wires.httpDown = true
    tab.wires.loseEvent.add("new_private_message")
    for (let at = 21; at <= 25; at++) server.say("7", "asha", `text ${at}`)
    tab.wires.loseEvent.clear()
    server.say("7", "asha", "text 26")
    await clock.advance(10)
    expect(seven.messages.get()).toMatchObject({ headSeq: 26, catchingUp: true })
    tab.wires.httpDown = false
    const asked = () => server.seen.filter(({ what }) => what.includes("/messages/7?after")).length
    return { world, ...world, ...tab, seven, backup, asked }
  }

  test("the join detects it although the server has the last fetched message", async () => {
    const { server, clock, client, seven, backup, asked } = await holed()
    server.restore(backup)
    await clock.advance(10_000)
    const before = asked()
    await clock.advance(60_000)
    expect(asked()).toBe(before)
    expect(seven.messages.get()).toMatchObject({ headSeq: 20, catchingUp: false })
    expect(seven.messages.get().rows).toHaveLength(20)
    expect(client.conversations.get().items[0]).toMatchObject({ headSeq: 20, unread: 20 })
    expect(client.restored.get().conversationIds).toEqual(["7"])
    client.close()
  })

  test("missing data is requested with growing delays", async () => {
    const { server, clock, client, backup, asked } = await holed()
    server.conversations = structuredClone(backup)
    await clock.advance(10_000)
    const before = asked()
    await clock.advance(60_000)
    expect(asked() - before).toBeLessThan(10)
    // And at once again, where it comes.
    for (let at = 21; at <= 26; at++) server.store("7", "asha", `new ${at}`)
    await clock.advance(20_000)
    expect(client.conversation("7").messages.get()).toMatchObject({ headSeq: 26, catchingUp: false })
    client.close()
  })
})
