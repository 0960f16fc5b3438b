/**
 * Entries of a kind that this client does not know, as a later server sends them: they move the position in the log, and nothing else.
 */
import { describe, expect, test } from "vitest"
import { isMessage } from "../src/fold.js"
import { addEntries, addPage, countUnread, emptyLog, hasGap, lastSeq } from "../src/log.js"
import { createRows } from "../src/rows.js"
import type { LogEntry } from "../src/wire.js"
import { makeTab, makeWorld } from "./support/harness.js"
import type { TestServer } from "./support/server.js"

/** Stores messages of Asha's, with an entry of another kind for each `null`. */
function fill(server: TestServer, contents: (string | null)[]) {
  for (const content of contents) {
    if (content === null) server.storeOther("7")
    else server.store("7", "asha", content)
  }
}

async function ready(contents: (string | null)[], { isOpen = true, readSeq = 0 } = {}) {
  const world = makeWorld()
  const { server } = world
  // Pages hold what was stored, as from servers that know no other kinds.
  server.folds = false
  const stored = server.addConversation("7", "me", "asha")
  fill(server, contents)
  stored.read.set("me", readSeq)
  const tab = makeTab(world)
  tab.client.retain()
  const seven = tab.client.conversation("7")
  if (isOpen) seven.open()
  await world.clock.advance(500)
  const state = () => seven.messages.get()
  const texts = () => state().rows.map((row) => row.content)
  const item = () => tab.client.conversations.get().items.find(({ id }) => id === "7")
  const calls = (what: string) => server.seen.filter((one) => one.what.includes(what)).length
  return { world, ...world, stored, ...tab, seven, state, texts, item, calls }
}

describe.each(["new_private_message", "conversation_entry"])("live, as %s", (event) => {
  test("an entry of an unknown kind moves the head without a gap, shows nothing, and keeps unread, lastMessage and order", async () => {
    const { server, clock, client, state, texts, item, calls } = await ready(["one", "two"])
    server.addConversation("8", "me", "asha")
    server.say("8", "asha", "elsewhere")
    await clock.advance(500)
    const before = { rows: state().rows, pages: calls("/messages/7"), lists: calls("/conversations") }
    const received: string[] = []
    client.onMessage(({ content }) => received.push(content))
    server.deliver(server.storeOther("7"), undefined, event)
    await clock.advance(5_000)
    expect(state()).toMatchObject({ headSeq: 3, catchingUp: false, status: "ready" })
    expect(state().rows).toBe(before.rows)
    expect(item()).toMatchObject({ unread: 2, headSeq: 3, lastMessage: { content: "two" } })
    expect(client.conversations.get().items.map(({ id }) => id)).toEqual(["8", "7"])
    expect(client.unread.get()).toEqual({ total: 3, byConversation: { 7: 2, 8: 1 } })
    expect(calls("/messages/7")).toBe(before.pages)
    expect(calls("/conversations")).toBe(before.lists)
    // What follows joins on, and counts as one.
    server.say("7", "asha", "three")
    await clock.advance(100)
    expect(texts()).toEqual(["one", "two", "three"])
    expect(item()).toMatchObject({ unread: 3, headSeq: 4, lastMessage: { content: "three" } })
    expect(calls("/messages/7")).toBe(before.pages)
    expect(received).toEqual(["three"])
  })

  test("an entry of an unknown kind moves the head of a conversation that is not open", async () => {
    const { server, clock, item, calls } = await ready(["one"], { isOpen: false })
    server.deliver(server.storeOther("7"), undefined, event)
    server.deliver(server.storeOther("7", "me"), undefined, event)
    await clock.advance(5_000)
    expect(item()).toMatchObject({ unread: 1, headSeq: 3, readSeq: 0, lastMessage: { content: "one" } })
    expect(calls("/messages/7")).toBe(0)
    server.say("7", "asha", "two")
    await clock.advance(100)
    expect(item()).toMatchObject({ unread: 2, headSeq: 4 })
  })

  test("an entry of an unknown kind after a lost message triggers the fetch of that message", async () => {
    const { server, clock, wires, texts, item, state } = await ready(["one"])
    wires.loseEvent.add("new_private_message")
    server.say("7", "asha", "two")
    await clock.advance(100)
    wires.loseEvent.clear()
    server.deliver(server.storeOther("7"), undefined, event)
    await clock.advance(1_000)
    expect(texts()).toEqual(["one", "two"])
    expect(item()).toMatchObject({ unread: 2, headSeq: 3, lastMessage: { content: "two" } })
    expect(state().catchingUp).toBe(false)
  })
})

test("an entry without a kind is treated as a message", async () => {
  const { server, clock, texts, item } = await ready(["one"])
  const { kind: _, ...message } = server.store("7", "asha", "two")
  server.deliver(message as never)
  await clock.advance(100)
  expect(texts()).toEqual(["one", "two"])
  expect(item()).toMatchObject({ unread: 2, lastMessage: { content: "two" } })
})

