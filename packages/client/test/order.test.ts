/** The order of the list is that of the entries, whatever the server's clock says. */

import fc from "fast-check"
import { describe, expect, test, vi } from "vitest"
import { createOrder } from "../src/order.js"
import { TestClock } from "./support/clock.js"
import { makeTab, makeWorld, type Tab } from "./support/harness.js"
import { TestServer } from "./support/server.js"

const HOUR = 3_600_000

/** A world whose server has a clock of its own, which can be set. */
function makeSkewed() {
  const clock = new TestClock()
  const time = { skew: 0 }
  const server = new TestServer(() => clock.now() + time.skew)
  return { clock, server, time }
}

const ids = ({ client }: Tab) => client.conversations.get().items.map((item) => item.id)

/** Conversations a to e, of which e has the newest message, and a client that has listed them. */
async function ready(listPage = 50) {
  const world = makeSkewed()
  const { clock, server } = world
  server.listPage = listPage
  for (const id of "abcde") {
    await clock.advance(1_000)
    server.addConversation(id, "me", `of-${id}`)
    server.store(id, `of-${id}`, "hello")
  }
  const tab = makeTab(world)
  tab.client.retain()
  await clock.advance(500)
  const lists = () =>
    server.seen.filter(({ what }) => what.startsWith("GET /api/privatechat/conversations")).length
  return { world, clock, server, tab, client: tab.client, lists }
}

describe("F16 with a server clock that was set back", () => {
  test("the conversation with the newest message is first: live, sent from here, and after a reload of the list", async () => {
    const { world, clock, server, tab, client } = await ready()
    expect(ids(tab)).toEqual([..."edcba"])
    world.time.skew = -HOUR
    server.say("b", "of-b", "live")
    await clock.advance(10)
    expect(ids(tab)).toEqual([..."bedca"])
    await client.conversation("c").send("mine")
    await clock.advance(10)
    expect(ids(tab)).toEqual([..."cbeda"])
    await client.reloadConversations()
    expect(ids(tab)).toEqual([..."cbeda"])
    server.say("a", "of-a", "later, with an earlier time")
    await clock.advance(10)
    expect(ids(tab)).toEqual([..."acbed"])
  })

  test("a new page shows the order of the entries, page by page", async () => {
    const { world, server, client } = await ready()
    world.time.skew = -HOUR
    server.say("b", "of-b", "one")
    world.time.skew = -2 * HOUR
    server.say("d", "of-d", "two")
    server.listPage = 2
    const other = makeTab(world)
    other.client.retain()
    await world.clock.advance(500)
    expect(ids(other)).toEqual([..."db"])
    server.say("e", "of-e", "three")
    await world.clock.advance(500)
    expect(ids(other)).toEqual([..."edb"])
    await other.client.loadMoreConversations()
    await other.client.loadMoreConversations()
    expect(ids(other)).toEqual([..."edbca"])
    expect(client.conversations.get().items.map(({ id }) => id)).toEqual([..."edbca"])
  })

  test("after a catch-up conversations are ordered by time, and the reloaded list corrects wrong times", async () => {
    const { world, clock, server, tab } = await ready()
    world.time.skew = -HOUR
    tab.cut()
    server.store("a", "of-a", "one")
    await clock.advance(5)
    server.store("c", "of-c", "two")
    await clock.advance(2_000)
    expect(ids(tab)).toEqual([..."caedb"])
    tab.cut()
    server.store("b", "of-b", "three")
    world.time.skew = -2 * HOUR
    server.store("d", "of-d", "four")
    await clock.advance(1_500)
    expect(ids(tab)).toEqual([..."bdcae"])
    await clock.advance(10_000)
    expect(ids(tab)).toEqual([..."dbcae"])
  })

  test("a new conversation is ordered by its creation", async () => {
    const { world, clock, server, tab, client } = await ready(3)
    world.time.skew = -HOUR
    const { id } = await client.openConversation("new")
    await clock.advance(1_000)
    expect(ids(tab)).toEqual([id, ..."edc"])
    server.addConversation("z", "me", "of-z")
    server.toMembers("z", "conversation_updated", server.view(server.conversations.get("z") as never, "me"))
    await clock.advance(1_000)
    expect(ids(tab)).toEqual(["z", id, ..."edc"])
  })

  test("over HTTP alone the order is the list's", async () => {
    const { world, clock, server, tab } = await ready()
    tab.wires.socketDown = true
    tab.cut()
    world.time.skew = -HOUR
    server.store("b", "of-b", "while the socket is away")
    // The part that reads over HTTP loads first, which takes real time.
    await vi.waitFor(
      async () => {
        await clock.advance(1_000)
        expect(ids(tab)).toEqual([..."bedca"])
      },
      { timeout: 20_000, interval: 5 },
    )
  })
})

