import { describe, expect, test } from "vitest"
import type { SettingsChange, WriteResult } from "../src/types.js"
import { settle } from "./support/clock.js"
import { Browser, makeTab, makeWorld } from "./support/harness.js"
import { refusal } from "./support/server.js"

const HOUR = 3_600_000

/** Conversations "a" to "e", the newest last, each with as many unread messages as its place. */
async function ready(count = 5, options: object = {}, listPage = 1_000) {
  const world = makeWorld()
  world.server.listPage = listPage
  for (const [at, id] of [..."abcdefghij"].slice(0, count).entries()) {
    world.server.addConversation(id, "me", `friend-${id}`)
    for (let n = 0; n <= at; n++) world.server.store(id, `friend-${id}`, `text ${n}`)
    await world.clock.advance(1_000)
  }
  const browser = new Browser()
  const tab = makeTab(world, options, browser)
  tab.client.retain()
  await world.clock.advance(1_000)
  const ids = () => tab.client.conversations.get().items.map(({ id }) => id)
  const away = () => tab.client.conversations.get().archived.map(({ id }) => id)
  const total = () => tab.client.unread.get().total
  const until = (ms: number) => new Date(world.clock.now() + ms).toISOString()
  const kept = (id: string) => world.server.conversations.get(id)?.settings.get("me") ?? {}
  /** Sets, and returns what becomes of it. What writes is loaded with the first change. */
  async function set(id: string, change: SettingsChange) {
    const done: { result?: WriteResult } = {}
    void tab.client
      .conversation(id)
      .setSettings(change)
      .then((result) => {
        done.result = result
      })
    await import("../src/settings-writer.js")
    await settle()
    return done
  }
  const sent = () =>
    world.server.seen
      .filter(({ what }) => /set_conversation_settings|^PUT/.test(what))
      .map(({ body }) => body)
  return { world, ...world, ...tab, browser, ids, away, total, until, kept, set, sent }
}

