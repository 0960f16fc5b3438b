// @vitest-environment jsdom
import { createLamplight, memoryStorage, type SocketLike } from "@lamplight/client"
import { cleanup, render, screen, waitFor } from "@testing-library/react"
import { StrictMode } from "react"
import { renderToString } from "react-dom/server"
import { afterEach, expect, test } from "vitest"
import { LamplightProvider, useBlocks, useMembers } from "../src/index.js"

class DeadSocket implements SocketLike {
  connected = false
  on() {}
  emit() {}
  connect() {}
  disconnect() {}
}

const person = (id: string) => ({ id, name: id.toUpperCase(), avatarUrl: null })
const patience = { timeout: 20_000 }
let blocked = ["dan"]
let requests: string[] = []

async function answer(input: unknown, init: RequestInit = {}): Promise<Response> {
  const { pathname } = new URL(String(input), "http://test")
  const method = init.method ?? "GET"
  requests.push(`${method} ${pathname}`)
  const reply = (more: object) => new Response(JSON.stringify({ success: true, ...more }))
  if (pathname.endsWith("/members"))
    return reply({
      data: [
        { ...person("asha"), role: "owner" },
        { ...person("me"), role: "admin" },
      ],
    })
  if (pathname.endsWith("/members/asha"))
    return reply({
      entry: {
        id: "e2",
        kind: "members",
        conversationId: "g",
        seq: 2,
        senderId: "me",
        createdAt: "",
        added: [],
        removed: ["asha"],
        roles: {},
      },
      duplicate: false,
    })
  if (pathname.startsWith("/api/blocks/")) {
    const id = pathname.split("/")[3] as string
    blocked = method === "PUT" ? [...blocked, id] : blocked.filter((one) => one !== id)
    return reply({})
  }
  if (pathname === "/api/blocks") return reply({ data: blocked.map(person) })
  return reply({ data: [] })
}

function Group() {
  const { status, members, role, count, remove } = useMembers("g")
  const { users, block, unblock } = useBlocks()
  return (
    <main>
      <output>
        {[
          status,
          count,
          role,
          ...members.map(({ name, role }) => `${name}:${role}`),
          ...users.map(({ id }) => id),
        ].join(" ")}
      </output>
      <button type="button" onClick={() => void remove("asha")}>
        Remove
      </button>
      <button type="button" onClick={() => void block("asha")}>
        Block
      </button>
      <button type="button" onClick={() => void unblock("dan")}>
        Unblock
      </button>
    </main>
  )
}

const makeClient = () =>
  createLamplight({
    userId: "me",
    storage: memoryStorage(),
    fetch: answer as typeof fetch,
    openSocket: () => new DeadSocket(),
    openChannel: () => ({ post() {}, close() {} }),
  })

afterEach(() => {
  cleanup()
  blocked = ["dan"]
  requests = []
})

test("members and blocks load once, and show the effect of their actions", async () => {
  const client = makeClient()
  render(
    <StrictMode>
      <LamplightProvider client={client}>
        <Group />
      </LamplightProvider>
    </StrictMode>,
  )
  const shows = (text: string) =>
    waitFor(() => expect(screen.getByRole("status").textContent).toBe(text), patience)
  expect(screen.getByRole("status").textContent).toBe("loading 0 ")
  await shows("ready 2 admin ASHA:owner ME:admin dan")
  expect(requests.filter((one) => one.endsWith("/members"))).toHaveLength(1)
  screen.getByText("Remove").click()
  await shows("ready 1 admin ME:admin dan")
  screen.getByText("Block").click()
  await shows("ready 1 admin ME:admin dan asha")
  screen.getByText("Unblock").click()
  await shows("ready 1 admin ME:admin asha")
  client.close()
})

test("server rendering shows them as loading, without a request", () => {
  const client = makeClient()
  const html = renderToString(
    <LamplightProvider client={client}>
      <Group />
    </LamplightProvider>,
  )
  expect(html).toContain("loading 0")
  expect(requests).toEqual([])
  client.close()
})
