import { describe, expect, test } from "vitest"
import type { LamplightOptions } from "../src/options.js"
import { Browser, makeTab, makeWorld } from "./support/harness.js"

async function ready(browser = new Browser(), world = makeWorld(), options: LamplightOptions = {}) {
  if (!world.server.conversations.size) {
    world.server.addConversation("7", "me", "asha")
    for (let at = 1; at <= 5; at++) world.server.store("7", "asha", `text ${at}`)
  }
  const tab = makeTab(world, options, browser)
  tab.client.retain()
  const seven = tab.client.conversation("7")
  seven.open()
  await world.clock.advance(1_000)
  const stored = world.server.conversations.get("7")
  return { world, ...world, ...tab, seven, stored, unread: () => tab.client.unread.get().total }
}

describe("read marks", () => {
  test("M9 the count follows the mark, which never decreases and is sent once for many calls", async () => {
    const { seven, clock, server, unread, stored } = await ready()
    expect(unread()).toBe(5)
    seven.markRead(2)
    seven.markRead(3)
    seven.markRead(1)
    expect(unread()).toBe(2)
    await clock.advance(1_000)
    expect(stored?.read.get("me")).toBe(3)
    expect(server.seen.filter(({ what }) => what === "mark_read")).toHaveLength(1)
    server.say("7", "asha", "text 6")
    await clock.advance(10)
    expect(unread()).toBe(3)
    seven.markRead()
    expect(unread()).toBe(0)
    expect(seven.messages.get().readSeq).toBe(6)
  })

  test("M9 the first mark is sent at once, and following ones together", async () => {
    const { seven, clock, server, stored } = await ready()
    const sent = () => server.seen.filter(({ what }) => what === "mark_read").length
    seven.markRead(1)
    await clock.advance(20)
    expect([sent(), stored?.read.get("me")]).toEqual([1, 1])
    for (const seq of [2, 3, 4]) seven.markRead(seq)
    await clock.advance(100)
    expect(sent()).toBe(1)
    await clock.advance(200)
    expect([sent(), stored?.read.get("me")]).toEqual([2, 4])
  })

  test("M9 one's own messages are never unread, and sending moves the mark", async () => {
    const { seven, clock, server, unread } = await ready()
    await seven.send("mine")
    await clock.advance(100)
    expect(unread()).toBe(0)
    server.say("7", "asha", "reply")
    server.say("7", "me", "from my phone")
    await clock.advance(100)
    expect(unread()).toBe(0)
    server.say("7", "asha", "again")
    await clock.advance(100)
    expect(unread()).toBe(1)
  })

  test("M9 M11 in a conversation that is not open, each message counts once, and an own one clears the count", async () => {
    const world = makeWorld()
    world.server.addConversation("7", "me", "asha")
    const { client } = makeTab(world)
    client.retain()
    await world.clock.advance(500)
    const first = world.server.say("7", "asha", "one")
    world.server.deliver(first)
    await world.clock.advance(10)
    expect(client.unread.get().total).toBe(1)
    world.server.say("7", "me", "from my phone")
    await world.clock.advance(10)
    expect(client.unread.get().total).toBe(0)
    world.server.say("7", "asha", "two")
    await world.clock.advance(10)
    expect(client.unread.get().total).toBe(1)
  })

  test("M9 a badge clears in every tab, and on every device", async () => {
    const browser = new Browser()
    const one = await ready(browser)
    const two = await ready(browser, one.world)
    const device = await ready(new Browser(), one.world)
    expect([one.unread(), two.unread(), device.unread()]).toEqual([5, 5, 5])
    one.seven.markRead()
    await one.clock.advance(1)
    expect([one.unread(), two.unread()]).toEqual([0, 0])
    await one.clock.advance(1_000)
    expect(device.unread()).toBe(0)
  })

  test("M9 a mark made offline survives a reload and is sent later", async () => {
    const browser = new Browser()
    const before = await ready(browser)
    before.wires.socketDown = before.wires.httpDown = true
    before.cut()
    before.seven.markRead()
    await before.clock.advance(2_000)
    before.client.close()
    const after = await ready(browser, before.world)
    expect(after.unread()).toBe(0)
    await after.clock.advance(6_000)
    expect(after.stored?.read.get("me")).toBe(5)
    expect(after.unread()).toBe(0)
  })

  test("M9 a mark from before a reload applies to a list that loads later", async () => {
    const browser = new Browser()
    const before = await ready(browser)
    before.wires.socketDown = before.wires.httpDown = true
    before.seven.markRead()
    before.client.close()
    const after = makeTab(before.world, {}, browser)
    after.wires.socketDown = true
    let open = () => {}
    after.wires.gate = new Promise((resolve) => {
      open = resolve
    })
    const counts: number[] = []
    after.client.unread.subscribe(() => counts.push(after.client.unread.get().total))
    after.client.retain()
    await before.clock.advance(100)
    open()
    await before.clock.advance(100)
    expect(after.client.conversations.get().items).toHaveLength(1)
    expect(Math.max(...counts)).toBe(0)
  })

  test("M9 a mark moved while an earlier one is in flight is sent too", async () => {
    const { seven, clock, wires, stored } = await ready()
    let answer = () => {}
    wires.take = (event, ack) => {
      if (event !== "mark_read") return false
      answer = () => ack({ success: true })
      return true
    }
    seven.markRead(2)
    await clock.advance(300)
    wires.take = () => false
    seven.markRead(4)
    answer()
    await clock.advance(6_000)
    expect(stored?.read.get("me")).toBe(4)
  })

  test("M9 a stale answer does not bring a badge back", async () => {
    const { seven, clock, server, client, unread, wires } = await ready()
    wires.swallow.add("mark_read")
    seven.markRead()
    await clock.advance(100)
    for (const peer of server.peers)
      peer.send("conversation_updated", server.view(server.conversations.get("7") as never, "me"))
    await client.reloadConversations()
    expect(unread()).toBe(0)
  })

  test("conversation_updated corrects a badge", async () => {
    const { clock, server, unread } = await ready()
    const stored = server.conversations.get("7") as NonNullable<ReturnType<typeof server.conversations.get>>
    stored.read.set("me", 4)
    for (const peer of server.peers) peer.send("conversation_updated", server.view(stored, "me"))
    await clock.advance(10)
    expect(unread()).toBe(1)
  })

  test("the marks of other members never decrease", async () => {
    const { clock, server, seven } = await ready()
    expect(seven.readers.get().asha).toMatchObject({ readSeq: 5 })
    await seven.send("mine")
    server.toMembers("7", "receipt", { conversationId: "7", userId: "asha", deliveredSeq: 6, readSeq: 5 })
    server.toMembers("7", "receipt", { conversationId: "7", userId: "asha", deliveredSeq: 6, readSeq: 6 })
    server.toMembers("7", "receipt", { conversationId: "7", userId: "asha", deliveredSeq: 2, readSeq: 2 })
    await clock.advance(10)
    expect(seven.readers.get().asha).toEqual({ userId: "asha", deliveredSeq: 6, readSeq: 6 })
  })
})

