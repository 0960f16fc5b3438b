/** Pages without TLS on a LAN, sandboxed frames and Node: what browsers give to secure contexts only is missing. */
import { afterEach, describe, expect, test, vi } from "vitest"
import { browserChannel, browserLock, randomId } from "../src/defaults.js"
import type { Message } from "../src/wire.js"
import { makeTab, makeWorld } from "./support/harness.js"

/** Storage as all tabs of a browser share it. */
function stubPage() {
  const values = new Map<string, string>()
  vi.stubGlobal("document", {})
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => void values.set(key, value),
  })
}

afterEach(() => {
  vi.unstubAllGlobals()
})

async function collect(withLock: ReturnType<typeof browserLock>) {
  const world = makeWorld()
  world.server.addConversation("7", "me", "asha")
  const tabs = [makeTab(world, { withLock }), makeTab(world, { withLock })]
  const received: [string, boolean][][] = []
  for (const { client } of tabs) {
    const own: [string, boolean][] = []
    client.onMessage((message: Message, isLeader) => own.push([message.content, isLeader]))
    received.push(own)
    client.retain()
  }
  await world.clock.advance(1_000)
  world.server.say("7", "asha", "hello")
  await world.clock.advance(10_000)
  for (const { client } of tabs) client.close()
  return received
}

describe("F21 without the APIs of secure contexts", () => {
  test("F21 onMessage is called without navigator.locks", async () => {
    vi.stubGlobal("navigator", { onLine: true })
    expect(await collect(browserLock())).toEqual([[["hello", true]], [["hello", true]]])
  })

  test("F21 47 without navigator.locks only one tab makes the sound", async () => {
    vi.stubGlobal("navigator", { onLine: true })
    stubPage()
    expect((await collect(browserLock())).flat().map(([, isLeader]) => isLeader)).toEqual([true, false])
  })

  test("F21 refused locks, as in a sandboxed frame, are not needed", async () => {
    const request = () => Promise.reject(new DOMException("denied", "SecurityError"))
    vi.stubGlobal("navigator", { onLine: true, locks: { request } })
    expect(await collect(browserLock())).toEqual([[["hello", true]], [["hello", true]]])
  })

  test("a failing callback of a lock fails once and is not repeated", async () => {
    const locks = { request: (_name: string, _options: object, work: (lock: object) => unknown) => work({}) }
    vi.stubGlobal("navigator", { locks })
    let runs = 0
    const work = async () => {
      runs++
      throw new Error("no")
    }
    await expect(browserLock()("one", work)).rejects.toThrow("no")
    expect(runs).toBe(1)
  })

  test("F21 a missing or refused channel is not needed, and ids need no randomUUID", () => {
    for (const channel of [undefined, vi.fn().mockThrow(new DOMException("denied", "SecurityError"))]) {
      vi.stubGlobal("BroadcastChannel", channel)
      const made = browserChannel("lamplight", () => {})
      made.post({})
      made.close()
    }
    vi.stubGlobal("crypto", { getRandomValues: crypto.getRandomValues.bind(crypto) })
    expect(randomId()).toHaveLength(36)
  })

  test("a listener that throws does not prevent the other listeners", async () => {
    const world = makeWorld()
    world.server.addConversation("7", "me", "asha")
    const { client } = makeTab(world)
    const thrown: unknown[] = []
    const catchThem = (error: unknown) => thrown.push(error)
    const received = vi.fn()
    client.onMessage(() => {
      throw new Error("a mistake of the page's")
    })
    client.onMessage(received)
    client.retain()
    await world.clock.advance(1_000)
    const others = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    process.on("uncaughtException", catchThem)
    world.server.say("7", "asha", "hello")
    await world.clock.advance(1_000)
    process.removeAllListeners("uncaughtException")
    for (const other of others) process.on("uncaughtException", other)
    expect(received).toHaveBeenCalledTimes(1)
    expect(thrown).toHaveLength(1)
    client.close()
  })
})
