/**
 * Edits, deletions, reactions, pins and replies: changes by others, and changes by the user, over both
 * wires.
 */
import { describe, expect, test, vi } from "vitest"
import type { MessageRow } from "../src/types.js"
import { Browser, makeTab, makeWorld, type Tab, type World } from "./support/harness.js"
import { refusal } from "./support/server.js"

async function ready(messages = 3, { isOpen = true, read = messages } = {}) {
  const world = makeWorld()
  const { server, clock } = world
  const stored = server.addConversation("7", "me", "asha")
  for (let at = 1; at <= messages; at++) server.store("7", at % 2 ? "asha" : "me", `text ${at}`)
  stored.read.set("me", read)
  const browser = new Browser()
  const tab = await open(world, browser, isOpen)
  const ids = () => stored.log.filter(({ kind }) => kind === "message").map(({ id }) => id)
  /** The id of the nth message. */
  const id = (nth: number) => ids()[nth - 1] as string
  const item = () => tab.client.conversations.get().items.find((one) => one.id === "7")
  const calls = (what: string) => server.seen.filter((one) => one.what.includes(what)).length
  return { world, server, clock, stored, ...tab, id, item, calls }
}

async function open(world: World, browser: Browser, isOpen = true) {
  const tab = makeTab(world, {}, browser)
  tab.client.retain()
  const seven = tab.client.conversation("7")
  if (isOpen) seven.open()
  await world.clock.advance(500)
  const row = (id: string) => seven.messages.get().rows.find((one) => one.message?.id === id) as MessageRow
  const texts = () => seven.messages.get().rows.map(({ content, deletedAt }) => (deletedAt ? null : content))
  return { ...tab, seven, row, texts }
}

const outbox = ({ client }: Pick<Tab, "client">) => client.outbox.get()

