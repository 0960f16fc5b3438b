import { describe, expect, test } from "vitest"
import { makeTab, makeWorld } from "./support/harness.js"
import { refusal } from "./support/server.js"

/** A user with an open conversation of some messages, a number of them read. */
async function ready(messages: number, read = 0) {
  const world = makeWorld()
  const stored = world.server.addConversation("7", "me", "asha")
  for (let at = 1; at <= messages; at++) world.server.store("7", "asha", `text ${at}`)
  if (read) stored.read.set("me", read)
  const tab = makeTab(world)
  tab.client.retain()
  const seven = tab.client.conversation("7")
  const look = seven.open()
  await world.clock.advance(500)
  const seqs = () => seven.messages.get().rows.map((row) => row.seq)
  const pages = () => world.server.seen.filter(({ what }) => what.includes("/messages/7"))
  const unread = () => tab.client.unread.get().total
  return { world, ...world, stored, ...tab, seven, look, seqs, pages, unread }
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at)

/** Walks in one direction as far as it goes, and looks at each step that nothing is missing. */
async function walk(it: Awaited<ReturnType<typeof ready>>, way: "loadOlder" | "loadNewer", steps = 1_000) {
  for (let step = 0; step < steps; step++) {
    const { hasOlder, hasNewer } = it.seven.messages.get()
    if (!(way === "loadOlder" ? hasOlder : hasNewer)) return
    await it.seven[way]()
    const seqs = it.seqs() as number[]
    expect(seqs).toEqual(range(seqs[0] as number, seqs.at(-1) as number))
  }
}

