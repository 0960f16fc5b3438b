import { IDBTransaction as FDBTransaction, IDBFactory } from "fake-indexeddb"
import { beforeEach, describe, expect, test, vi } from "vitest"
import type { OutboxRecord } from "../src/options.js"
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
  test("it stores an outbox for each user", async () => {
    const storage = open()
    await storage.putOutbox(record("a"))
    await storage.putOutbox(record("b", "other"))
    await storage.putOutbox({ ...record("a"), dispatched: true })
    expect(await storage.outbox("me")).toEqual([{ ...record("a"), dispatched: true }])
    await storage.deleteOutbox("a")
    expect(await storage.outbox("me")).toEqual([])
    expect(await storage.outbox("other")).toHaveLength(1)
  })

  test("it stores values until they are set to undefined", async () => {
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
  const stored = world.server.addConversation("7", "me", "asha")
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
  expect(stored.log).toHaveLength(1)
  expect(await indexedDbStorage().outbox("me")).toEqual([])
})

test("F23 the client waits once for a storage that never answers, and continues without it", async () => {
  const world = makeWorld()
  const stored = world.server.addConversation("7", "me", "asha")
  const never = () => new Promise<never>(() => {})
  const storage = { outbox: never, putOutbox: never, deleteOutbox: never, get: never, set: never }
  const { client } = makeTab(world, { storage })
  expect(client.outbox.get().durable).toBe(true)
  client.retain()
  await world.clock.advance(1_000)
  const seven = client.conversation("7")
  seven.open()
  // The first is asked for while the storage still has a second to answer.
  const began = world.clock.now()
  const sending = seven.send("first")
  await world.clock.advance(1_000)
  await sending
  await world.clock.advance(1)
  expect(world.clock.now() - began).toBeLessThanOrEqual(1_001)
  expect(stored.log.map(({ content }) => content)).toEqual(["first"])
  expect(client.outbox.get().durable).toBe(false)
  // From then on nothing waits for it.
  for (const text of ["second", "third"]) {
    await seven.send(text)
    await world.clock.advance(1)
    expect(stored.log.at(-1)?.content).toBe(text)
  }
  expect(seven.messages.get().rows.map(({ state }) => state)).toEqual(["sent", "sent", "sent"])
  client.close()
})

test("F23 the client continues without an IndexedDB whose open never answers", async () => {
  const world = makeWorld()
  const stored = world.server.addConversation("7", "me", "asha")
  vi.stubGlobal("indexedDB", { open: () => ({}) })
  const { client } = makeTab(world, { storage: undefined as never })
  client.retain()
  await world.clock.advance(2_100)
  await client.conversation("7").send("hello")
  await world.clock.advance(1)
  expect(stored.log).toHaveLength(1)
  expect(client.outbox.get().durable).toBe(false)
  client.close()
})

test("F23 a waiting message is reported as not durable when the storage fails", async () => {
  const world = makeWorld()
  world.server.addConversation("7", "me", "asha")
  const storage = memoryStorage()
  const { client, wires } = makeTab(world, { storage })
  client.retain()
  await world.clock.advance(1_000)
  wires.socketDown = wires.httpDown = true
  wires.swallow.add("send_private_message")
  await client.conversation("7").send("waits")
  await world.clock.advance(100)
  expect(client.outbox.get()).toMatchObject({ durable: true, waiting: 1 })
  storage.putOutbox = storage.get = storage.set = storage.outbox = () => new Promise<never>(() => {})
  await world.clock.advance(60_000)
  expect(client.outbox.get()).toMatchObject({ durable: false, waiting: 1 })
  client.close()
})

describe("an IndexedDB that the browser takes away", () => {
  /** Makes each transaction of the connections that are open now fail as Safari's do after its process of the storage ended. */
  async function broken() {
    const opened: IDBDatabase[] = []
    const open = indexedDB.open.bind(indexedDB)
    vi.spyOn(indexedDB, "open").mockImplementation((...given) => {
      const request = open(...given)
      request.addEventListener("success", () => opened.push(request.result))
      return request
    })
    const storage = indexedDbStorage()
    await storage.set("a", 1)
    for (const database of opened)
      vi.spyOn(database, "transaction").mockImplementation(() => {
        throw new DOMException("The database connection is closing.", "InvalidStateError")
      })
    return { storage, opened }
  }

  test("it is reopened without a close event, and nothing is lost", async () => {
    const { storage, opened } = await broken()
    await storage.set("b", 2)
    await storage.putOutbox(record("x"))
    expect(await storage.get("a")).toBe(1)
    expect(await storage.get("b")).toBe(2)
    expect(await storage.outbox("me")).toHaveLength(1)
    expect(opened).toHaveLength(2)
  })

  test("it fails the call once if reopening fails", async () => {
    const { storage } = await broken()
    vi.spyOn(indexedDB, "open").mockImplementation(() => {
      throw new DOMException("Storage is closed to you.", "SecurityError")
    })
    await expect(storage.set("b", 2)).rejects.toThrow("closed to you")
    await expect(storage.get("a")).rejects.toThrow("closed to you")
  })
})

test("a browser without IDBTransaction.commit() still stores", async () => {
  const { prototype } = FDBTransaction
  const { commit } = prototype
  prototype.commit = undefined as never
  try {
    const storage = indexedDbStorage()
    await storage.set("a", 1)
    expect(await storage.get("a")).toBe(1)
  } finally {
    prototype.commit = commit
  }
})
