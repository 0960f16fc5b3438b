// @vitest-environment jsdom
import { createLamplight, memoryStorage, type SocketLike } from "@lamplight/client"
import { act, cleanup, render, screen } from "@testing-library/react"
import { StrictMode, useState } from "react"
import { renderToString } from "react-dom/server"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import {
  LamplightProvider,
  useConnection,
  useConversation,
  useConversations,
  useDraft,
  useMe,
  useOutbox,
  usePresence,
  usePresences,
  useReaders,
  useRoster,
  useTyping,
  useUnread,
} from "../src/index.js"

const user = (id: string) => ({ id, name: id, avatarUrl: null })
const message = (seq: number, senderId: string, content: string, extra = {}) => ({
  id: `m${seq}`,
  kind: "message" as const,
  conversationId: "7",
  seq,
  senderId,
  content,
  createdAt: "2026-03-01T12:00:00.000Z",
  ...extra,
})
const presence = (id: string, version: number) => ({
  userId: id,
  user: user(id),
  status: "online",
  lastActiveAt: "2026-03-01T12:00:00.000Z",
  version,
})

/** A socket that answers as a server with one conversation would. */
class FakeSocket implements SocketLike {
  static all: FakeSocket[] = []
  connected = false
  id = "s1"
  sent: string[] = []
  #listeners = new Map<string, (payload?: unknown) => void>()
  constructor() {
    FakeSocket.all.push(this)
  }
  on(event: string, listener: (payload?: unknown) => void) {
    this.#listeners.set(event, listener)
  }
  say(event: string, payload?: unknown) {
    this.#listeners.get(event)?.(payload)
  }
  connect() {
    queueMicrotask(() => {
      this.connected = true
      this.say("connect")
    })
  }
  disconnect() {
    this.connected = false
  }
  emit(event: string, payload: Record<string, unknown>, ack?: (answer: unknown) => void) {
    this.sent.push(event)
    const answers: Record<string, object> = {
      join_user: { user: user("me"), sessionId: "s1", roster: "diff" },
      sync: { conversations: {}, added: [] },
      watch_presence: { users: [] },
      send_private_message: {
        message: message(2, "me", String(payload.content), { clientMessageId: payload.clientMessageId }),
        duplicate: false,
      },
    }
    queueMicrotask(() => {
      if (event === "join_user") {
        this.say("online_users", {
          users: [presence("asha", 1), presence("me", 2)],
          count: 2,
          truncated: false,
          version: 2,
        })
      }
      ack?.({ success: true, ...answers[event] })
    })
  }
}

const conversation = {
  id: "7",
  members: [user("me"), user("asha")],
  lastMessage: message(1, "asha", "hello"),
  unread: 1,
  headSeq: 1,
  readSeq: 0,
  createdAt: "2026-03-01T11:00:00.000Z",
}

const answer = async (input: unknown) => {
  const path = String(input)
  const data = path.includes("/messages/") ? [message(1, "asha", "hello")] : [conversation]
  return new Response(JSON.stringify({ success: true, data, hasMore: false }))
}

const makeClient = () =>
  createLamplight({
    userId: "me",
    storage: memoryStorage(),
    fetch: answer as typeof fetch,
    openSocket: () => new FakeSocket(),
    openChannel: () => ({ post() {}, close() {} }),
  })

const wait = (ms = 0) => act(() => vi.advanceTimersByTimeAsync(ms))

beforeEach(() => {
  vi.useFakeTimers()
  FakeSocket.all = []
})
afterEach(() => {
  cleanup()
  vi.useRealTimers()
})

function Everything() {
  const connection = useConnection()
  const { user: me } = useMe()
  const list = useConversations()
  const roster = useRoster()
  const asha = usePresence("asha")
  const some = usePresences(["asha", "zoe"])
  const { total } = useUnread()
  const { items } = useOutbox()
  return (
    <p>
      {[
        connection.status,
        me?.name ?? "nobody",
        list.items.map((item) => item.other?.name).join(),
        roster.users.length,
        asha.status,
        some.zoe?.status,
        total,
        items.length,
      ].join(" ")}
    </p>
  )
}

let renders = 0
function Thread({ id }: { id: string }) {
  renders++
  const thread = useConversation(id)
  return (
    <main>
      <h1>{thread.messages.status}</h1>
      <ul>
        {thread.messages.rows.map((row) => (
          <li key={row.key}>{`${row.content} ${row.state}`}</li>
        ))}
      </ul>
      <button type="button" onClick={() => void thread.send("hi")}>
        Send
      </button>
    </main>
  )
}

function Chooser() {
  const [id, setId] = useState("7")
  return (
    <>
      <button type="button" onClick={() => setId("8")}>
        Other
      </button>
      <Thread id={id} />
    </>
  )
}

