// @vitest-environment jsdom
// F4 One client at module level, and one person after the other, without loading the page anew.
import { act, cleanup, render, screen } from "@testing-library/react"
import { StrictMode } from "react"
import { afterEach, expect, test } from "vitest"
import { makeTab, makeWorld } from "../../client/test/support/harness.js"
import { LamplightProvider, useConversation, useConversations, useMe } from "../src/index.js"

afterEach(cleanup)

function List() {
  const { items } = useConversations()
  const { user } = useMe()
  return <p>{`${user?.id ?? "nobody"} has ${items.map(({ id }) => id).join() || "nothing"}`}</p>
}

/** A thread whose effect runs before the provider's: it opens while the client is still the former person's. */
function Thread() {
  const { messages } = useConversation("7")
  return (
    <ul>
      {messages.rows.map(({ key, content }) => (
        <li key={key}>{content}</li>
      ))}
    </ul>
  )
}

test.each([true, false])(
  "F4 a provider keyed by the user shows only that user's data (StrictMode: %s)",
  async (strict) => {
    const world = makeWorld()
    world.server.addConversation("7", "asha", "carl")
    world.server.addConversation("8", "ben", "carl")
    world.server.store("7", "carl", "for Asha alone")
    let person = "asha"
    let serial = 0
    const getToken = () => {
      const claims = { sub: person, exp: world.clock.now() / 1000 + 300 }
      const token = `e30.${btoa(JSON.stringify(claims))}.${++serial}`
      world.server.tokens.set(`Bearer ${token}`, person)
      return token
    }
    const { client } = makeTab(world, { userId: undefined as never, getToken })
    const page = (key: string | null) => {
      const inside = key && (
        <LamplightProvider key={key} client={client}>
          <List />
          <Thread />
        </LamplightProvider>
      )
      return strict ? <StrictMode>{inside}</StrictMode> : inside
    }
    const pass = (ms: number) => act(() => world.clock.advance(ms))

    const { rerender } = render(page("asha"))
    await pass(1_000)
    expect(screen.getByText("asha has 7")).toBeTruthy()
    expect(screen.getByText("for Asha alone")).toBeTruthy()

    // In one step, as a router does it.
    person = "ben"
    rerender(page("ben"))
    await pass(1_000)
    expect(screen.getByText("ben has 8")).toBeTruthy()
    expect(screen.queryByText("for Asha alone")).toBeNull()
    expect([...world.server.peers].map(({ userId }) => userId)).toEqual(["ben"])

    // Out, a while at the sign-in, and in.
    rerender(page(null))
    await pass(30_000)
    expect(world.server.peers.size).toBe(0)
    person = "asha"
    rerender(page("asha"))
    await pass(1_000)
    expect(screen.getByText("asha has 7")).toBeTruthy()
    client.close()
  },
)
