// @vitest-environment jsdom
import { createLamplight, memoryStorage, type SocketLike } from "@lamplight/client"
import { act, cleanup, render, screen } from "@testing-library/react"
import { StrictMode } from "react"
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest"
import { LamplightProvider, useSearch } from "../src/index.js"

class DeadSocket implements SocketLike {
  connected = false
  on() {}
  emit() {}
  connect() {}
  disconnect() {}
}

/** The searches that wait for their answer. */
let asked: { url: URL; answer: (reply: object) => void; signal: AbortSignal }[] = []
const hit = (seq: number) => ({
  message: {
    id: `m${seq}`,
    kind: "message",
    conversationId: "7",
    seq,
    senderId: "asha",
    content: `hit ${seq}`,
  },
  highlights: [[0, 3]],
})

function makeClient() {
  return createLamplight({
    userId: "me",
    storage: memoryStorage(),
    fetch: ((input: string, init: RequestInit) => {
      const url = new URL(input, "http://test")
      if (!url.pathname.endsWith("/search"))
        return Promise.resolve(new Response(JSON.stringify({ success: true, data: [] })))
      return new Promise((resolve, reject) => {
        const signal = init.signal as AbortSignal
        signal.addEventListener("abort", () => reject(new Error("aborted")))
        const answer = (reply: object) => resolve(new Response(JSON.stringify(reply)))
        asked.push({ url, answer, signal })
      })
    }) as typeof fetch,
    openSocket: () => new DeadSocket(),
    openChannel: () => ({ post() {}, close() {} }),
  })
}

function Results({ query, conversationId }: { query: string; conversationId?: string }) {
  const { status, hits, query: of, hasMore, loadMore, retry, error } = useSearch(query, { conversationId })
  return (
    <main>
      <output>{[status, of, hits.map(({ message }) => message.seq), hasMore, error?.code].join("|")}</output>
      <button type="button" onClick={loadMore}>
        More
      </button>
      <button type="button" onClick={retry}>
        Again
      </button>
    </main>
  )
}

const wait = (ms = 0) => act(() => vi.advanceTimersByTimeAsync(ms))
async function untilAsked(count: number) {
  for (let tries = 0; tries < 1_000 && asked.length < count; tries++) await wait(50)
  expect(asked).toHaveLength(count)
}
const shown = () => screen.getByRole("status").textContent
const page = (seqs: number[], nextCursor?: string) => ({ success: true, data: seqs.map(hit), nextCursor })

// It is loaded with the first search, which takes real time.
beforeAll(() => import("../../client/src/search.js"))
beforeEach(() => {
  vi.useFakeTimers()
  asked = []
})
afterEach(() => {
  cleanup()
  vi.useRealTimers()
})

test("a search starts after a pause, and only the newest query is used", async () => {
  const client = makeClient()
  const ui = (query: string) => (
    <StrictMode>
      <LamplightProvider client={client}>
        <Results query={query} />
      </LamplightProvider>
    </StrictMode>
  )
  const { rerender } = render(ui(""))
  expect(shown()).toBe("idle|||false|")
  for (const query of ["f", "fe", "fer"]) {
    rerender(ui(query))
    await wait(100)
  }
  expect(asked).toHaveLength(0)
  await untilAsked(1)
  expect(asked[0]?.url.searchParams.get("query")).toBe("fer")
  rerender(ui("ferry"))
  await untilAsked(2)
  expect(asked[0]?.signal.aborted).toBe(true)
  asked[0]?.answer(page([1]))
  asked[1]?.answer(page([9, 8], "c1"))
  await wait(1)
  expect(shown()).toBe("ready|ferry|9,8|true|")
  screen.getByText("More").click()
  screen.getByText("More").click()
  await wait(1)
  expect(asked).toHaveLength(3)
  expect(asked[2]?.url.searchParams.get("cursor")).toBe("c1")
  asked[2]?.answer(page([7]))
  await wait(1)
  expect(shown()).toBe("ready|ferry|9,8,7|false|")
  rerender(ui("  "))
  await wait(1)
  expect(shown()).toBe("idle|||false|")
  client.close()
})

test("an error shows, a retry repeats the search, and another filter starts a new one", async () => {
  const client = makeClient()
  const ui = (conversationId: string) => (
    <LamplightProvider client={client}>
      <Results query="ferry" conversationId={conversationId} />
    </LamplightProvider>
  )
  const { rerender } = render(ui("7"))
  await untilAsked(1)
  asked[0]?.answer({ success: false, error: "No.", code: "invalid", retryable: false })
  await wait(1)
  expect(shown()).toBe("error|ferry||false|invalid")
  screen.getByText("Again").click()
  await untilAsked(2)
  asked[1]?.answer(page([3]))
  await wait(1)
  expect(shown()).toBe("ready|ferry|3|false|")
  rerender(ui("8"))
  await untilAsked(3)
  expect(asked[2]?.url.searchParams.get("conversationId")).toBe("8")
  expect(shown()).toBe("loading|ferry|3|false|")
  client.close()
})