describe("typing", () => {
  test("typing is sent at most every 3 s, and its end is sent", async () => {
    const { clock, server, seven } = await ready()
    const typingEvents = () =>
      server.seen.filter(({ what }) => what === "typing").map(({ body }) => body.isTyping)
    for (let at = 0; at < 40; at++) {
      seven.setTyping(true)
      await clock.advance(100)
    }
    expect(typingEvents()).toEqual([true, true])
    seven.setTyping(false)
    seven.setTyping(false)
    await clock.advance(100)
    expect(typingEvents()).toEqual([true, true, false])
    await seven.send("done")
    seven.setTyping(false)
    await clock.advance(100)
    expect(typingEvents()).toHaveLength(3)
  })

  test("typing ends after its timeout, when it is withdrawn, or with the sender's message", async () => {
    const { clock, server, seven } = await ready()
    const expiresAt = () => new Date(clock.now() + 6_000).toISOString()
    const type = (isTyping: boolean) =>
      server.toMembers("7", "typing", {
        conversationId: "7",
        userId: "asha",
        isTyping,
        expiresAt: expiresAt(),
      })
    type(true)
    await clock.advance(5_900)
    // From another device of the user's own.
    server.toMembers("7", "typing", { conversationId: "7", userId: "me", isTyping: true, expiresAt: "" })
    await clock.advance(1)
    expect(seven.typing.get().userIds).toEqual(["asha"])
    await clock.advance(200)
    expect(seven.typing.get().userIds).toEqual([])
    type(true)
    await clock.advance(10)
    type(false)
    await clock.advance(10)
    expect(seven.typing.get().userIds).toEqual([])
    type(true)
    await clock.advance(10)
    server.say("7", "asha", "there")
    await clock.advance(10)
    expect(seven.typing.get().userIds).toEqual([])
  })

  test.each([-600_000, 600_000])("F16 a server whose clock is %i ms off changes nothing", async (offMs) => {
    const { clock, server, seven } = await ready()
    const type = () => {
      const expiresAt = new Date(clock.now() + offMs + 6_000).toISOString()
      server.toMembers("7", "typing", { conversationId: "7", userId: "asha", isTyping: true, expiresAt })
    }
    const seen: (readonly string[])[] = []
    seven.typing.subscribe(() => seen.push(seven.typing.get().userIds))
    // As a client says it, every 3 s.
    for (let at = 0; at < 4; at++) {
      type()
      await clock.advance(3_000)
    }
    expect(seen).toEqual([["asha"]])
    await clock.advance(3_100)
    expect(seen).toEqual([["asha"], []])
  })

  test("F16 a device whose clock is set back by an hour continues to send typing", async () => {
    const world = makeWorld()
    let skewMs = 0
    const { now, after } = world.clock
    const { client, clock, server, seven } = await ready(new Browser(), world, {
      clock: { now: () => now() + skewMs, uptime: now, after },
    })
    const typingEvents = () => server.seen.filter(({ what }) => what === "typing").length
    seven.setTyping(true)
    await clock.advance(3_000)
    skewMs = -3_600_000
    seven.setTyping(true)
    await clock.advance(10)
    expect(typingEvents()).toBe(2)
    client.close()
  })
})

