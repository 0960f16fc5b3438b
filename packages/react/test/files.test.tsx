// @vitest-environment jsdom
// jsdom has Blobs that cannot be read.
import { Blob } from "node:buffer"
import type { SharedFile } from "@lamplight/client"
import { act, cleanup, render, screen } from "@testing-library/react"
import { StrictMode } from "react"
import { afterEach, expect, test } from "vitest"
import { makeTab, makeWorld } from "../../client/test/support/harness.js"
import {
  LamplightProvider,
  useConversation,
  useFileProgress,
  useFileUrl,
  useUpload,
  useUploads,
} from "../src/index.js"

afterEach(cleanup)

const file = () => Object.assign(new Blob(["hello"]), { name: "a.txt" }) as unknown as File

function Composer() {
  const { uploads, add, cancel } = useUploads("7")
  const { send, messages } = useConversation("7")
  const row = messages.rows[0]
  return (
    <main>
      <output>{uploads.map(({ name, state }) => `${name} ${state}`).join()}</output>
      <button type="button" onClick={() => void add("7", file())}>
        Add
      </button>
      <button type="button" onClick={() => void send("", { uploads })}>
        Send
      </button>
      <button type="button" onClick={() => uploads[0] && cancel(uploads[0].id)}>
        Cancel
      </button>
      {row?.files.map(({ uploadId }) => (
        <Sending key={uploadId} id={uploadId} />
      ))}
      <Others />
    </main>
  )
}

function Sending({ id }: { id: string }) {
  const upload = useUpload(id)
  return <p>{`sending ${upload?.name} ${upload?.state}`}</p>
}

function Others() {
  return useFileProgress("7").map(({ fileId, name, received }) => <p key={fileId}>{`${name} ${received}`}</p>)
}

const shared: SharedFile = {
  id: "f",
  name: "a.png",
  type: "image/png",
  size: 1,
  url: "/api/files/f",
  state: "ready",
}

function Picture() {
  return <p>{`at ${useFileUrl(shared)}`}</p>
}

test.each([true, false])(
  "uploads, progress and addresses of files render (StrictMode: %s)",
  async (strict) => {
    const world = makeWorld()
    world.server.addConversation("7", "me", "ben")
    world.files.stored.set("f", { size: 1, bytes: new Uint8Array(1), metadata: {} })
    const { client } = makeTab(world)
    const inside = (
      <LamplightProvider client={client}>
        <Composer />
        <Picture />
      </LamplightProvider>
    )
    render(strict ? <StrictMode>{inside}</StrictMode> : inside)
    const pass = (ms: number) => act(() => world.clock.advance(ms))
    await act(() => client.uploads.load())
    await pass(100)
    const press = async (name: string) => {
      await act(async () => screen.getByText(name).click())
      await pass(0)
    }

    expect(screen.getByText(/^at \/api\/files\/f\?signature=/)).toBeTruthy()
    world.files.hangs = true
    await press("Add")
    expect(screen.getByText("a.txt waiting")).toBeTruthy()
    await press("Send")
    expect(screen.getByText("sending a.txt waiting")).toBeTruthy()
    expect(screen.queryByText("a.txt waiting")).toBeNull()
    world.files.hangs = false
    await pass(130_000)
    expect(screen.queryByText(/sending/)).toBeNull()
    await press("Add")
    expect(screen.getByText("a.txt ready")).toBeTruthy()
    await press("Cancel")
    expect(screen.queryByText("a.txt ready")).toBeNull()

    for (const peer of world.server.peers)
      peer.send("file_progress", {
        ...{ conversationId: "7", fileId: "g", userId: "ben", name: "film.mp4" },
        ...{ size: 100, received: 45, state: "uploading" },
      })
    await pass(0)
    expect(screen.getByText("film.mp4 45")).toBeTruthy()

    client.close()
  },
)

test("the progress of one upload does not render another", async () => {
  const world = makeWorld()
  world.server.addConversation("7", "me", "ben")
  const { client } = makeTab(world)
  const renders = new Map<string, number>()
  function Counted({ id }: { id: string }) {
    const upload = useUpload(id)
    renders.set(id, (renders.get(id) ?? 0) + 1)
    return <p>{`${id} ${upload?.state}`}</p>
  }
  client.retain()
  await act(() => world.clock.advance(1_000))
  world.files.hangs = true
  const [one, other] = [await client.uploads.add("7", file()), await client.uploads.add("7", file())]
  render(
    <LamplightProvider client={client}>
      <Counted id={one.id} />
      <Counted id={other.id} />
    </LamplightProvider>,
  )
  await act(() => world.clock.advance(1_000))
  const before = new Map(renders)
  await act(async () => client.uploads.pause(one.id))
  await act(() => world.clock.advance(100))
  expect(screen.getByText(`${one.id} paused`)).toBeTruthy()
  expect(renders.get(one.id)).toBeGreaterThan(before.get(one.id) ?? 0)
  expect(renders.get(other.id)).toBe(before.get(other.id))
  client.close()
})