describe("F16 M6 the list is fetched while messages arrive", () => {
  test("a conversation with a new message stays first, on the page and beyond it, without a flicker", async () => {
    const { world, clock, server, tab, client } = await ready(2)
    await client.loadMoreConversations()
    expect(ids(tab)).toEqual([..."edcb"])
    const seen: string[] = []
    client.conversations.subscribe(() => seen.push(ids(tab).join("")))
    world.time.skew = -HOUR
    let answer = () => {}
    tab.wires.late = new Promise((resolve) => {
      answer = resolve
    })
    const done = client.reloadConversations()
    await clock.advance(10)
    server.say("b", "of-b", "from beyond the page")
    server.say("d", "of-d", "on the page")
    await clock.advance(10)
    tab.wires.late = null
    answer()
    await done
    await clock.advance(10)
    expect([...new Set(seen)]).toEqual(["bedc", "dbec"])
  })

  test("a conversation announced before the first page, with newer entries than the page, stays above it", async () => {
    const { world, clock, server } = await ready()
    const other = makeTab(world)
    let answer = () => {}
    other.wires.late = new Promise((resolve) => {
      answer = resolve
    })
    other.client.retain()
    await clock.advance(100)
    // The page says what was true when it was asked for.
    server.store("b", "of-b", "after the page")
    server.toMembers("b", "conversation_updated", server.view(server.conversations.get("b") as never, "me"))
    await clock.advance(10)
    other.wires.late = null
    answer()
    await clock.advance(100)
    expect(ids(other)).toEqual([..."bedca"])
  })

  test("an answer with entries whose events arrive later keeps its order", async () => {
    const { world, clock, server, tab, client } = await ready()
    world.time.skew = -HOUR
    const one = server.store("a", "of-a", "one")
    const two = server.store("b", "of-b", "two")
    await client.reloadConversations()
    expect(ids(tab)).toEqual([..."baedc"])
    server.deliver(one)
    server.deliver(two)
    server.deliver(one)
    await clock.advance(10)
    expect(ids(tab)).toEqual([..."baedc"])
  })

  test("F14 an acknowledgement that overtakes earlier messages of others keeps the server's order", async () => {
    const { clock, server, tab, client } = await ready()
    const before = server.store("a", "of-a", "written before, and delivered after")
    await clock.advance(5)
    await client.conversation("b").send("mine")
    await clock.advance(50)
    expect(ids(tab)[0]).toBe("b")
    server.deliver(before)
    await clock.advance(1_000)
    expect(ids(tab)).toEqual([..."baedc"])
  })

  test("F14 conversations announced as newest stay first, also beside an opened one", async () => {
    const { clock, server, tab, client } = await ready()
    server.store("a", "of-a", "older")
    await clock.advance(5)
    server.store("b", "of-b", "newer")
    for (const id of ["b", "a"])
      server.toMembers(id, "conversation_updated", server.view(server.conversations.get(id) as never, "me"))
    await clock.advance(1_000)
    expect(ids(tab)).toEqual([..."baedc"])
    server.store("c", "of-c", "older")
    await clock.advance(5)
    server.store("d", "of-d", "newer")
    client.conversation("e").open()
    await clock.advance(1_000)
    expect(ids(tab)).toEqual([..."dcbae"])
  })

  test("F14 conversations announced before the first page are above it, ordered by time", () => {
    const times: Record<string, string> = { all: "2", pair: "3", other: "1", third: "4" }
    const order = createOrder((id) => times[id] as string)
    const asked = order.moment()
    order.toFront("all", asked)
    // The page is of a moment before the newest entries of all three, two of which were told of by something else than an event.
    order.page(["other", "pair", "all", "third"], asked, (id) => id !== "other", true)
    expect(order.sort(Object.keys(times))).toEqual(["third", "pair", "all", "other"])
  })

  test("reading and opening do not reorder, and an old conversation is inserted at its position", async () => {
    const { clock, server, tab, client, lists } = await ready(2)
    const before = lists()
    await client.openConversation("of-b")
    const [end] = [client.conversation("d").open()]
    client.conversation("d").markRead(1)
    server.addUser("of-e", "Another name")
    server.toMembers("e", "conversation_updated", server.view(server.conversations.get("e") as never, "me"))
    // One that is further down and not known here.
    server.toMembers("a", "conversation_updated", server.view(server.conversations.get("a") as never, "me"))
    await clock.advance(1_000)
    expect(ids(tab)).toEqual([..."edba"])
    // Once, since only the list knows how many are unread in what is not loaded.
    expect(lists()).toBe(before + 1)
    await client.loadMoreConversations()
    expect(ids(tab)).toEqual([..."edcba"])
    end?.()
  })

  test("after a restore of the server the order starts again", async () => {
    const { world, clock, server, tab } = await ready()
    const backup = server.backup()
    world.time.skew = -HOUR
    for (const id of "abc") server.say(id, `of-${id}`, "lost")
    await clock.advance(10)
    expect(ids(tab)).toEqual([..."cbaed"])
    server.restore(backup, "second")
    await clock.advance(20_000)
    expect(ids(tab)).toEqual([..."edcba"])
    server.say("b", "of-b", "new")
    await clock.advance(10)
    // One log alone went back.
    server.restore(backup)
    await clock.advance(20_000)
    expect(ids(tab)).toEqual([..."edcba"])
  })
})

