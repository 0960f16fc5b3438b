/** The frames that the server's tests hold it to, read by this client. */
import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { createLamplight } from "../src/client.js"
import type { SocketLike } from "../src/options.js"
import { memoryStorage } from "../src/storage.js"
import { settle, TestClock } from "./support/clock.js"
import { TestEnvironment } from "./support/harness.js"

const file = new URL("../../../fixtures/wire/frames.json", import.meta.url)
const frames = JSON.parse(readFileSync(file, "utf8")) as Record<string, Record<string, unknown>>
const frame = (name: string) => {
  const found = frames[name]
  if (!found) throw new Error(`There is no frame called ${name}.`)
  return structuredClone(found)
}

/** A server that only replays the frames. */
async function framed() {
  const handlers = new Map<string, (said: unknown) => void>()
  const socket: SocketLike = {
    connected: true,
    id: "socket",
    on: (event, listener) => handlers.set(event, listener),
    emit(event, _payload, ack) {
      const name = frames[`reply ${event}`] ? `reply ${event}` : "reply done"
      queueMicrotask(() => (ack as undefined | ((answer: unknown) => void))?.(frame(name)))
    },
    connect: () => queueMicrotask(() => handlers.get("connect")?.(undefined)),
    disconnect() {},
  }
  const replies: [RegExp, string][] = [
    [/\/messages\//, "reply messages"],
    [/\/conversations\?/, "reply conversations"],
    [/\/conversations$/, "reply conversation"],
    [/\/api\/users/, "reply users"],
    [/\/auth$/, "reply auth"],
    [/\/login/, "reply login"],
  ]
  const fetch = async (path: unknown) => {
    const [, name] = replies.find(([pattern]) => pattern.test(String(path))) ?? [null, "reply done"]
    return new Response(JSON.stringify(frame(name)))
  }
  const clock = new TestClock()
  const client = createLamplight({
    clock,
    fetch: fetch as typeof globalThis.fetch,
    openSocket: () => socket,
    storage: memoryStorage(),
    surroundings: new TestEnvironment(),
    openChannel: () => ({ post() {}, close() {} }),
  })
  client.retain()
  await settle()
  return { client, clock, say: (name: string) => handlers.get(name)?.(frame(`event ${name}`)) }
}

describe("frames of the wire protocol", () => {
  test("frames of joining, the list, a thread and a send are applied", async () => {
    const { client } = await framed()
    expect(client.connection.get().status).toBe("connected")
    expect(client.me.get()).toMatchObject({ user: { id: "42", name: "Asha" }, chosen: { status: "online" } })
    const [item] = client.conversations.get().items
    expect(item).toMatchObject({ id: "c1", other: { id: "7" }, lastMessage: { content: "Hi <script>\n👋" } })
    const thread = client.conversation("c1")
    thread.open()
    // The page names people who are no members: what keeps those is loaded then.
    const rows = () => thread.messages.get().rows.map((row) => row.seq)
    await expect.poll(rows, { timeout: 20_000 }).toEqual([1, 2])
    expect(await client.users()).toMatchObject({ data: [{ id: "42" }, { id: "7" }] })
    expect(await client.openConversation("7")).toMatchObject({ id: "c1" })
    await client.setStatus("invisible")
    expect(client.me.get().chosen).toMatchObject({ status: "invisible", text: "Lunch" })
  })

  test("snapshots and changes of presence are applied", async () => {
    const { client, say } = await framed()
    say("online_users")
    expect(client.roster().get()).toMatchObject({ status: "live", count: 2 })
    expect(client.presence("42").get()).toMatchObject({
      status: "busy",
      text: "Lunch",
      activities: [{ kind: "in_call" }],
    })
    say("user_offline")
    expect(client.presence("42").get()).toMatchObject({
      status: "offline",
      lastSeenAt: "2025-11-24T16:00:00.120Z",
    })
    say("presence_changes")
    say("user_online")
    say("user_updated")
    expect(client.roster().get().status).toBe("live")
  })

  test("messages, receipts, typing and conversations are applied", async () => {
    const { client, say } = await framed()
    const thread = client.conversation("c1")
    thread.open()
    const rows = () => thread.messages.get().rows.map((row) => row.seq)
    await expect.poll(rows, { timeout: 20_000 }).toEqual([1, 2])
    say("new_private_message")
    say("conversation_updated")
    say("receipt")
    say("typing")
    await settle()
    expect(rows()).toEqual([1, 2])
    expect(thread.readers.get()["7"]).toMatchObject({ deliveredSeq: 2, readSeq: 1 })
    expect(thread.typing.get().userIds).toEqual(["7"])
  })

  test.each(Object.keys(frames).filter((name) => name.startsWith("refusal ")))(
    "%s becomes an error",
    async (name) => {
      const client = createLamplight({
        userId: "42",
        fetch: (async () => new Response(JSON.stringify(frame(name)))) as typeof globalThis.fetch,
      })
      const { code, error, retryable, retryAfterMs = null } = frame(name)
      await expect(client.users()).rejects.toMatchObject({ code, message: error, retryable, retryAfterMs })
    },
  )
})
