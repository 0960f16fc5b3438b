/** Searches of messages: pages, busy servers, and searches that another one replaces. */
import { expect, test } from "vitest"
import { makeTab, makeWorld } from "./support/harness.js"
import { refusal } from "./support/server.js"

async function connected() {
  const world = makeWorld()
  world.server.addConversation("7", "me", "asha")
  world.server.addConversation("8", "asha", "ben")
  const tab = makeTab(world)
  tab.client.retain()
  await world.clock.advance(1_000)
  const asked = () => world.server.seen.filter(({ what }) => what.includes("/search")).map(({ what }) => what)
  return { ...world, ...tab, asked }
}

test("hits are listed newest first, in pages, from the user's conversations only", async () => {
  const { server, client } = await connected()
  for (let n = 0; n < 5; n++) server.store("7", "asha", `ferry ${n}`)
  server.store("8", "asha", "ferry of others")
  const first = await client.search("ferry", { limit: 2 })
  expect(first.hits.map(({ message }) => message.content)).toEqual(["ferry 4", "ferry 3"])
  expect(first.hits[0]?.highlights).toEqual([[0, 5]])
  const second = await client.search("ferry", { limit: 2, cursor: first.nextCursor as string })
  const third = await client.search("ferry", { limit: 2, cursor: second.nextCursor as string })
  expect([...second.hits, ...third.hits].map(({ message }) => message.content)).toEqual([
    "ferry 2",
    "ferry 1",
    "ferry 0",
  ])
  expect(third.nextCursor).toBeNull()
  client.close()
})

test("pages without a hit are skipped", async () => {
  const { server, client, asked } = await connected()
  server.store("7", "asha", "needle")
  for (let n = 0; n < 7; n++) server.store("7", "asha", `hay ${n}`)
  const { hits, nextCursor } = await client.search("needle", { limit: 2 })
  expect(hits.map(({ message }) => message.content)).toEqual(["needle"])
  expect(nextCursor).toBeNull()
  expect(asked()).toHaveLength(4)
  client.close()
})

test("filters are sent, with times in the server's format", async () => {
  const { client, asked } = await connected()
  await client.search("a b&c", {
    conversationId: "7",
    senderId: "asha",
    before: new Date("2026-03-01T00:00:00Z"),
    after: "2026-01-01T00:00:00Z",
  })
  const url = new URL(asked()[0]?.split(" ")[1] as string, "http://test")
  expect(Object.fromEntries(url.searchParams)).toEqual({
    query: "a b&c",
    conversationId: "7",
    senderId: "asha",
    before: "2026-03-01T00:00:00.000Z",
    after: "2026-01-01T00:00:00Z",
  })
  client.close()
})

test("a busy server is requested again after its retryAfter, at most five times", async () => {
  const { server, client, clock, asked } = await connected()
  server.store("7", "asha", "ferry")
  server.refuse = (what) =>
    what === "GET /api/privatechat/search" && asked().length < 3
      ? refusal("rate_limited", true, { retryAfterMs: 2_000 })
      : undefined
  const found = client.search("ferry")
  await clock.advance(1_900)
  expect(asked()).toHaveLength(1)
  await clock.advance(20_000)
  expect((await found).hits).toHaveLength(1)
  server.refuse = (what) =>
    what === "GET /api/privatechat/search" ? refusal("unavailable", true) : undefined
  const before = asked().length
  const refused = client.search("ferry")
  refused.catch(() => {})
  await clock.advance(120_000)
  await expect(refused).rejects.toMatchObject({ code: "unavailable" })
  expect(asked().length - before).toBe(5)
  client.close()
})

test("an aborted search ends at once, also while it waits, and sends no more requests", async () => {
  const { server, client, clock, asked } = await connected()
  server.refuse = (what) =>
    what === "GET /api/privatechat/search" ? refusal("unavailable", true) : undefined
  const abort = new AbortController()
  const search = client.search("ferry", { signal: abort.signal })
  await clock.advance(1)
  abort.abort()
  await expect(search).rejects.toMatchObject({ code: "aborted", retryable: false })
  const before = asked().length
  await expect(client.search("ferry", { signal: abort.signal })).rejects.toMatchObject({ code: "aborted" })
  await clock.advance(60_000)
  expect(asked()).toHaveLength(before)
  client.close()
})

test("a refusal of the query itself is not repeated", async () => {
  const { server, client, asked } = await connected()
  server.refuse = (what) => (what === "GET /api/privatechat/search" ? refusal("invalid") : undefined)
  await expect(client.search("x")).rejects.toMatchObject({ code: "invalid" })
  expect(asked()).toHaveLength(1)
  client.close()
})