test("pages may have entries of an unknown kind at the start, in the middle and at the end", async () => {
  const { texts, state, item } = await ready([null, "one", null, "two", null])
  expect(texts()).toEqual(["one", "two"])
  expect(state()).toMatchObject({ headSeq: 5, hasOlder: false, catchingUp: false, isEmpty: false })
  expect(item()).toMatchObject({ unread: 2, headSeq: 5, lastMessage: { content: "two" } })
})

test("a conversation without any message is empty", async () => {
  const { state, item, server, clock, texts } = await ready([null, null])
  expect(state()).toMatchObject({ status: "ready", isEmpty: true, headSeq: 2, rows: [] })
  expect(item()).toMatchObject({ unread: 0, headSeq: 2, lastMessage: null })
  server.say("7", "asha", "one")
  await clock.advance(100)
  expect(texts()).toEqual(["one"])
  expect(state().isEmpty).toBe(false)
})

test("pages without a message are skipped until one has messages", async () => {
  const { texts, state, calls } = await ready(["one", ...Array(120).fill(null)])
  expect(texts()).toEqual(["one"])
  expect(state()).toMatchObject({ hasOlder: false, isEmpty: false, headSeq: 121 })
  expect(calls("/messages/7")).toBe(3)
})

test("a newest page without a message that replaces a distant tail is skipped, too", async () => {
  const { server, clock, cut, texts, state, wires } = await ready(["one"])
  cut()
  wires.socketDown = wires.httpDown = true
  await clock.advance(1_000)
  fill(server, ["two", ...Array(1_500).fill(null)])
  wires.socketDown = wires.httpDown = false
  await clock.advance(60_000)
  expect(texts().at(-1)).toBe("two")
  expect(state()).toMatchObject({ headSeq: 1_502, catchingUp: false })
})

test("a server that announces more and returns nothing is not requested endlessly", async () => {
  const { server, clock, seven, calls, texts } = await ready(["one", ...Array(60).fill(null)], {
    isOpen: false,
  })
  const { history } = server
  server.history = (user, id, query) =>
    query.has("before")
      ? { success: true, data: [], hasMore: true, store: server.generation }
      : history.call(server, user, id, query)
  seven.open()
  await clock.advance(60_000)
  expect(calls("/messages/7")).toBe(2)
  server.history = history
  await seven.loadOlder()
  expect(texts()).toEqual(["one"])
})

test("older pages with entries of an unknown kind have no gap", async () => {
  const contents = Array.from({ length: 120 }, (_, at) => (at % 3 ? `text ${at + 1}` : null))
  const { seven, texts, state } = await ready(contents)
  while (state().hasOlder) await seven.loadOlder()
  expect(texts()).toEqual(contents.filter((content) => content !== null))
})

test("sync with entries of an unknown kind leaves no gap after a lost connection", async () => {
  const { server, clock, cut, texts, item, state, calls } = await ready(["one"])
  cut()
  fill(server, [null, "two", null])
  await clock.advance(5_000)
  expect(texts()).toEqual(["one", "two"])
  expect(item()).toMatchObject({ unread: 2, headSeq: 4, lastMessage: { content: "two" } })
  expect(state()).toMatchObject({ headSeq: 4, catchingUp: false })
  // The next one asks from behind it: nothing comes twice.
  cut()
  await clock.advance(5_000)
  const asked = server.seen.filter(({ what }) => what === "sync").at(-1)?.body.conversations
  expect(asked).toMatchObject({ 7: { seq: 4 } })
  expect(calls("/messages/7")).toBe(1)
})

test("sync with entries of an unknown kind moves the head of a conversation that is not open", async () => {
  const { server, clock, cut, item } = await ready(["one", null], { isOpen: false })
  cut()
  fill(server, [null, "two", null])
  await clock.advance(1_500)
  expect(item()).toMatchObject({ unread: 2, headSeq: 5, lastMessage: { content: "two" } })
  cut()
  await clock.advance(1_500)
  expect(item()).toMatchObject({ unread: 2, headSeq: 5, lastMessage: { content: "two" } })
})

test("the first unread message after the mark is found past other entries", async () => {
  const { seven, state, item, client, clock } = await ready(["one", "two", null, null, "three", null], {
    readSeq: 2,
  })
  expect(item()).toMatchObject({ unread: 1, readSeq: 2 })
  const first = state().rows.find((row) => row.seq !== null && row.seq > state().readSeq && !row.mine)
  expect(first).toMatchObject({ content: "three", seq: 5 })
  await seven.jumpTo(state().readSeq + 1)
  expect(state().rows.map((row) => row.content)).toEqual(["one", "two", "three"])
  // The page marks the last row it shows as read, which is not the head.
  seven.markRead(5)
  expect(item()).toMatchObject({ unread: 0, readSeq: 5 })
  await clock.advance(1_000)
  expect(client.unread.get().total).toBe(0)
})

test("marking all as read includes the entries at the end", async () => {
  const { seven, item, clock, stored } = await ready(["one", null, "two", null, null])
  seven.markRead()
  expect(item()).toMatchObject({ unread: 0, readSeq: 5 })
  await clock.advance(1_000)
  expect(stored.read.get("me")).toBe(5)
})