describe("drafts", () => {
  test("drafts survive a reload, are shared by tabs and show in the list", async () => {
    const browser = new Browser()
    const one = await ready(browser)
    const two = await ready(browser, one.world)
    one.seven.setDraft("half a thought")
    await one.clock.advance(1)
    expect(two.seven.draft.get()).toBe("half a thought")
    expect(two.client.conversations.get().items[0]?.draft).toBe("half a thought")
    await one.clock.advance(500)
    one.client.close()
    two.client.close()
    const after = await ready(browser, one.world)
    expect(after.seven.draft.get()).toBe("half a thought")
  })

  test("F4 drafts and marks of a tab never reach another user's in the same browser", async () => {
    const browser = new Browser()
    const one = await ready(browser)
    const { client } = makeTab(one.world, { userId: "asha" }, browser)
    client.retain()
    await one.clock.advance(1_000)
    const theirs = client.conversation("7")
    const before = theirs.item.get()?.readSeq
    one.seven.setDraft("for nobody else")
    one.seven.markRead()
    await one.clock.advance(1_000)
    expect(theirs.draft.get()).toBe("")
    expect(client.conversations.get().items[0]?.draft).toBe("")
    expect(theirs.item.get()?.readSeq).toBe(before)
    client.close()
  })

  test("a page that is closing stores its drafts", async () => {
    const browser = new Browser()
    const one = await ready(browser)
    one.seven.setDraft("quick")
    one.environment.tell("hide")
    await one.clock.advance(1)
    const after = await ready(browser, one.world)
    expect(after.seven.draft.get()).toBe("quick")
  })

  test("a sent message does not return as a draft, however soon the page is reloaded", async () => {
    const browser = new Browser()
    const one = await ready(browser)
    one.seven.setDraft("hello")
    await one.clock.advance(500)
    await one.seven.send("hello")
    await one.clock.advance(1)
    const after = await ready(browser, one.world)
    expect(after.seven.draft.get()).toBe("")
  })

  test("a page that ends while it stores a message leaves it in the outbox and not in the draft", async () => {
    const ending = new Browser()
    const { storage } = ending
    ending.storage = {
      ...storage,
      putOutbox: (record) => storage.putOutbox(record).then(() => new Promise<never>(() => {})),
    }
    const one = await ready(ending)
    one.seven.setDraft("hello")
    void one.seven.send("hello")
    // The draft is written down, since the outbox does not have the message yet.
    one.environment.tell("hide")
    await one.clock.advance(1)
    one.client.close()
    const browser = new Browser()
    browser.storage = storage
    const two = await ready(browser, one.world)
    expect(two.seven.draft.get()).toBe("")
    await two.clock.advance(5_000)
    expect(two.client.outbox.get().items).toEqual([])
    expect(two.seven.messages.get().rows.at(-1)?.content).toBe("hello")
    two.client.close()
    // Nor does it come back once the message has left the outbox.
    const three = await ready(browser, one.world)
    expect(three.seven.draft.get()).toBe("")
  })

  test("a draft is cleared only once the outbox has the text", async () => {
    const { seven } = await ready()
    seven.setDraft("hello")
    const sending = seven.send("hello")
    expect(seven.draft.get()).toBe("hello")
    await sending
    expect(seven.draft.get()).toBe("")
    seven.setDraft("hello again")
    const second = seven.send("hello again")
    seven.setDraft("newer text")
    await second
    expect(seven.draft.get()).toBe("newer text")
    seven.setDraft("  ")
    await seven.send("  ")
    expect(seven.draft.get()).toBe("  ")
  })
})

