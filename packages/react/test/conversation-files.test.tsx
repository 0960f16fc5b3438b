// @vitest-environment jsdom
import { act, cleanup, render, screen } from "@testing-library/react"
import { StrictMode } from "react"
import { afterEach, expect, test, vi } from "vitest"
import { makeTab, makeWorld } from "../../client/test/support/harness.js"
import { LamplightProvider, useConversationFiles } from "../src/index.js"

afterEach(cleanup)

function Files() {
  const { status, files, hasMore, loadMore } = useConversationFiles("7", "media")
  return (
    <main>
      <output>{`${status} ${files.map(({ file }) => file.name)}`}</output>
      {hasMore && (
        <button type="button" onClick={() => void loadMore()}>
          More
        </button>
      )}
    </main>
  )
}

test("the files of a conversation load while mounted, page by page, and follow new messages", async () => {
  const world = makeWorld()
  const { server, clock } = world
  server.addUser("me")
  server.addUser("asha")
  server.addConversation("7", "me", "asha")
  server.filesPage = 2
  const share = (n: number) => {
    const file = {
      id: `f${n}`,
      name: `${n}.png`,
      type: "image/png",
      size: 1,
      url: "/f",
      state: "ready" as const,
    }
    return server.store("7", "asha", "", undefined, { attachments: [file] })
  }
  for (const n of [1, 2, 3]) share(n)
  const { client } = makeTab(world)
  render(
    <StrictMode>
      <LamplightProvider client={client}>
        <Files />
      </LamplightProvider>
    </StrictMode>,
  )
  const shows = (text: string) =>
    vi.waitFor(
      async () => {
        await act(() => clock.advance(50))
        expect(screen.getByRole("status").textContent).toBe(text)
      },
      { timeout: 20_000, interval: 5 },
    )
  expect(screen.getByRole("status").textContent).toBe("loading ")
  await shows("ready 3.png,2.png")
  act(() => screen.getByText("More").click())
  await shows("ready 3.png,2.png,1.png")
  expect(screen.queryByText("More")).toBe(null)
  server.deliver(share(4))
  await shows("ready 4.png,3.png,2.png,1.png")
  client.close()
})