describe("changes by others", () => {
  test("edits, reactions, pins and deletions change the row and are never unread", async () => {
    const { server, clock, id, row, item, client, seven } = await ready()
    const keys = seven.messages.get().rows.map(({ key }) => key)
    server.act("7", "asha", id(1), { kind: "edit", content: "better" })
    server.act("7", "asha", id(2), { kind: "reaction", emoji: "👍", added: true })
    server.act("7", "asha", id(2), { kind: "pin", pinned: true })
    await clock.advance(10)
    expect(row(id(1))).toMatchObject({ content: "better", editedAt: expect.any(String), state: "sent" })
    expect(row(id(2))).toMatchObject({
      reactions: [{ emoji: "👍", count: 1, mine: false, userIds: ["asha"] }],
      pinnedAt: expect.any(String),
    })
    server.act("7", "asha", id(2), { kind: "reaction", emoji: "👍", added: false })
    server.act("7", "asha", id(1), { kind: "delete" })
    await clock.advance(10)
    expect(row(id(1))).toMatchObject({ content: "", editedAt: null, deletedAt: expect.any(String) })
    expect(row(id(2)).reactions).toEqual([])
    expect(seven.messages.get().rows.map(({ key }) => key)).toEqual(keys)
    expect(item()).toMatchObject({ unread: 0, headSeq: 8 })
    expect(client.unread.get().total).toBe(0)
  })

  test("an edit of the last message changes the preview at once without reordering", async () => {
    for (const isOpen of [true, false]) {
      const { server, clock, id, item, client } = await ready(3, { isOpen })
      server.addConversation("8", "me", "ben")
      server.say("8", "ben", "elsewhere")
      await clock.advance(1_000)
      server.act("7", "asha", id(3), { kind: "edit", content: "edited" })
      await clock.advance(10)
      expect(item()).toMatchObject({ lastMessage: { content: "edited" }, unread: 0 })
      expect(client.conversations.get().items.map((one) => one.id)).toEqual(["8", "7"])
    }
  })

  test("a deletion of the last message, which is unread, corrects preview and count", async () => {
    for (const isOpen of [true, false]) {
      const { server, clock, id, item, client } = await ready(3, { isOpen, read: 1 })
      expect(item()).toMatchObject({ unread: 1, lastMessage: { content: "text 3" } })
      server.act("7", "asha", id(3), { kind: "delete" })
      await clock.advance(10)
      expect(item()).toMatchObject({ unread: 0, lastMessage: { content: "text 2" }, headSeq: 4 })
      await client.reloadConversations()
      expect(item()).toMatchObject({ unread: 0, lastMessage: { content: "text 2" } })
    }
  })

  test("a list that was read before a deletion does not restore the text", async () => {
    const { server, clock, id, item, client, wires } = await ready(3, { isOpen: false })
    let arrive = () => {}
    wires.late = new Promise((resolve) => {
      arrive = resolve
    })
    const reloaded = client.reloadConversations()
    await clock.advance(10)
    server.act("7", "asha", id(3), { kind: "delete" })
    await clock.advance(10)
    arrive()
    await reloaded
    expect(item()).toMatchObject({ lastMessage: { content: "text 2" }, headSeq: 4 })
  })

  test("the quote of a reply follows the quoted message", async () => {
    const { server, clock, id, seven, texts } = await ready(1)
    await seven.send("an answer", { replyTo: id(1) })
    expect(seven.messages.get().rows.at(-1)?.replyTo).toMatchObject({ id: id(1), excerpt: "text 1", seq: 1 })
    await clock.advance(10)
    const quote = () => seven.messages.get().rows.at(-1)?.replyTo
    expect(quote()).toEqual({ id: id(1), seq: 1, senderId: "asha", excerpt: "text 1" })
    server.act("7", "asha", id(1), { kind: "edit", content: "another\ntext" })
    await clock.advance(10)
    expect(quote()?.excerpt).toBe("another text")
    server.act("7", "asha", id(1), { kind: "delete" })
    await clock.advance(10)
    expect(quote()?.excerpt).toBe("")
    expect(texts()).toEqual([null, "an answer"])
  })

  test("a lost entry is fetched with later ones, and changes a message before the gap", async () => {
    const { server, clock, wires, id, row, calls } = await ready(60)
    wires.loseEvent.add("conversation_entry")
    server.act("7", "asha", id(41), { kind: "edit", content: "lost" })
    await clock.advance(10)
    wires.loseEvent.clear()
    server.say("7", "asha", "what follows")
    await clock.advance(500)
    expect(row(id(41)).content).toBe("lost")
    expect(calls("kind=all")).toBe(1)
  })

  test("missed changes apply to all loaded messages", async () => {
    const { server, clock, cut, id, row, seven } = await ready(200)
    await seven.loadOlder()
    await seven.jumpTo(20)
    cut()
    server.change("7", "asha", id(21), { kind: "edit", content: "in the past" })
    server.change("7", "asha", id(199), { kind: "delete" })
    server.change("7", "asha", id(22), { kind: "reaction", emoji: "🎉", added: true })
    await clock.advance(5_000)
    expect(row(id(21)).content).toBe("in the past")
    expect(row(id(22)).reactions).toHaveLength(1)
    await seven.jumpToNewest()
    expect(row(id(199)).deletedAt).not.toBeNull()
  })

  test("changes arrive over HTTP without a socket", async () => {
    const { server, clock, wires, cut, id, row } = await ready()
    wires.socketDown = true
    cut()
    await clock.advance(1_000)
    server.change("7", "asha", id(1), { kind: "edit", content: "over HTTP" })
    // The part that reads over HTTP loads first, which takes real time.
    await vi.waitFor(
      async () => {
        await clock.advance(1_000)
        expect(row(id(1)).content).toBe("over HTTP")
      },
      { timeout: 20_000, interval: 5 },
    )
  })

  test("if the newest page replaces the tail after many missed entries, rows above still show their changes", async () => {
    const { server, clock, cut, id, row, seven } = await ready(300)
    await seven.loadOlder()
    seven.stay(true)
    cut()
    const at = id(205)
    server.change("7", "asha", at, { kind: "delete" })
    for (let count = 0; count < 3_000; count++) server.store("7", "asha", "while away")
    server.change("7", "asha", id(207), { kind: "edit", content: "much later" })
    await clock.advance(5_000)
    expect(seven.messages.get().hasNewer).toBe(true)
    expect(row(at).deletedAt).not.toBeNull()
    expect(row(id(207)).content).toBe("much later")
    expect(seven.messages.get().rows[0]?.seq).toBe(201)
  })

  test("a page that was read before an entry, and arrives after it, shows the entry", async () => {
    const { server, clock, wires, id, row, seven } = await ready(200)
    let arrive = () => {}
    wires.late = new Promise((resolve) => {
      arrive = resolve
    })
    const older = seven.loadOlder()
    await clock.advance(10)
    server.act("7", "asha", id(121), { kind: "edit", content: "meanwhile" })
    await clock.advance(10)
    arrive()
    await older
    expect(row(id(121)).content).toBe("meanwhile")
  })
})