describe("notifications", () => {
  test("ten tabs get a message, and isLeader is true in one of them", async () => {
    const browser = new Browser()
    const first = await ready(browser)
    const tabs = [first]
    for (let at = 1; at < 10; at++) tabs.push(await ready(browser, first.world))
    const leaders: boolean[] = []
    for (const tab of tabs) tab.client.onMessage((_, isLeader) => leaders.push(isLeader))
    first.server.say("7", "asha", "ping")
    await first.clock.advance(10)
    expect(leaders).toHaveLength(10)
    expect(leaders.filter(Boolean)).toHaveLength(1)
    // What is one's own makes no sound.
    first.server.say("7", "me", "mine")
    await first.clock.advance(10)
    expect(leaders).toHaveLength(10)
  })

  test("M9 marks that two tabs made offline both survive a reload", async () => {
    const one = await ready()
    one.server.addConversation("8", "me", "ben")
    one.server.store("8", "ben", "hello")
    const two = makeTab(one.world, {}, one.browser)
    two.client.retain()
    two.client.conversation("8").open()
    await one.clock.advance(1_000)
    for (const tab of [one, two]) {
      tab.wires.socketDown = tab.wires.httpDown = true
      tab.cut()
    }
    one.seven.markRead()
    await one.clock.advance(10)
    two.client.conversation("8").markRead()
    await one.clock.advance(10)
    one.client.close()
    two.client.close()
    makeTab(one.world, {}, one.browser).client.retain()
    await one.clock.advance(2_000)
    expect([one.stored?.read.get("me"), one.server.conversations.get("8")?.read.get("me")]).toEqual([5, 1])
  })
})
