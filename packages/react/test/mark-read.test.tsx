// @vitest-environment jsdom
// useMarkRead: what the user sees is read, and nothing else.
import { createLamplight, memoryStorage, type SocketLike } from "@lamplight/client"
import { act, cleanup, render, screen } from "@testing-library/react"
import { StrictMode } from "react"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { LamplightProvider, useConversation, useMarkRead, useUnread } from "../src/index.js"

const user = (id: string) => ({ id, name: id, avatarUrl: null })
const message = (seq: number) => ({
  id: `m${seq}`,
  kind: "message" as const,
  conversationId: "7",
  seq,
  senderId: "asha",
  content: `message ${seq}`,
  createdAt: "2026-03-01T12:00:00.000Z",
})
const conversation = {
  id: "7",
  members: [user("me"), user("asha")],
  lastMessage: message(1),
  unread: 1,
  headSeq: 1,
  readSeq: 0,
  createdAt: "2026-03-01T11:00:00.000Z",
}

/** The marks that the server got. */
let marks: number[] = []
let say = (_event: string, _payload: unknown) => {}

function fakeSocket(): SocketLike {
  const listeners = new Map<string, (payload?: unknown) => void>()
  say = (event, payload) => listeners.get(event)?.(payload)
  const socket = {
    connected: false,
    id: "s1",
    on: (event: string, listener: (payload?: unknown) => void) => listeners.set(event, listener),
    connect: () =>
      queueMicrotask(() => {
        socket.connected = true
        listeners.get("connect")?.()
      }),
    disconnect: () => {
      socket.connected = false
    },
    emit(event: string, payload: { seq: number }, ack?: (answer: unknown) => void) {
      if (event === "mark_read") marks.push(payload.seq)
      const answers: Record<string, object> = {
        join_user: { user: user("me"), sessionId: "s1", roster: "diff" },
        sync: { conversations: {}, added: [] },
        mark_read: { conversationId: "7", readSeq: payload?.seq },
      }
      queueMicrotask(() => ack?.({ success: true, ...answers[event] }))
    },
  }
  return socket
}

const answer = async (input: unknown) => {
  const data = String(input).includes("/messages/") ? [message(1)] : [conversation]
  return new Response(JSON.stringify({ success: true, data, hasMore: false }))
}

/** Shows or hides the page. */
function setVisible(isVisible: boolean) {
  vi.spyOn(document, "visibilityState", "get").mockReturnValue(isVisible ? "visible" : "hidden")
  document.dispatchEvent(new Event("visibilitychange"))
}

const wait = (ms = 1_000) => act(() => vi.advanceTimersByTimeAsync(ms))

function Thread({ isShown }: { isShown?: boolean }) {
  const { messages } = useConversation("7")
  useMarkRead("7", isShown)
  return (
    <p>
      {messages.rows.length} rows, {useUnread().total} unread
    </p>
  )
}

/** A page with the thread, connected. */
async function open() {
  const client = createLamplight({
    userId: "me",
    storage: memoryStorage(),
    fetch: answer as typeof fetch,
    openSocket: fakeSocket,
    openChannel: () => ({ post() {}, close() {} }),
  })
  const page = (thread?: React.ReactNode) => (
    <StrictMode>
      <LamplightProvider client={client}>{thread}</LamplightProvider>
    </StrictMode>
  )
  const { rerender } = render(page(<Thread />))
  await wait()
  return (thread?: React.ReactNode) => rerender(page(thread))
}

beforeEach(() => {
  vi.useFakeTimers()
  marks = []
})
afterEach(() => {
  cleanup()
  vi.restoreAllMocks()
  vi.useRealTimers()
})

test("shown messages are marked as read, at first and as they arrive, each mark once", async () => {
  await open()
  expect(screen.getByText("1 rows, 0 unread")).toBeTruthy()
  expect(marks).toEqual([1])
  say("new_private_message", message(2))
  await wait()
  expect(screen.getByText("2 rows, 0 unread")).toBeTruthy()
  expect(marks).toEqual([1, 2])
})

test("nothing is marked as read while the page is in the background", async () => {
  setVisible(false)
  await open()
  expect(screen.getByText("1 rows, 1 unread")).toBeTruthy()
  say("new_private_message", message(2))
  await wait()
  expect(marks).toEqual([])
  setVisible(true)
  await wait()
  expect(screen.getByText("2 rows, 0 unread")).toBeTruthy()
  expect(marks).toEqual([2])
})

test("nothing is marked as read while the newest message is hidden, nor after the thread unmounts", async () => {
  const show = await open()
  show(<Thread isShown={false} />)
  say("new_private_message", message(2))
  await wait()
  expect(screen.getByText("2 rows, 1 unread")).toBeTruthy()
  show(<Thread />)
  await wait()
  expect(screen.getByText("2 rows, 0 unread")).toBeTruthy()
  show()
  say("new_private_message", message(3))
  setVisible(true)
  await wait()
  expect(marks).toEqual([1, 2])
})