function Composer({ id }: { id: string }) {
  const [draft, setDraft] = useDraft(id)
  return <input value={draft} onChange={(event) => setDraft(event.target.value)} />
}

function Signs({ id }: { id: string }) {
  const typing = useTyping(id)
  const readers = useReaders(id)
  return <output>{`${typing.userIds.join()} ${readers.asha?.readSeq ?? "-"}`}</output>
}

describe("the hooks", () => {
  test("StrictMode opens one socket", async () => {
    const client = makeClient()
    const { unmount } = render(
      <StrictMode>
        <LamplightProvider client={client}>
          <Everything />
        </LamplightProvider>
      </StrictMode>,
    )
    await wait(5_000)
    expect(FakeSocket.all).toHaveLength(1)
    expect(screen.getByText("connected me asha 2 online offline 1 0")).toBeTruthy()
    expect(FakeSocket.all[0]?.sent.filter((event) => event === "join_user")).toHaveLength(1)
    unmount()
    await wait(500)
    expect(client.connection.get().status).toBe("connected")
    await wait(1_000)
    expect(client.connection.get().status).toBe("idle")
  })

  test("StrictMode joins a conversation once, and leaves it after the last unmount", async () => {
    const client = makeClient()
    const sent = () => FakeSocket.all[0]?.sent.filter((event) => event.endsWith("_conversation"))
    const { rerender } = render(
      <StrictMode>
        <LamplightProvider client={client}>
          <Thread id="7" />
        </LamplightProvider>
      </StrictMode>,
    )
    await wait(100)
    expect(sent()).toEqual(["join_conversation"])
    rerender(
      <StrictMode>
        <LamplightProvider client={client} />
      </StrictMode>,
    )
    await wait(100)
    expect(sent()).toEqual(["join_conversation", "leave_conversation"])
  })

  test("a sent message keeps its row when it is stored", async () => {
    const client = makeClient()
    render(
      <LamplightProvider client={client}>
        <Thread id="7" />
      </LamplightProvider>,
    )
    await wait(100)
    expect(screen.getByText("hello sent")).toBeTruthy()
    act(() => screen.getByText("Send").click())
    await act(() => Promise.resolve())
    for (let turn = 0; turn < 20 && !screen.queryByText(/^hi/); turn++) await act(() => Promise.resolve())
    const row = screen.getByText(/^hi/)
    await wait(100)
    expect(screen.getByText("hi sent")).toBe(row)
    expect(screen.getAllByRole("listitem")).toHaveLength(2)
  })

  test("typing, read receipts and drafts do not render the thread", async () => {
    const client = makeClient()
    render(
      <LamplightProvider client={client}>
        <Thread id="7" />
        <Composer id="7" />
        <Signs id="7" />
      </LamplightProvider>,
    )
    await wait(100)
    const before = renders
    const socket = FakeSocket.all[0] as FakeSocket
    await act(async () => {
      const expiresAt = new Date(Date.now() + 6_000).toISOString()
      socket.say("typing", { conversationId: "7", userId: "asha", isTyping: true, expiresAt })
      socket.say("receipt", { conversationId: "7", userId: "asha", deliveredSeq: 1, readSeq: 1 })
    })
    expect(screen.getByText("asha 1")).toBeTruthy()
    act(() => client.conversation("7").setDraft("half a thought"))
    expect(screen.getByRole("textbox")).toHaveProperty("value", "half a thought")
    expect(client.conversations.get().items[0]?.draft).toBe("half a thought")
    expect(renders).toBe(before)
  })

  test("another id shows another thread", async () => {
    const client = makeClient()
    render(
      <LamplightProvider client={client}>
        <Chooser />
      </LamplightProvider>,
    )
    await wait(100)
    act(() => screen.getByText("Other").click())
    expect(screen.getByRole("heading").textContent).toBe("loading")
    await wait(100)
    expect(FakeSocket.all[0]?.sent.filter((event) => event.endsWith("_conversation"))).toEqual([
      "join_conversation",
      "leave_conversation",
      "join_conversation",
    ])
  })

  test("server rendering shows the initial state without connecting", () => {
    const client = makeClient()
    const html = renderToString(
      <LamplightProvider client={client}>
        <Everything />
        <Thread id="7" />
        <Composer id="7" />
      </LamplightProvider>,
    )
    expect(html).toContain("idle nobody")
    expect(html).toContain("<h1>loading</h1>")
    expect(FakeSocket.all).toHaveLength(0)
  })

  test("a hook without a provider explains the missing provider", () => {
    const quiet = vi.spyOn(console, "error").mockImplementation(() => {})
    expect(() => render(<Everything />)).toThrow("LamplightProvider")
    quiet.mockRestore()
  })
})
