import { expect, test } from "vitest"
import { makeTab, makeWorld } from "./support/harness.js"

async function ready() {
  const world = makeWorld()
  world.server.addConversation("7", "me", "asha")
  for (let at = 1; at <= 300; at++) {
    world.server.store("7", "asha", `text ${at}`)
    await world.clock.advance(60_000)
  }
  const tab = makeTab(world)
  tab.client.retain()
  const seven = tab.client.conversation("7")
  seven.open()
  await world.clock.advance(1_000)
  const log = world.server.conversations.get("7")?.log ?? []
  return { ...world, ...tab, seven, log }
}

test("a time is resolved to a position in the log, which a jump shows", async () => {
  const { seven, log } = await ready()
  const seq = await seven.seqAt(new Date(Date.parse(log[99]?.createdAt ?? "") - 1_000))
  expect(seq).toBe(100)
  await seven.jumpTo(seq)
  expect(seven.messages.get().rows.some((row) => row.seq === 100)).toBe(true)
  expect(seven.messages.get().hasNewer).toBe(true)
  expect(await seven.seqAt("2100-01-01T00:00:00Z")).toBe(300)
})

test("pinned messages are listed however old", async () => {
  const { seven, server, log, client } = await ready()
  for (const seq of [3, 150, 299])
    server.act("7", "asha", log[seq - 1]?.id ?? "", { kind: "pin", pinned: true })
  const page = await seven.pinned()
  expect([page.messages.map(({ seq }) => seq), page.hasMore]).toEqual([[150, 299], true])
  const older = await seven.pinned(150)
  expect([older.messages.map(({ seq }) => seq), older.hasMore]).toEqual([[3], false])
  await expect(client.conversation("nowhere").pinned()).rejects.toMatchObject({ code: "not_found" })
})