describe("F16 random sequences of events", () => {
  const step = fc.record({
    kind: fc.constantFrom(
      "say",
      "say",
      "send",
      "other",
      "clock",
      "make",
      "more",
      "reload",
      "late",
      "through",
      "read",
      "cut",
      "wait",
    ),
    at: fc.nat(9),
    skew: fc.integer({ min: -48, max: 48 }),
  })

  async function run(steps: { kind: string; at: number; skew: number }[], listPage: number, cuts: boolean) {
    const { world, clock, server, tab, client } = await ready(listPage)
    let answer = () => {}
    let isLate = false
    let serial = 0
    const through = () => {
      tab.wires.late = null
      isLate = false
      answer()
    }
    for (const { kind, at, skew } of steps) {
      const known = ids(tab)
      const id = [...server.conversations.keys()][at % server.conversations.size] as string
      const from = server.conversations.get(id)?.members[1] as string
      const isAway = client.connection.get().status !== "connected"
      if (kind === "say") {
        server.say(id, from, "said")
        await clock.advance(5)
        if (!isAway && known.includes(id)) expect(ids(tab)[0]).toBe(id)
      } else if (kind === "send" && known.includes(id)) {
        void client.conversation(id).send("sent")
      } else if (kind === "other") server.deliver(server.storeOther(id, from))
      else if (kind === "clock" && !isAway) world.time.skew = skew * HOUR
      else if (kind === "make") {
        server.addConversation(`m${++serial}`, "me", `of-m${serial}`)
        const made = server.conversations.get(`m${serial}`) as never
        server.toMembers(`m${serial}`, "conversation_updated", server.view(made, "me"))
        // Where its time is of no use the first page tells, on which it is soon enough unless pages are tiny.
        if (listPage < 50) through()
        await clock.advance(listPage < 50 ? 700 : 5)
      } else if (kind === "more") void client.loadMoreConversations().catch(() => {})
      else if (kind === "reload") void client.reloadConversations().catch(() => {})
      else if (kind === "late" && !isLate) {
        isLate = true
        tab.wires.late = new Promise((resolve) => {
          answer = resolve
        })
      } else if (kind === "through") through()
      else if (kind === "read") client.conversation(id).markRead(1)
      else if (kind === "cut" && cuts && !isAway) tab.cut()
      else if (kind === "wait") await clock.advance(at * 300)
      await clock.advance(5)
    }
    through()
    await clock.advance(25_000)
    const shown = ids(tab)
    expect(new Set(shown).size).toBe(shown.length)
    const right = server.newestFirst("me").map((stored) => stored.id)
    expect(shown).toEqual(right.filter((id) => shown.includes(id)))
    if (listPage >= 50) expect(shown).toEqual(right)
    client.close()
  }

  test("the order is the server's, in one page or in parts", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.constantFrom(2, 3, 50), (steps, page) =>
        run(steps, page, false),
      ),
      { numRuns: 150 },
    )
  })

  test("the order is the server's after any number of lost connections", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), (steps) => run(steps, 50, true)),
      { numRuns: 100 },
    )
  })
})

test("a list answer from before a message that has arrived keeps it as the last message", async () => {
  const world = makeWorld()
  const { server, clock } = world
  server.addConversation("7", "me", "asha")
  server.store("7", "asha", "earlier")
  const { client, wires } = makeTab(world)
  client.retain()
  await clock.advance(500)
  const item = () => client.conversations.get().items[0]
  let release = () => {}
  wires.late = new Promise((resolve) => {
    release = resolve
  })
  const reloading = client.reloadConversations()
  await clock.advance(10)
  server.say("7", "asha", "later")
  await clock.advance(10)
  expect(item()).toMatchObject({ lastMessage: { content: "later" }, headSeq: 2, unread: 2 })
  const shown: unknown[] = []
  client.conversations.subscribe(() => shown.push(item()?.lastMessage?.content))
  release()
  await reloading
  expect(new Set([...shown, item()?.lastMessage?.content])).toEqual(new Set(["later"]))
  expect(item()).toMatchObject({ headSeq: 2, unread: 2 })
})