describe("changes by the user", () => {
  test("a change shows at once and stays one row until it is stored", async () => {
    const { clock, id, row, seven, stored, wires, client } = await ready()
    wires.swallow.add("edit_message").add("react").add("pin_message").add("delete_message")
    wires.httpDown = true
    const { key } = row(id(2))
    await seven.edit(id(2), "edited")
    await seven.react(id(1), "👍")
    await seven.pin(id(1))
    await seven.react(id(2), "🎉")
    expect(row(id(2))).toMatchObject({
      content: "edited",
      editedAt: expect.any(String),
      reactions: [{ emoji: "🎉", count: 1, mine: true, userIds: ["me"] }],
    })
    expect(row(id(2)).writes.map(({ state }) => state)).toEqual(["sending", "sending"])
    expect(row(id(1))).toMatchObject({ pinnedAt: expect.any(String), reactions: [{ mine: true }] })
    expect(client.conversations.get().items[0]).toMatchObject({ waiting: 0, failed: 0 })
    expect(outbox({ client })).toMatchObject({ waiting: 4, failed: 0 })
    expect(stored.log).toHaveLength(3)
    wires.swallow.clear()
    wires.httpDown = false
    await clock.advance(40_000)
    expect(stored.log.map(({ kind }) => kind).slice(3)).toEqual(["edit", "reaction", "pin", "reaction"])
    expect(row(id(2))).toMatchObject({ key, content: "edited", writes: [], reactions: [{ count: 1 }] })
    expect(outbox({ client }).items).toEqual([])
  })

  test("an edit and a deletion of the last message show in the list before they are sent", async () => {
    const { id, seven, wires, cut, item, clock, server } = await ready(2)
    wires.socketDown = wires.httpDown = true
    cut()
    await seven.edit(id(2), "edited")
    expect(item()?.lastMessage).toMatchObject({ content: "edited", seq: 2 })
    await seven.remove(id(2))
    expect(item()?.lastMessage).toMatchObject({ content: "", deletedAt: expect.any(String) })
    server.refuse = (what) => (/edit|delete|PATCH/i.test(what) ? refusal("forbidden") : undefined)
    wires.socketDown = wires.httpDown = false
    await clock.advance(40_000)
    expect(item()?.lastMessage).toMatchObject({ content: "text 2" })
    expect(seven.messages.get().rows.at(-1)).toMatchObject({ content: "text 2", deletedAt: null })
  })

  test("a change whose acknowledgement is lost is sent over HTTP with the same id and stored once", async () => {
    const { clock, id, row, seven, stored, wires, server } = await ready()
    for (const event of ["edit_message", "react", "pin_message", "delete_message"]) wires.loseAck.add(event)
    await seven.react(id(1), "❤️")
    await seven.pin(id(1))
    await seven.edit(id(2), "edited / ünique?")
    await clock.advance(20_000)
    await seven.react(id(1), "❤️")
    await seven.pin(id(1), false)
    await seven.remove(id(2))
    await clock.advance(20_000)
    expect(stored.log.slice(3).map(({ kind }) => kind)).toEqual([
      "reaction",
      "pin",
      "edit",
      "reaction",
      "pin",
      "delete",
    ])
    const path = `/api/privatechat/messages/7/${id(1)}`
    const asked = server.seen.filter(({ wire, what }) => wire === "http" && what.includes("/messages/7/"))
    expect(asked.map(({ what }) => what)).toEqual([
      `PUT ${path}/reactions/%E2%9D%A4%EF%B8%8F`,
      `PUT ${path}/pin`,
      `PATCH /api/privatechat/messages/7/${id(2)}`,
      `DELETE ${path}/reactions/%E2%9D%A4%EF%B8%8F`,
      `DELETE ${path}/pin`,
      `DELETE /api/privatechat/messages/7/${id(2)}`,
    ])
    const ids = asked.map(({ body }) => body.clientMessageId)
    expect(new Set(ids).size).toBe(6)
    for (const one of ids)
      expect(server.seen.filter(({ body }) => body.clientMessageId === one)).toHaveLength(2)
    expect(row(id(1))).toMatchObject({ reactions: [], pinnedAt: null })
    expect(row(id(2))).toMatchObject({ deletedAt: expect.any(String), content: "" })
  })

  test("a change made offline survives a reload and arrives in order", async () => {
    const { world, browser, clock, id, seven, wires, cut, client, stored } = await ready()
    wires.socketDown = wires.httpDown = true
    cut()
    await seven.send("new")
    await seven.edit(id(2), "edited")
    await seven.react(id(1), "👍")
    await seven.remove(id(2))
    await clock.advance(100)
    client.close()
    const next = await open(world, browser)
    await clock.advance(1_000)
    expect(stored.log.slice(3).map(({ kind }) => kind)).toEqual(["message", "reaction", "delete"])
    expect(next.texts()).toEqual(["text 1", null, "text 3", "new"])
    expect(next.row(id(1)).reactions).toHaveLength(1)
    expect(outbox(next).items).toEqual([])
  })

  test("a later edit replaces one that was never dispatched, and a second deletion has no effect", async () => {
    const { clock, id, seven, wires, cut, client, stored } = await ready()
    wires.socketDown = wires.httpDown = true
    cut()
    // The first is dispatched, the rest wait behind it.
    await seven.react(id(1), "👍")
    await seven.edit(id(2), "one")
    await seven.edit(id(2), "two")
    await seven.remove(id(2))
    expect(await seven.remove(id(2))).toMatchObject({ ok: true })
    expect(await seven.edit(id(2), "three")).toMatchObject({ ok: false, error: { code: "not_found" } })
    expect(outbox({ client }).items.map(({ write }) => write?.action.kind)).toEqual(["reaction", "delete"])
    wires.socketDown = wires.httpDown = false
    await clock.advance(40_000)
    expect(stored.log.slice(3).map(({ kind }) => kind)).toEqual(["reaction", "delete"])
  })

  test("a reaction removed before its dispatch is not sent, and one that may have arrived is removed on the server", async () => {
    const { clock, id, seven, row, wires, cut, client, stored } = await ready()
    wires.socketDown = wires.httpDown = true
    cut()
    await seven.react(id(1), "👍")
    await seven.react(id(1), "🎉")
    await seven.react(id(1), "🎉")
    await seven.react(id(1), "👍")
    expect(row(id(1)).reactions).toEqual([])
    expect(outbox({ client }).items.map(({ write }) => write?.action)).toEqual([
      { kind: "reaction", emoji: "👍", added: true },
      { kind: "reaction", emoji: "👍", added: false },
    ])
    wires.socketDown = wires.httpDown = false
    await clock.advance(40_000)
    expect(row(id(1)).reactions).toEqual([])
    expect(stored.log).toHaveLength(5)
  })

  test("a change without effect is not stored", async () => {
    const { id, seven, client, server, clock } = await ready()
    server.act("7", "me", id(1), { kind: "reaction", emoji: "👍", added: true })
    await clock.advance(10)
    expect(await seven.edit(id(2), "text 2")).toMatchObject({ ok: true })
    expect(await seven.react(id(1), "👍", true)).toMatchObject({ ok: true })
    expect(await seven.pin(id(1), false)).toMatchObject({ ok: true })
    expect(outbox({ client }).items).toEqual([])
    expect(await seven.edit(id(2), "  ")).toMatchObject({
      ok: false,
      content: "  ",
      error: { code: "empty_message" },
    })
  })

  test.each(["forbidden", "not_found", "invalid"] as const)(
    "%s reverts the change, is reported like a failed send, and blocks nothing",
    async (code) => {
      const { clock, id, seven, row, server, client, stored } = await ready()
      server.refuse = (what) => (what === "edit_message" || what === "react" ? refusal(code) : undefined)
      await seven.edit(id(2), "edited")
      await seven.react(id(1), "👍")
      await seven.send("behind")
      await clock.advance(100)
      expect(row(id(2))).toMatchObject({ content: "text 2", editedAt: null, reactions: [] })
      expect(row(id(2)).writes).toMatchObject([{ state: "failed", error: { code } }])
      expect(row(id(1)).reactions).toEqual([])
      expect(outbox({ client })).toMatchObject({ waiting: 0, failed: 2 })
      expect(client.conversations.get().items[0]).toMatchObject({ waiting: 0, failed: 0 })
      expect(stored.log.at(-1)?.content).toBe("behind")
      server.refuse = () => undefined
      const [edit, reaction] = outbox({ client }).items
      expect(await client.outbox.discard(edit?.clientMessageId as string)).toBe("edited")
      client.outbox.retry(reaction?.clientMessageId)
      await clock.advance(100)
      expect(row(id(1)).reactions).toMatchObject([{ count: 1, mine: true }])
      expect(outbox({ client }).items).toEqual([])
    },
  )

  test("a refused edit can be changed in place or replaced by another edit", async () => {
    const { clock, id, seven, row, server, client } = await ready()
    server.refuse = (what, body) =>
      what === "edit_message" && body.content === "bad" ? refusal("invalid") : undefined
    await seven.edit(id(2), "bad")
    await clock.advance(10)
    const failed = outbox({ client }).items[0]?.clientMessageId as string
    await client.outbox.edit(failed, "good")
    await clock.advance(10)
    expect(row(id(2)).content).toBe("good")
    await seven.edit(id(2), "bad")
    await clock.advance(10)
    await seven.edit(id(2), "better")
    await clock.advance(10)
    expect(row(id(2))).toMatchObject({ content: "better", writes: [] })
    expect(outbox({ client }).items).toEqual([])
  })
})