describe("settings of a conversation", () => {
  test("4 pinned conversations come first, archived ones are separate, and muted or archived ones do not count", async () => {
    const { set, ids, away, total, until, clock, kept, client } = await ready()
    expect([ids(), total()]).toEqual([[..."edcba"], 15])
    await set("b", { pinned: true })
    await set("d", { archived: true })
    await set("c", { mutedUntil: until(HOUR) })
    await clock.advance(100)
    expect([ids(), away(), total()]).toEqual([[..."beca"], ["d"], 1 + 2 + 5])
    expect(kept("b")).toEqual({ pinned: true })
    expect(client.unread.get().byConversation).toMatchObject({ c: 3, d: 4 })
    await set("b", { pinned: false })
    await set("d", { archived: false })
    expect([ids(), away(), total()]).toEqual([[..."edcba"], [], 12])
  })

  test("a mute expires", async () => {
    const { set, total, until, clock, client } = await ready()
    const muted = () => client.conversation("e").item.get()?.muted
    let notifications = 0
    client.unread.subscribe(() => notifications++)
    await set("e", { mutedUntil: until(25 * HOUR) })
    expect([muted(), total()]).toEqual([true, 10])
    await clock.advance(25 * HOUR - 1_000)
    expect([muted(), total()]).toEqual([true, 10])
    const before = notifications
    await clock.advance(1_000)
    expect([muted(), total()]).toEqual([false, 15])
    expect(notifications).toBeGreaterThan(before)
    await set("e", { mutedUntil: until(HOUR) })
    await set("e", { mutedUntil: null })
    expect([muted(), total()]).toEqual([false, 15])
  })

  test("a closed client leaves no timer for a mute", async () => {
    const { set, until, clock, client } = await ready()
    await set("e", { mutedUntil: until(HOUR) })
    client.close()
    await clock.advance(120_000)
    expect(clock.pending).toBe(0)
  })

  test("a setting shows before the server answers, and the last one wins", async () => {
    const { set, ids, wires, clock, kept, sent } = await ready()
    const acks: ((answer: unknown) => void)[] = []
    wires.take = (event, ack) => event === "set_conversation_settings" && acks.push(ack) > 0
    const first = await set("a", { pinned: true })
    expect([ids()[0], first.result]).toEqual(["a", undefined])
    const second = await set("a", { pinned: false })
    const third = await set("a", { pinned: true, archived: true })
    expect([ids(), acks.length]).toEqual([[..."edcb"], 1])
    wires.take = () => false
    acks[0]?.({ success: false, code: "unavailable", error: "Wait.", retryable: true })
    await clock.advance(5_000)
    expect([first.result, second.result, third.result]).toEqual([{ ok: true }, { ok: true }, { ok: true }])
    // The first one may have arrived: it goes again as it was, and what followed goes as one.
    expect(sent().map(({ conversationId: _, ...change }) => change)).toEqual([
      { pinned: true },
      { pinned: true, archived: true },
    ])
    expect(kept("a")).toEqual({ pinned: true, archived: true })
  })

  test("a setting is sent over HTTP without a socket, and waits over a reload without a network", async () => {
    const { set, wires, cut, clock, kept, world, browser, ids, client } = await ready()
    wires.socketDown = true
    cut()
    await set("b", { pinned: true })
    await clock.advance(100)
    expect(kept("b")).toEqual({ pinned: true })
    wires.httpDown = true
    await set("c", { archived: true })
    await clock.advance(60_000)
    expect([kept("c"), ids()]).toEqual([{}, [..."beda"]])
    client.close()
    const next = makeTab(world, {}, browser)
    next.client.retain()
    await clock.advance(2_000)
    await import("../src/settings-writer.js")
    await clock.advance(2_000)
    expect(kept("c")).toEqual({ archived: true })
    expect(next.client.conversations.get().items.map(({ id }) => id)).toEqual([..."beda"])
  })

  test("an empty change sends no request", async () => {
    const { set, sent } = await ready()
    expect((await set("a", {})).result).toEqual({ ok: true })
    expect(sent()).toEqual([])
  })

  test("a refusal reverts the setting and shows the reason", async () => {
    const { set, ids, server } = await ready()
    server.refuse = (what) => (what === "set_conversation_settings" ? refusal("forbidden") : undefined)
    const { result } = await set("a", { pinned: true })
    expect(result).toMatchObject({ ok: false, error: { code: "forbidden" } })
    expect(ids()).toEqual([..."edcba"])
  })

  test("a setting from another device applies", async () => {
    const { server, clock, ids, away } = await ready()
    server.set("me", { conversationId: "a", pinned: true })
    server.set("me", { conversationId: "e", archived: true })
    await clock.advance(100)
    expect([ids(), away()]).toEqual([[..."adcb"], ["e"]])
  })

  test("a message unarchives a conversation unless it is muted, live and after a reconnect", async () => {
    const { set, server, clock, ids, away, cut, until, total, wires } = await ready()
    await set("a", { archived: true })
    await set("b", { archived: true, mutedUntil: until(HOUR) })
    server.say("a", "friend-a", "back")
    server.say("b", "friend-b", "still away")
    await clock.advance(100)
    expect([ids(), away(), total()]).toEqual([[..."aedc"], ["b"], 2 + 3 + 4 + 5])
    await set("a", { archived: true })
    wires.socketDown = wires.httpDown = true
    cut()
    server.say("a", "friend-a", "back again")
    wires.socketDown = wires.httpDown = false
    await clock.advance(1_500)
    expect(ids()).toEqual([..."aedc"])
  })

  test("4 the total includes conversations that are not loaded, and pinned ones are always loaded", async () => {
    const world = await ready(8, {}, 3)
    const { ids, total, clock, server, client, away } = world
    expect([ids(), total()]).toEqual([[..."hgf"], 36])
    await client.loadMoreConversations()
    expect([ids(), total()]).toEqual([[..."hgfedc"], 36])
    server.set("me", { conversationId: "a", pinned: true })
    server.set("me", { conversationId: "b", archived: true })
    server.set("me", { conversationId: "h", archived: true })
    await clock.advance(5_000)
    expect([ids(), total()]).toEqual([[..."agfedc"], 36 - 2 - 8])

    const fresh = makeTab(world.world, {}, new Browser())
    fresh.client.retain()
    await clock.advance(1_000)
    const state = () => fresh.client.conversations.get()
    expect(state().items.map(({ id }) => id)).toEqual([..."agf"])
    expect(fresh.client.unread.get().total).toBe(26)
    expect(state().archived.map(({ id }) => id)).toEqual(["h"])
    expect(await fresh.client.loadArchivedConversations()).toBeNull()
    expect(state().archived.map(({ id }) => id)).toEqual(["h", "b"])
    expect(fresh.client.unread.get().total).toBe(26)
    expect(away()).toEqual(["h", "b"])
  })

  test("49 a message in a muted conversation is silent, and a mention in a group is not", async () => {
    const { set, server, clock, client, until } = await ready(10, {}, 3)
    const heard: unknown[] = []
    client.onMessage(({ content }, _, isSilent) => heard.push([content, isSilent]))
    await set("j", { mutedUntil: until(HOUR) })
    server.say("j", "friend-j", "hush")
    server.say("i", "friend-i", "loud")
    // It is not loaded, and muted.
    server.conversations.get("a")?.settings.set("me", { mutedUntil: until(HOUR) })
    server.say("a", "friend-a", "from far down")
    await clock.advance(2_000)
    expect(heard).toEqual([
      ["hush", true],
      ["loud", false],
      ["from far down", true],
    ])
    const mention = (kind: "group" | "direct") => {
      const view = server.view.bind(server)
      server.view = (stored, me) => ({ ...view(stored, me), kind })
      server.set("me", { conversationId: "j", pinned: true })
      server.deliver(server.store("j", "friend-j", `in a ${kind}`, undefined, { mentions: ["me"] }))
    }
    mention("group")
    await clock.advance(100)
    mention("direct")
    await clock.advance(100)
    expect(heard.slice(3)).toEqual([
      ["in a group", false],
      ["in a direct", true],
    ])
  })

  test("F4 settings of one user are not sent as the next one", async () => {
    const { set, wires, cut, clock, server, client } = await ready(2, {
      userId: undefined,
    })
    expect(client.me.get().status).not.toBe("signed-in")
    server.isLocal = true
    await client.login({ username: "me", password: "right" })
    await clock.advance(1_000)
    wires.socketDown = wires.httpDown = true
    cut()
    await set("a", { pinned: true })
    wires.socketDown = wires.httpDown = false
    await client.logout()
    await client.login({ username: "friend-a", password: "right" })
    await clock.advance(60_000)
    expect(server.conversations.get("a")?.settings.get("friend-a")).toBeUndefined()
  })

  test("unsent settings of an earlier page do not undo newer ones", async () => {
    const browser = new Browser()
    const { storage } = browser
    await storage.set("settings:own:me", { "earlier\na": [{ pinned: false, archived: true }] })
    const world = makeWorld()
    world.server.addConversation("a", "me", "friend-a")
    const { get } = storage
    let release = () => {}
    const slow = new Promise<void>((resolve) => {
      release = resolve
    })
    storage.get = async (key) => {
      const value = await get(key)
      if (key.startsWith("settings:")) await slow
      return value
    }
    const { client } = makeTab(world, {}, browser)
    client.retain()
    await world.clock.advance(500)
    void client.conversation("a").setSettings({ pinned: true })
    await import("../src/settings-writer.js")
    await settle()
    release()
    await expect
      .poll(() => world.server.conversations.get("a")?.settings.get("me"))
      .toMatchObject({ archived: true })
    await world.clock.advance(5_000)
    expect(world.server.conversations.get("a")?.settings.get("me")).toEqual({ pinned: true, archived: true })
    expect(await get("settings:own:me")).toBeUndefined()
    client.close()
  })
})