describe("F28 a jump into the past", () => {
  test("takes one request, however far away it is", async () => {
    const { seven, pages, seqs, unread } = await ready(100_000, 100)
    const before = pages().length
    await seven.jumpTo(101)
    expect(pages().length - before).toBe(1)
    expect(seqs()).toEqual(range(51, 150))
    expect(seven.messages.get()).toMatchObject({ hasOlder: true, hasNewer: true, status: "ready" })
    expect(unread()).toBe(99_900)
  })

  test("pages load in both directions without a gap, up to the newest", async () => {
    const it = await ready(1_200, 100)
    await it.seven.jumpTo(101)
    await Promise.all([it.seven.loadNewer(), it.seven.loadNewer()])
    expect(it.seqs()).toEqual(range(51, 200))
    await walk(it, "loadOlder")
    expect(it.seqs()[0]).toBe(1)
    await walk(it, "loadNewer")
    expect(it.seqs()).toEqual(range(1, 1_200))
    expect(it.seven.messages.get()).toMatchObject({ hasOlder: false, hasNewer: false })
    it.server.say("7", "asha", "new")
    await it.clock.advance(10)
    expect(it.seqs().at(-1)).toBe(1_201)
  })

  test("messages that arrive meanwhile move no rows and are loaded at the end", async () => {
    const { seven, seqs, server, clock, unread } = await ready(2_000)
    await seven.jumpTo(1)
    const { rows } = seven.messages.get()
    expect(seqs()).toEqual(range(1, 100))
    for (let at = 0; at < 3; at++) server.say("7", "asha", "new")
    await clock.advance(10)
    expect(seven.messages.get().rows).toBe(rows)
    expect([unread(), seven.messages.get().headSeq]).toEqual([2_003, 2_003])
    await seven.jumpToNewest()
    expect(seqs()).toEqual(range(1_951, 2_003))
    expect(seven.messages.get().hasNewer).toBe(false)
  })

  test("a jump to a loaded row sends no request; to a missing one it shows the nearest", async () => {
    const { seven, seqs, pages } = await ready(300)
    const before = pages().length
    await seven.jumpTo(280)
    expect([pages().length - before, seven.messages.get().hasNewer]).toEqual([0, false])
    await seven.jumpTo(9_999)
    expect(seqs().at(-1)).toBe(300)
    await seven.jumpTo(0)
    expect(seqs()[0]).toBe(1)
  })

  test("the last of several jumps wins, whichever is answered last", async () => {
    const { seven, seqs, wires, clock } = await ready(5_000)
    let open = () => {}
    wires.gate = new Promise((resolve) => {
      open = resolve
    })
    const first = seven.jumpTo(1_000)
    await clock.advance(1)
    wires.gate = null
    await seven.jumpTo(3_000)
    open()
    await first
    expect(seqs()).toContain(3_000)
    expect(seqs()).not.toContain(1_000)
  })

  test("sending a message returns to the end, and a refused one does not", async () => {
    const { seven, seqs, clock, wires } = await ready(1_000)
    await seven.jumpTo(10)
    expect((await seven.send("  ")).ok).toBe(false)
    expect(seven.messages.get().hasNewer).toBe(true)
    wires.swallow.add("send_private_message")
    wires.httpDown = true
    await seven.send("here I am")
    await clock.advance(10)
    expect(seven.messages.get().rows.at(-1)).toMatchObject({ content: "here I am", state: "sending" })
    expect(seven.messages.get().hasNewer).toBe(false)
    wires.swallow.clear()
    wires.httpDown = false
    await clock.advance(30_000)
    expect(seven.messages.get().rows.at(-1)).toMatchObject({
      content: "here I am",
      state: "sent",
      seq: 1_001,
    })
    expect(seqs()).toEqual(range(951, 1_001))
  })

  test("22: rows between are not loaded, and only shown rows are marked as read", async () => {
    const { seven, clock, stored, unread } = await ready(10_000, 40)
    await seven.jumpTo(41)
    seven.markRead()
    await clock.advance(500)
    expect([stored.read.get("me"), unread()]).toEqual([100, 9_900])
  })

  test("a lost connection keeps the position, and new messages are loaded at the end", async () => {
    const { seven, seqs, server, clock, cut } = await ready(1_000)
    await seven.jumpTo(100)
    cut()
    for (let at = 0; at < 5_000; at++) server.store("7", "asha", "while away")
    await clock.advance(5_000)
    expect(seqs()).toEqual(range(50, 149))
    await seven.loadNewer()
    expect(seqs()).toEqual(range(50, 199))
    await seven.jumpToNewest()
    expect(seqs().at(-1)).toBe(6_000)
  })

  test("14: a gap after many new messages keeps the position of a user who has scrolled up", async () => {
    const it = await ready(300)
    await it.seven.loadOlder()
    it.seven.stay(true)
    it.cut()
    for (let at = 0; at < 5_000; at++) it.server.store("7", "asha", "while away")
    await it.clock.advance(5_000)
    // The catch-up itself brings 200 that join on.
    expect(it.seqs()).toEqual(range(201, 500))
    expect(it.seven.messages.get()).toMatchObject({ hasNewer: true, headSeq: 5_300 })
    await it.seven.loadNewer()
    expect(it.seqs()).toEqual(range(201, 550))
    await it.seven.jumpToNewest()
    expect(it.seqs()).toEqual(range(5_251, 5_300))
    // A user at the end stays at the end.
    it.cut()
    for (let at = 0; at < 5_000; at++) it.server.store("7", "asha", "while away")
    await it.clock.advance(5_000)
    expect(it.seqs().at(-1)).toBe(10_300)
    expect(it.seven.messages.get().hasNewer).toBe(false)
  })

  test("14: thousands of new messages do not drop the page that is shown at the top", async () => {
    const it = await ready(100)
    await it.seven.loadOlder()
    it.seven.stay(true)
    for (let at = 0; at < 6_000; at++) it.server.say("7", "asha", "new")
    await it.clock.advance(100)
    expect(it.seqs()[0]).toBe(1)
    expect(it.seqs().length).toBeLessThanOrEqual(2_200)
    expect(it.seven.messages.get()).toMatchObject({ hasNewer: true, headSeq: 6_100 })
    await it.seven.jumpToNewest()
    expect(it.seqs().at(-1)).toBe(6_100)
  }, 60_000)

  test("a message lost while the past is shown is fetched and counted", async () => {
    const { seven, server, clock, wires, seqs, unread } = await ready(500)
    await seven.jumpTo(10)
    wires.loseEvent.add("new_private_message")
    server.say("7", "asha", "lost")
    await clock.advance(10)
    wires.loseEvent.clear()
    server.say("7", "asha", "not lost")
    await clock.advance(500)
    expect(unread()).toBe(502)
    await seven.jumpToNewest()
    expect(seqs()).toEqual(range(451, 502))
  })

  test("a failed jump shows an error, changes nothing, and can be retried", async () => {
    const { seven, seqs, server } = await ready(1_000)
    const before = seqs()
    server.refuse = (what) => (what.includes("/messages/") ? refusal("unavailable", true) : undefined)
    await expect(seven.jumpTo(10)).rejects.toMatchObject({ code: "unavailable" })
    expect(seqs()).toEqual(before)
    server.refuse = () => undefined
    await seven.jumpTo(10)
    expect(seqs()).toContain(10)
  })

  test("truncated pages leave no gap", async () => {
    const it = await ready(400)
    it.server.mostMessages = 7
    await it.seven.jumpTo(200)
    expect(it.seqs()).toEqual(range(197, 203))
    await walk(it, "loadNewer")
    await walk(it, "loadOlder")
    expect(it.seqs()).toEqual(range(1, 400))
  })

  test("closing and opening the thread shows the newest messages and drops the others", async () => {
    const { seven, seqs, look, server, clock } = await ready(1_000)
    await seven.jumpTo(10)
    look()
    expect(seqs()).toEqual(range(951, 1_000))
    for (let at = 0; at < 300; at++) server.say("7", "asha", "new")
    await clock.advance(10)
    // A closed conversation keeps its last messages.
    expect(seqs().length).toBeLessThanOrEqual(220)
    expect(seqs().at(-1)).toBe(1_300)
    seven.open()
    await clock.advance(100)
    expect(seven.messages.get()).toMatchObject({ hasNewer: false, hasOlder: true })
    await seven.loadOlder()
    expect(new Set(seqs()).size).toBe(seqs().length)
  })

  test("paging through 12,000 messages keeps at most 2,200, without a gap", async () => {
    const it = await ready(12_000)
    it.seven.messages.get()
    await walk(it, "loadOlder")
    const there = it.seqs() as number[]
    expect(there[0]).toBe(1)
    expect(there.length).toBeLessThanOrEqual(2_200)
    expect(it.seven.messages.get().hasNewer).toBe(true)
    await walk(it, "loadNewer", 140)
    expect(it.seven.messages.get().hasOlder).toBe(true)
    expect((it.seqs() as number[]).length).toBeLessThanOrEqual(2_200)
    await it.seven.jumpToNewest()
    expect(it.seqs().at(-1)).toBe(12_000)
  }, 60_000)
})