describe("changes of an unsent message", () => {
  async function offline() {
    const it = await ready(1)
    it.wires.socketDown = it.wires.httpDown = true
    it.cut()
    await it.clock.advance(10)
    const send = async (text: string) => {
      const result = await it.seven.send(text)
      return result.ok ? result.clientMessageId : ""
    }
    const online = async () => {
      it.wires.socketDown = it.wires.httpDown = false
      await it.clock.advance(60_000)
    }
    return { ...it, send, online }
  }

  test("an edit replaces the text of a message that was never dispatched, and a deletion cancels it", async () => {
    const { send, online, seven, stored, texts, client } = await offline()
    await send("first")
    const second = await send("second")
    const third = await send("third")
    await seven.edit(second, "changed")
    await seven.react(third, "👍")
    await seven.remove(third)
    expect(texts()).toEqual(["text 1", "first", "changed"])
    expect(outbox({ client }).items).toHaveLength(2)
    await online()
    expect(stored.log.map(({ content }) => content)).toEqual(["text 1", "first", "changed"])
  })

  test("a change of a dispatched message follows it", async () => {
    const { send, online, seven, stored, texts, clock } = await offline()
    const first = await send("first")
    await clock.advance(100)
    await seven.edit(first, "changed")
    await seven.react(first, "👍")
    await seven.pin(first)
    const row = () => seven.messages.get().rows.at(-1)
    expect(row()).toMatchObject({ content: "changed", state: "sending", reactions: [{ mine: true }] })
    await online()
    expect(stored.log.map(({ kind }) => kind)).toEqual(["message", "message", "edit", "reaction", "pin"])
    expect(texts()).toEqual(["text 1", "changed"])
    expect(row()).toMatchObject({ state: "sent", writes: [], reactions: [{ count: 1 }] })
  })

  test("a deletion of a dispatched message follows it, also after a reload", async () => {
    const { world, browser, send, seven, stored, texts, clock, client } = await offline()
    const first = await send("first")
    await clock.advance(100)
    await seven.remove(first)
    expect(texts()).toEqual(["text 1", null])
    client.close()
    const next = await open(world, browser)
    await clock.advance(1_000)
    expect(stored.log.map(({ kind }) => kind)).toEqual(["message", "message", "delete"])
    expect(next.texts()).toEqual(["text 1", null])
  })

  test("the changes that wait for a message fail when it fails permanently", async () => {
    const { send, online, seven, stored, server, clock, client, texts } = await offline()
    server.refuse = (what) =>
      what.includes("message") && what !== "edit_message" ? refusal("invalid") : undefined
    const first = await send("first")
    await clock.advance(100)
    await seven.edit(first, "changed")
    await seven.react(first, "👍")
    await online()
    const { items } = outbox({ client })
    expect(items).toMatchObject([{ content: "changed", state: "failed", error: { code: "invalid" } }])
    expect(stored.log).toHaveLength(1)
    server.refuse = () => undefined
    client.outbox.retry()
    await clock.advance(1_000)
    expect(texts()).toEqual(["text 1", "changed"])
  })

  test("a deleted message that fails permanently disappears", async () => {
    const { send, online, seven, server, clock, client, texts } = await offline()
    server.refuse = (what) => (what.includes("message") ? refusal("invalid") : undefined)
    const first = await send("first")
    await clock.advance(100)
    await seven.remove(first)
    await online()
    expect(outbox({ client }).items).toEqual([])
    expect(texts()).toEqual(["text 1"])
  })

  test("a change of a stored message does not wait behind a failed one", async () => {
    const { world, seven, server, clock, id, row, texts } = await ready(1)
    server.refuse = (_, body) => (body.content === "bad" ? refusal("invalid") : undefined)
    await seven.send("bad")
    await seven.send("behind")
    await clock.advance(100)
    await seven.react(id(1), "👍")
    await clock.advance(100)
    expect(row(id(1)).reactions).toMatchObject([{ count: 1 }])
    expect(seven.messages.get().rows.map(({ waitingFor }) => waitingFor)).toEqual([
      null,
      null,
      "earlier-failed",
    ])
    expect([texts(), world.server.seen.length > 0]).toEqual([["text 1", "bad", "behind"], true])
  })
})

