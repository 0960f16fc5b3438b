import { IDBFactory } from "fake-indexeddb"
import { beforeEach, describe, expect, test, vi } from "vitest"
import type { OutboxRecord } from "../src/outbox-record.js"
import { indexedDbStorage, memoryStorage } from "../src/storage.js"
import { makeTab, makeWorld } from "./support/harness.js"

const record = (id: string, userId = "me"): OutboxRecord => ({
  clientMessageId: id,
  userId,
  conversationId: "7",
  content: id,
  createdAt: "2026-03-01T12:00:00.000Z",
  order: 1,
  dispatched: false,
  failed: null,
})

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory())
})

describe.each([
  ["IndexedDB", indexedDbStorage],
  ["memory", memoryStorage],
])("the storage in %s", (_name, open) => {
  test("keeps an outbox for each user", async () => {
    const storage = open()
    await storage.putOutbox(record("a"))
    await storage.putOutbox(record("b", "other"))
    await storage.putOutbox({ ...record("a"), dispatched: true })
    expect(await storage.outbox("me")).toEqual([{ ...record("a"), dispatched: true }])
    await storage.deleteOutbox("a")
    expect(await storage.outbox("me")).toEqual([])
    expect(await storage.outbox("other")).toHaveLength(1)
  })

  test("keeps values until they are undefined", async () => {
    const storage = open()
    expect(await storage.get("drafts")).toBeUndefined()
    await storage.set("drafts", { "7": "hello" })
    expect(await storage.get("drafts")).toEqual({ "7": "hello" })
    await storage.set("drafts", undefined)
    expect(await storage.get("drafts")).toBeUndefined()
  })
})

test("M1 the outbox in IndexedDB survives a reload", async () => {
  const world = makeWorld()
  const room = world.server.addRoom("7", "me", "asha")
  const before = makeTab(world, { storage: indexedDbStorage() })
  before.client.retain()
  await world.clock.advance(500)
  before.wires.loseAck.add("send_private_message")
  before.wires.httpDown = true
  await before.client.conversation("7").send("hello")
  await world.clock.advance(100)
  before.client.close()
  const after = makeTab(world, { storage: indexedDbStorage() })
  after.client.retain()
  await world.clock.advance(500)
  expect(after.client.outbox.get().items).toEqual([])
  expect(room.log).toHaveLength(1)
  expect(await indexedDbStorage().outbox("me")).toEqual([])
})