describe("actions while the end is not shown", () => {
  test("a reply quotes its message even if that was dropped before the send", async () => {
    const { seven: thread, wires, clock } = await ready(3_000)
    await thread.jumpTo(100)
    const message = thread.messages.get().rows.find(({ seq }) => seq === 100)?.message
    await thread.jumpToNewest()
    expect(thread.messages.get().rows.some(({ seq }) => seq === 100)).toBe(false)
    wires.swallow.add("send_private_message")
    wires.httpDown = true
    await thread.send("Yes", { replyTo: message ?? undefined })
    const quote = { id: message?.id, seq: 100, senderId: "asha", excerpt: "text 100" }
    expect(thread.messages.get().rows.at(-1)?.replyTo).toEqual(quote)
    wires.swallow.clear()
    wires.httpDown = false
    await clock.advance(60_000)
    expect(thread.messages.get().rows.at(-1)).toMatchObject({ state: "sent", replyTo: quote })
  })

  test("an edit of an unsent message reaches it", async () => {
    const { seven: thread, stored, wires, clock } = await ready(3_000)
    wires.swallow.add("send_private_message")
    wires.httpDown = true
    const sent = await thread.send("with a tpyo")
    await clock.advance(100)
    wires.httpDown = false
    // What waits for its own answer may have arrived: another one behind it has not.
    const behind = await thread.send("another tpyo")
    await thread.jumpTo(100)
    if (!sent.ok || !behind.ok) throw new Error("refused")
    expect(await thread.edit(behind.clientMessageId, "another typo")).toMatchObject({ ok: true })
    expect(await thread.remove(sent.clientMessageId)).toMatchObject({ ok: true })
    wires.swallow.clear()
    await clock.advance(120_000)
    const texts = stored.log
      .filter(({ kind }) => kind === "message")
      .map((one) => "content" in one && one.content)
    expect(texts.at(-1)).toBe("another typo")
    expect(stored.log.at(-1)).toMatchObject({ kind: "delete" })
  })
})

test("a page from a lagging replica is requested again", async () => {
  const world = makeWorld()
  const { server, clock } = world
  const stored = server.addConversation("7", "me", "asha")
  for (let at = 1; at <= 80; at++) server.store("7", "asha", `text ${at}`)
  const other = makeTab(world, { userId: "asha" })
  other.client.retain()
  await clock.advance(500)
  await other.client.conversation("7").edit(stored.log[9]?.id ?? "", "edited since")
  await clock.advance(500)
  const { client } = makeTab(world)
  client.retain()
  const seven = client.conversation("7")
  seven.open()
  await clock.advance(500)

  const onHttp = server.onHttp.bind(server)
  let behind = 2
  server.onHttp = (...request) => {
    const answer = structuredClone(onHttp(...request))
    if (!request[1].includes("before=") || behind-- <= 0) return answer
    const reply = answer.reply as unknown as { data: { seq: number; content: string }[]; asOfSeq: number }
    reply.asOfSeq = 80
    for (const message of reply.data) if (message.seq === 10) message.content = "text 10"
    return answer
  }
  await seven.loadOlder()
  expect(behind).toBe(-1)
  expect(seven.messages.get().rows.find(({ seq }) => seq === 10)?.content).toBe("edited since")
})
