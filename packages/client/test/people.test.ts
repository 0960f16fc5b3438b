import { describe, expect, test } from "vitest"
import { makeTab, makeWorld } from "./support/harness.js"

async function ready(roster: "full" | "diff" | "watch" | "none" = "diff", socketDown = false) {
  const world = makeWorld()
  world.server.come("asha")
  world.server.come("ben")
  const tab = makeTab(world, { roster })
  tab.wires.socketDown = socketDown
  tab.client.retain()
  await world.clock.advance(500)
  const all = () => tab.client.roster().get()
  return { world, ...world, ...tab, all, names: () => all().users.map((one) => one.userId) }
}

describe("online users", () => {
  test.each(["full", "diff"] as const)("P5 P6 in %s mode users follow the server's events", async (mode) => {
    const { server, clock, names, all, client } = await ready(mode)
    expect(names()).toEqual(["asha", "ben", "me"])
    server.come("cleo")
    server.go("ben")
    server.come("asha", { status: "busy", text: "In a meeting" })
    await clock.advance(200)
    expect(names()).toEqual(["asha", "cleo", "me"])
    expect(all()).toMatchObject({ status: "live", count: 3, truncated: false })
    expect(client.presence("asha").get()).toMatchObject({ status: "busy", text: "In a meeting" })
    expect(client.presence("ben").get()).toMatchObject({ status: "offline", user: { name: "ben" } })
    expect(client.presence("ben").get().lastSeenAt).toBeTruthy()
  })

  test("watched users are followed while subscribed, and requested again after a reconnect", async () => {
    const { server, clock, client, cut } = await ready("watch")
    const store = client.roster(["asha", "zoe"])
    expect(client.roster(["asha", "zoe"])).toBe(store)
    expect(store.get().asha?.status).toBe("unknown")
    const stop = store.subscribe(() => {})
    await clock.advance(100)
    expect(store.get()).toMatchObject({ asha: { status: "online" }, zoe: { status: "offline" } })
    server.go("asha")
    await clock.advance(100)
    expect(store.get().asha?.status).toBe("offline")
    cut()
    server.come("asha")
    await clock.advance(3_000)
    expect(store.get().asha?.status).toBe("online")
    stop()
    await clock.advance(100)
    expect(server.seen.at(-1)).toMatchObject({ what: "unwatch_presence", body: { userIds: ["asha", "zoe"] } })
  })

  test("a user who is not in the complete list is offline, with a last-seen time", async () => {
    const { clock, client, server } = await ready("diff")
    server.lastSeen.set("zoe", "2026-02-28T09:00:00.000Z")
    const zoe = client.presence("zoe")
    zoe.subscribe(() => {})
    await clock.advance(100)
    expect(zoe.get()).toMatchObject({ status: "offline", lastSeenAt: "2026-02-28T09:00:00.000Z" })
  })

  test("a short loss shows no change; after 5 s presence is unknown until the list is loaded again", async () => {
    const { clock, client, wires, cut, all, names } = await ready()
    const seen: string[] = []
    const asha = client.presence("asha")
    asha.subscribe(() => {
      if (seen.at(-1) !== asha.get().status) seen.push(asha.get().status)
    })
    cut()
    await clock.advance(2_000)
    expect(seen.filter((status) => status !== "online")).toEqual([])
    expect(client.connection.get().status).toBe("connected")
    wires.socketDown = true
    cut()
    await clock.advance(4_900)
    expect(asha.get().status).toBe("online")
    await clock.advance(200)
    expect(asha.get().status).toBe("unknown")
    expect(all().status).toBe("unknown")
    expect(client.presence("nobody").get().status).toBe("unknown")
    expect(names()).toContain("asha")
    wires.socketDown = false
    await clock.advance(15_000)
    expect(asha.get().status).toBe("online")
    expect(all().status).toBe("live")
  })

  test("presence stays unknown until the list is loaded, whatever arrives before it", async () => {
    const { server, clock, client, wires, cut } = await ready()
    const asha = client.presence("asha")
    wires.socketDown = true
    cut()
    await clock.advance(6_000)
    wires.socketDown = false
    wires.loseEvent.add("online_users")
    await clock.advance(10_000)
    server.come("cleo")
    await clock.advance(100)
    expect(client.connection.get().status).toBe("connected")
    expect(asha.get().status).toBe("unknown")
  })

  test("a user who left during a loss is offline after the reconnect", async () => {
    const { server, clock, cut, names } = await ready()
    cut()
    server.go("asha")
    server.come("cleo")
    await clock.advance(3_000)
    await clock.advance(5_000)
    expect(names()).toEqual(["ben", "cleo", "me"])
  })

  test("a user missing in the first list after a short loss keeps their status for a while", async () => {
    const { server, clock, client, all, cut, names } = await ready()
    client.presence("asha").subscribe(() => seen.add(client.presence("asha").get().status))
    const seen = new Set<string>()
    cut()
    server.go("asha")
    await clock.advance(3_000)
    expect(all().status).toBe("live")
    expect([names(), all().count]).toEqual([["asha", "ben", "me"], 3])
    server.come("asha")
    await clock.advance(6_000)
    expect([names(), all().count]).toEqual([["asha", "ben", "me"], 3])
    expect([...seen]).not.toContain("offline")
    // A user who is reported offline gets no delay.
    cut()
    server.go("ben")
    await clock.advance(3_000)
    server.come("ben")
    await clock.advance(100)
    server.go("ben")
    await clock.advance(100)
    expect(names()).toEqual(["asha", "me"])
  })

  test("without a connection from the start, the roster is unknown after 5 s", async () => {
    const { all, wires, clock, client } = await ready("diff", true)
    expect(all().status).toBe("loading")
    await clock.advance(6_000)
    expect(all().status).toBe("unknown")
    wires.socketDown = false
    client.connect()
    await clock.advance(1_000)
    expect(all().status).toBe("live")
  })

  test("an unchanged view is the same object", async () => {
    const { server, clock, client, all } = await ready()
    const before = { all: all(), ben: client.presence("ben").get() }
    server.come("asha", { status: "away" })
    await clock.advance(100)
    expect(all()).not.toBe(before.all)
    expect(client.presence("ben").get()).toBe(before.ben)
    expect(all().users.find((one) => one.userId === "ben")).toBe(
      before.all.users.find((one) => one.userId === "ben"),
    )
  })

  test("the own status applies to all devices; the activity is sent again after a reconnect", async () => {
    const { server, clock, client, cut } = await ready()
    await client.setStatus("busy", { text: "Writing" })
    expect(client.me.get().chosen).toEqual({ status: "busy", text: "Writing" })
    await client.setActivity({ kind: "in_call" })
    cut()
    await clock.advance(3_000)
    expect(server.seen.filter(({ what }) => what === "set_activity")).toHaveLength(2)
  })
})