describe("two tabs", () => {
  test("a change in one tab shows in the other and is sent once, even if the first closes", async () => {
    const { world, browser, clock, id, seven, wires, cut, client, stored } = await ready()
    const other = await open(world, browser)
    for (const one of [wires, other.wires]) one.socketDown = one.httpDown = true
    cut()
    other.cut()
    await seven.edit(id(2), "edited")
    await seven.react(id(2), "👍")
    await clock.advance(100)
    expect(other.row(id(2))).toMatchObject({ content: "edited", reactions: [{ mine: true }] })
    client.close()
    other.wires.socketDown = other.wires.httpDown = false
    await clock.advance(60_000)
    expect(stored.log.slice(3).map(({ kind }) => kind)).toEqual(["edit", "reaction"])
    expect(other.row(id(2))).toMatchObject({ content: "edited", writes: [] })
    expect(outbox(other).items).toEqual([])
  })

  test("changes that wait for a message of the other tab are sent after it", async () => {
    const { world, browser, clock, seven, wires, cut, stored, client } = await ready(1)
    const other = await open(world, browser)
    for (const one of [wires, other.wires]) one.socketDown = one.httpDown = true
    cut()
    other.cut()
    const sent = await seven.send("first")
    await clock.advance(100)
    if (sent.ok) await other.seven.edit(sent.clientMessageId, "changed")
    await clock.advance(100)
    wires.socketDown = wires.httpDown = false
    other.wires.socketDown = other.wires.httpDown = false
    await clock.advance(90_000)
    expect(stored.log.map(({ kind }) => kind)).toEqual(["message", "message", "edit"])
    expect(other.texts()).toEqual(["text 1", "changed"])
    expect([outbox({ client }).items, outbox(other).items]).toEqual([[], []])
  })

  test("the entry of a write removes it from the outbox", async () => {
    const { clock, id, seven, wires, client, row, cut } = await ready()
    wires.loseAck.add("edit_message")
    wires.loseAnswer.add(`PATCH /api/privatechat/messages/7/${id(2)}`)
    await seven.edit(id(2), "edited")
    await clock.advance(100)
    cut()
    await clock.advance(3_000)
    expect(outbox({ client }).items).toEqual([])
    expect(row(id(2))).toMatchObject({ content: "edited", writes: [] })
  })
})