test("a mark that another device moves to the last message clears the unread count without a loaded log", async () => {
  const { server, clock, item, client } = await ready(["one", "two", null, null], { isOpen: false })
  expect(item()).toMatchObject({ unread: 2 })
  const seen: number[] = []
  client.unread.subscribe(() => seen.push(client.unread.get().total))
  server.toMembers("7", "receipt", { conversationId: "7", userId: "me", deliveredSeq: 2, readSeq: 2 })
  await clock.advance(10)
  expect(item()).toMatchObject({ unread: 0, readSeq: 2, headSeq: 4 })
  expect(seen).toEqual([0])
})

test("a mark between the messages limits the unread count", async () => {
  const { server, clock, item } = await ready(["one", "two", null, "three", null, null], { isOpen: false })
  server.toMembers("7", "receipt", { conversationId: "7", userId: "me", deliveredSeq: 3, readSeq: 3 })
  await clock.advance(10)
  expect(item()).toMatchObject({ unread: 1, readSeq: 3 })
})

test("after a restore the unread count has messages, not entries", async () => {
  const { server, clock, item, cut, client, texts } = await ready(["one", "two", null, null])
  const backup = server.backup()
  fill(server, ["three", null])
  await clock.advance(100)
  cut()
  await clock.advance(2_000)
  expect(item()).toMatchObject({ unread: 3, headSeq: 6 })
  const seen: number[] = []
  client.unread.subscribe(() => seen.push(client.unread.get().total))
  server.restore(backup)
  await clock.advance(5_000)
  expect(item()).toMatchObject({ unread: 2, headSeq: 4, lastMessage: { content: "two" } })
  expect(texts()).toEqual(["one", "two"])
  expect(new Set(seen)).toEqual(new Set([2]))
})

test("the list orders a conversation by its newest message", async () => {
  const { server, clock, client } = await ready(["one"])
  server.addConversation("8", "me", "asha")
  server.say("8", "asha", "elsewhere")
  await clock.advance(500)
  server.deliver(server.storeOther("7"))
  await clock.advance(100)
  await client.reloadConversations()
  expect(client.conversations.get().items.map(({ id }) => id)).toEqual(["8", "7"])
  const seven = server.conversations.get("7")
  if (!seven) throw new Error("no conversation")
  // A change of the conversation itself that tells of such an entry does not move it either.
  server.storeOther("7")
  for (const peer of server.peers) peer.send("conversation_updated", server.view(seven, "me"))
  await clock.advance(100)
  expect(client.conversations.get().items.map(({ id }) => id)).toEqual(["8", "7"])
})

test("a list answer older than an entry of an unknown kind keeps the order", async () => {
  const { server, clock, client, wires } = await ready(["one"])
  server.addConversation("8", "me", "asha")
  server.say("8", "asha", "elsewhere")
  await clock.advance(500)
  let arrive = () => {}
  wires.late = new Promise((resolve) => {
    arrive = resolve
  })
  const reloaded = client.reloadConversations()
  await clock.advance(10)
  server.deliver(server.storeOther("7"))
  await clock.advance(10)
  arrive()
  await reloaded
  expect(client.conversations.get().items.map(({ id }) => id)).toEqual(["8", "7"])
})

test("a restored copy with other messages is detected although an entry of another kind is last", async () => {
  const { server, clock, item, client } = await ready([], { isOpen: false })
  const backup = server.backup()
  server.say("7", "asha", "one")
  server.deliver(server.storeOther("7"))
  await clock.advance(500)
  expect(item()).toMatchObject({ headSeq: 2, lastMessage: { content: "one" } })
  server.restore(backup)
  fill(server, ["another", null])
  await clock.advance(5_000)
  expect(item()).toMatchObject({ headSeq: 2, lastMessage: { content: "another" } })
  expect(client.restored.get()).toMatchObject({ conversationIds: ["7"], dismissed: false })
})

describe("the log", () => {
  const entry = (seq: number, kind?: string): LogEntry =>
    ({
      id: `e${seq}`,
      ...(kind ? { kind } : {}),
      conversationId: "7",
      seq,
      senderId: "asha",
      ...(kind === undefined || kind === "message" ? { content: `text ${seq}` } : {}),
      createdAt: "2026-03-01T12:00:00.000Z",
    }) as LogEntry

  test("only messages are messages", () => {
    expect([undefined, "message", "edit", "Message"].map((kind) => isMessage(entry(1, kind)))).toEqual([
      true,
      true,
      false,
      false,
    ])
  })

  test("rows of appended entries are built once, with other entries in between", () => {
    const rows = createRows(() => "me")
    let log = addPage(emptyLog, { direction: "newest", entries: [entry(1), entry(2, "edit")] })
    const [one] = rows(log, [])
    log = addEntries(log, [entry(3, "edit")])
    log = addEntries(log, [entry(4, "message")])
    const shown = rows(log, [])
    expect(shown.map(({ seq }) => seq)).toEqual([1, 4])
    expect(shown[0]).toBe(one)
    expect(lastSeq(log)).toBe(4)
    expect(hasGap(log)).toBe(false)
    expect(countUnread(log, 0, "me")).toBe(2)
    expect(countUnread(log, 1, "me")).toBe(1)
  })
})
