import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { sendPicture } from "./send"

/** The request that was made last, and how far its time limit is from its start. */
class TestRequest {
  static last: TestRequest
  timeout = 0
  status = 200
  responseText = '{"success":true}'
  upload: { onprogress?: (event: { loaded: number }) => void } = {}
  onload = () => {}
  ontimeout = () => {}
  onloadend = () => {}
  #began = performance.now()
  constructor() {
    TestRequest.last = this
  }
  open() {}
  setRequestHeader() {}
  send() {}
  abort() {}
  /** The time passes until the bytes are sent, or until the limit. */
  async progress(loaded: number, ms: number): Promise<boolean> {
    await vi.advanceTimersByTimeAsync(ms)
    if (performance.now() - this.#began > this.timeout) {
      this.ontimeout()
      return false
    }
    this.upload.onprogress?.({ loaded })
    return true
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout"] })
  vi.stubGlobal("XMLHttpRequest", TestRequest)
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function send() {
  const picture = new Blob([new Uint8Array(1_000)])
  const parts: number[] = []
  const onProgress = (part: number) => parts.push(part)
  const { signal } = new AbortController()
  const sent = sendPicture({ path: "/p", picture, userId: "a", token: undefined, signal, onProgress })
  return { sent, parts, request: TestRequest.last }
}

it("an upload may take any time while it makes progress", async () => {
  const { sent, parts, request } = send()
  for (let loaded = 100; loaded <= 1_000; loaded += 100)
    expect(await request.progress(loaded, 25_000)).toBe(true)
  // The server makes the square.
  expect(await request.progress(1_000, 55_000)).toBe(true)
  request.onload()
  await sent
  expect(parts.at(-1)).toBe(1)
})

it("a stalled upload is aborted", async () => {
  const { sent, request } = send()
  sent.catch(() => {})
  expect(await request.progress(100, 25_000)).toBe(true)
  expect(await request.progress(200, 35_000)).toBe(false)
  await expect(sent).rejects.toMatchObject({ code: "timeout", retryable: true })
})
