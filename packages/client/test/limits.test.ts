/** The server's limits and the client's own requests: the client waits as long as requested, and continues. */
import { expect, test } from "vitest"
import { makeTab, makeWorld } from "./support/harness.js"
import { refusal } from "./support/server.js"

async function ready() {
  const world = makeWorld()
  world.server.addConversation("7", "me", "asha")
  for (let at = 1; at <= 5; at++) world.server.store("7", "asha", `text ${at}`)
  const tab = makeTab(world)
  tab.client.retain()
  await world.clock.advance(1_000)
  /** Refuses what begins like this for so long, and notes when it was asked for. */
  function limit(begin: string, ms: number): number[] {
    const since = world.clock.now()
    const asked: number[] = []
    world.server.refuse = (what) => {
      if (!what.startsWith(begin)) return undefined
      const at = world.clock.now() - since
      asked.push(at)
      return at < ms ? refusal("rate_limited", true, { retryAfterMs: ms - at }) : undefined
    }
    return asked
  }
  return { world, ...world, ...tab, limit }
}

/** How many were asked for before the time was over, beside the first. */
const early = (asked: number[], ms: number) => asked.filter((at) => at < ms).length - 1

test("a rate-limited catch-up continues over the same socket", async () => {
  const { client, clock, cut, sockets, server, limit } = await ready()
  cut()
  server.store("7", "asha", "text 6")
  const asked = limit("sync", 2_000)
  await clock.advance(5_000)
  expect(client.connection.get().status).toBe("connected")
  expect(sockets).toHaveLength(2)
  expect(asked.length).toBe(2)
  expect(client.conversations.get().items[0]?.headSeq).toBe(6)
  client.close()
})

test("the list is not fetched before the server's retryAfter", async () => {
  const { client, clock, server, limit } = await ready()
  const asked = limit("GET /api/privatechat/conversations", 20_000)
  server.addConversation("9", "me", "asha")
  server.say("9", "asha", "hello")
  await clock.advance(40_000)
  expect(early(asked, 20_000)).toBe(0)
  expect(client.conversations.get().items.map(({ id }) => id)).toContain("9")
  client.close()
})

test("a thread is not loaded before the server's retryAfter", async () => {
  const { client, clock, limit } = await ready()
  const asked = limit("GET /api/privatechat/messages/7", 20_000)
  client.conversation("7").open()
  await clock.advance(40_000)
  expect(early(asked, 20_000)).toBe(0)
  expect(client.conversation("7").messages.get()).toMatchObject({ status: "ready", error: null })
  expect(client.conversation("7").messages.get().rows).toHaveLength(5)
  client.close()
})

test("reading over HTTP pauses for the server's retryAfter", async () => {
  const { client, clock, wires, cut, limit } = await ready()
  wires.socketDown = true
  cut()
  const asked = limit("GET /api/privatechat/conversations", 60_000)
  await clock.advance(90_000)
  expect(early(asked, 60_000)).toBe(0)
  expect(asked.length).toBeGreaterThan(1)
  client.close()
})

test("all read marks pause for the server's retryAfter", async () => {
  const { client, clock, server, limit } = await ready()
  for (const id of ["8", "9"]) {
    server.addConversation(id, "me", "asha")
    server.say(id, "asha", "hello")
  }
  await clock.advance(1_000)
  const asked = limit("mark_read", 20_000)
  client.conversation("7").markRead(5)
  for (const id of ["8", "9"]) client.conversation(id).markRead(1)
  await clock.advance(40_000)
  expect(early(asked, 20_000)).toBe(0)
  for (const id of ["7", "8", "9"]) expect(server.conversations.get(id)?.read.get("me")).toBeGreaterThan(0)
  client.close()
})

test("a rate-limited watch is repeated after the server's retryAfter", async () => {
  const { client, clock, server, limit } = await ready()
  server.lastSeen.set("zoe", "2026-02-28T09:00:00.000Z")
  const asked = limit("watch_presence", 2_000)
  const zoe = client.presence("zoe")
  zoe.subscribe(() => {})
  await clock.advance(1_000)
  expect(zoe.get().lastSeenAt).toBeNull()
  await clock.advance(2_000)
  expect(zoe.get().lastSeenAt).toBe("2026-02-28T09:00:00.000Z")
  expect(asked).toHaveLength(2)
  client.close()
})

test("an aborted search is not repeated", async () => {
  const { client, clock, limit } = await ready()
  const asked = limit("GET /api/users", 1_000)
  const controller = new AbortController()
  const found = client.users("a", { signal: controller.signal })
  found.catch(() => {})
  await clock.advance(500)
  controller.abort()
  await clock.advance(2_000)
  await expect(found).rejects.toMatchObject({ code: "rate_limited" })
  expect(asked).toHaveLength(1)
  client.close()
})

test("hundreds of single watches are combined into one request", async () => {
  const { client, clock, server } = await ready()
  const ids = Array.from({ length: 600 }, (_, at) => `person ${at}`)
  const stops = ids.map((id) => client.presence(id).subscribe(() => {}))
  await clock.advance(1_000)
  const asked = () => server.seen.filter(({ what }) => what.endsWith("watch_presence")).length
  const before = asked()
  // As a component does that is rendered anew: it subscribes again where the store is another one.
  const stores = new Map(ids.map((id) => [id, client.presence(id)]))
  for (let times = 0; times < 3; times++)
    for (const [id, store] of stores) expect(client.presence(id)).toBe(store)
  expect(asked()).toBe(before)
  for (const stop of stops) stop()
  client.close()
})
