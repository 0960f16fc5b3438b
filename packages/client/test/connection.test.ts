import { describe, expect, test, vi } from "vitest"
import { LamplightError, Unauthorized } from "../src/errors.js"
import type { TokenRequest } from "../src/options.js"
import { makeTab, makeWorld } from "./support/harness.js"
import { refusal } from "./support/server.js"

const token = (claims: object, name = "sig") =>
  `e30.${btoa(JSON.stringify(claims)).replace(/=+$/, "")}.${name}`

describe("the connection", () => {
  test("creating a client sends no request", async () => {
    const world = makeWorld()
    const { client, sockets } = makeTab(world)
    await world.clock.advance(60_000)
    expect(sockets).toHaveLength(0)
    expect(world.server.seen).toEqual([])
    expect(world.clock.pending).toBe(0)
    expect(client.connection.get().status).toBe("idle")
    expect(client.connection.getServer().status).toBe("idle")
  })

  test("release and retain keep one socket, and a lasting release closes it after a delay", async () => {
    const world = makeWorld()
    const { client, sockets } = makeTab(world)
    const first = client.retain()
    first()
    first()
    const second = client.retain()
    const third = client.retain()
    await world.clock.advance(10_000)
    expect(sockets).toHaveLength(1)
    second()
    await world.clock.advance(10_000)
    expect(client.connection.get().status).toBe("connected")
    third()
    await world.clock.advance(500)
    expect(client.connection.get().status).toBe("connected")
    await world.clock.advance(1_000)
    expect(client.connection.get()).toMatchObject({ status: "idle", stale: false, downSince: null })
    expect(world.server.peers.size).toBe(0)
    await world.clock.advance(10_000)
    expect(world.clock.pending).toBe(0)
  })

  test("the status goes from connecting over catching-up to connected", async () => {
    const world = makeWorld()
    const { client, wires } = makeTab(world)
    const seen: string[] = []
    client.connection.subscribe(() => {
      const { status } = client.connection.get()
      if (seen.at(-1) !== status) seen.push(status)
    })
    wires.loseAck.add("sync")
    client.retain()
    await world.clock.advance(100)
    expect(seen).toEqual(["connecting", "catching-up"])
    wires.loseAck.clear()
    // The answer never came: the line is given up and taken up again.
    await world.clock.advance(40_000)
    expect(seen).toEqual(["connecting", "catching-up", "offline", "connecting", "catching-up", "connected"])
  })

  test("a lost connection reports its start, stale data and the next attempt, with growing delays", async () => {
    const world = makeWorld()
    const { client, wires, cut, sockets } = makeTab(world)
    client.retain()
    await world.clock.advance(10_000)
    wires.socketDown = wires.httpDown = true
    cut()
    const lost = world.clock.now()
    const waits: number[] = []
    for (let tries = 0; tries < 8; tries++) {
      const { status, nextTryAt, stale, downSince } = client.connection.get()
      expect({ status, stale, downSince }).toEqual({ status: "offline", stale: true, downSince: lost })
      waits.push((nextTryAt as number) - world.clock.now())
      await world.clock.advance(waits.at(-1) as number)
    }
    expect(waits).toEqual([375, 750, 1500, 3000, 6000, 7500, 7500, 7500])
    expect(sockets).toHaveLength(9)
    wires.socketDown = wires.httpDown = false
    await world.clock.advance(8_000)
    expect(client.connection.get()).toMatchObject({
      status: "connected",
      stale: false,
      downSince: null,
      error: null,
    })
  })

  test("the client reconnects at once when the network or the page is back", async () => {
    const world = makeWorld()
    const { client, wires, cut, environment } = makeTab(world)
    client.retain()
    await world.clock.advance(10_000)
    wires.socketDown = true
    cut()
    await world.clock.advance(60_000)
    wires.socketDown = false
    environment.tell("wake")
    await world.clock.advance(1)
    expect(client.connection.get().status).toBe("connected")
  })

  test("a connection that died during sleep is detected on wake-up", async () => {
    const world = makeWorld()
    const { client, wires, environment, sockets } = makeTab(world)
    client.retain()
    await world.clock.advance(10_000)
    wires.swallow.add("user_activity")
    environment.tell("wake")
    await world.clock.advance(5_100)
    expect(client.connection.get().status).toBe("offline")
    await world.clock.advance(1_000)
    expect(sockets).toHaveLength(2)
  })

  test("the heartbeat is sent every 30 s and reports whether the user is active", async () => {
    const world = makeWorld()
    const { client, environment } = makeTab(world)
    client.retain()
    await world.clock.advance(1_000)
    const beats = () =>
      world.server.seen.filter(({ what }) => what === "user_activity").map(({ body }) => body.active)
    await world.clock.advance(60_000)
    expect(beats()).toEqual([true, true])
    environment.active = false
    await world.clock.advance(30_000)
    environment.active = true
    environment.tell("active")
    await world.clock.advance(1)
    expect(beats()).toEqual([true, true, false, true])
  })

  test("a closed client stays closed", async () => {
    const world = makeWorld()
    const { client, environment } = makeTab(world)
    client.retain()
    await world.clock.advance(1_000)
    client.close()
    client.retain()
    client.connect()
    environment.tell("wake")
    await world.clock.advance(60_000)
    expect(client.connection.get().status).toBe("closed")
    expect(world.server.peers.size).toBe(0)
    expect(world.clock.pending).toBe(0)
  })

  test("getToken: Unauthorized stops the attempts until connect() is called", async () => {
    const world = makeWorld()
    let known = false
    const getToken = vi.fn((_request: TokenRequest) => {
      if (!known) throw new Unauthorized()
      return token({ sub: "me" })
    })
    world.server.tokens.set(`Bearer ${token({ sub: "me" })}`, "me")
    const { client, sockets } = makeTab(world, { userId: undefined as never, getToken })
    client.retain()
    await world.clock.advance(120_000)
    expect(client.connection.get()).toMatchObject({
      status: "refused",
      nextTryAt: null,
      error: { code: "unauthenticated" },
    })
    const asked = getToken.mock.calls.length
    expect(asked).toBeLessThanOrEqual(2)
    expect(sockets).toHaveLength(0)
    known = true
    client.connect()
    await world.clock.advance(100)
    expect(client.connection.get().status).toBe("connected")
    expect(client.me.get()).toMatchObject({ status: "signed-in", user: { id: "me" } })
  })

  test("getToken: any other error is retried", async () => {
    const world = makeWorld()
    let calls = 0
    const getToken = () => {
      if (++calls < 3) throw new Error("the host is down")
      return token({ sub: "me" })
    }
    const { client } = makeTab(world, { userId: undefined as never, getToken })
    client.retain()
    await world.clock.advance(10_000)
    expect(client.connection.get().status).toBe("connected")
  })

  test("getToken: a refused token is requested once more, then the connection is refused", async () => {
    const world = makeWorld()
    world.server.refuse = (what) => (what === "join_user" ? refusal("unauthenticated") : undefined)
    const reasons: string[] = []
    let serial = 0
    const getToken = ({ reason }: TokenRequest) => {
      reasons.push(reason)
      return token({ sub: "me" }, `sig${++serial}`)
    }
    const { client, sockets } = makeTab(world, { userId: undefined as never, getToken })
    client.retain()
    await world.clock.advance(60_000)
    expect(client.connection.get()).toMatchObject({ status: "refused", error: { code: "unauthenticated" } })
    expect(sockets).toHaveLength(2)
    expect(reasons.slice(0, 2)).toEqual(["connect", "refused"])
  })

  test("getToken: returning the same valid token again reports the server's refusal", async () => {
    const world = makeWorld()
    world.server.refuse = (what) => (what === "join_user" ? refusal("unauthenticated") : undefined)
    const { client, sockets } = makeTab(world, {
      userId: undefined as never,
      getToken: () => token({ sub: "me", exp: world.clock.now() / 1000 + 3600 }),
    })
    client.retain()
    await world.clock.advance(60_000)
    expect(client.connection.get()).toMatchObject({
      status: "refused",
      error: { code: "unauthenticated", message: "Refused: unauthenticated.", retryable: false },
    })
    expect(sockets).toHaveLength(2)
  })

  test("getToken: returning the same expired token again is reported as LL-107", async () => {
    const world = makeWorld()
    world.server.refuse = (what) => (what === "join_user" ? refusal("unauthenticated") : undefined)
    const old = token({ sub: "me", exp: world.clock.now() / 1000 - 60 })
    const { client } = makeTab(world, { userId: undefined as never, getToken: () => old })
    client.retain()
    await world.clock.advance(60_000)
    const { status, error } = client.connection.get()
    expect(status).toBe("refused")
    expect(error).toBeInstanceOf(LamplightError)
    expect(error).toMatchObject({ code: "LL-107", retryable: false })
    for (const part of [error?.saw, error?.expected, error?.fix]) expect(part).toBeTruthy()
  })

  test("getToken: an expired token is never used again", async () => {
    const world = makeWorld()
    let serial = 0
    const reasons: string[] = []
    const getToken = ({ reason }: TokenRequest) => {
      reasons.push(reason)
      const fresh = token({ sub: "me", exp: world.clock.now() / 1000 + 60 }, `sig${++serial}`)
      world.server.tokens.set(`Bearer ${fresh}`, "me")
      return fresh
    }
    const { client, cut } = makeTab(world, { userId: undefined as never, getToken })
    client.retain()
    await world.clock.advance(1_000)
    cut()
    await world.clock.advance(10_000)
    expect(reasons).toEqual(["connect"])
    await world.clock.advance(60_000)
    cut()
    await world.clock.advance(10_000)
    expect(reasons).toEqual(["connect", "expired"])
  })

  test("an HTTP request with a rejected token is repeated once with a fresh one", async () => {
    const world = makeWorld()
    world.server.addUser("me")
    let serial = 0
    const getToken = () => {
      const fresh = token({ sub: "me" }, `sig${++serial}`)
      if (serial !== 1) world.server.tokens.set(`Bearer ${fresh}`, "me")
      return fresh
    }
    const { client } = makeTab(world, { userId: undefined as never, getToken })
    await expect(client.users()).resolves.toMatchObject({ success: true })
    expect(serial).toBe(2)
  })

  test("getToken: concurrent requests share one call", async () => {
    const world = makeWorld()
    world.server.addUser("me")
    world.server.tokens.set(`Bearer ${token({ sub: "me" })}`, "me")
    const getToken = vi.fn(async () => token({ sub: "me" }))
    const { client } = makeTab(world, { userId: undefined as never, getToken })
    await Promise.all([client.users(), client.users("a"), client.users("b")])
    expect(getToken).toHaveBeenCalledTimes(1)
  })

  test("token_expired is answered with a fresh token over the same socket", async () => {
    const world = makeWorld()
    let serial = 0
    const getToken = () => {
      const fresh = token({ sub: "me" }, `sig${++serial}`)
      world.server.tokens.set(`Bearer ${fresh}`, "me")
      return fresh
    }
    const { client, sockets } = makeTab(world, { userId: undefined as never, getToken })
    client.retain()
    await world.clock.advance(1_000)
    for (const peer of world.server.peers) peer.send("token_expired", { graceMs: 30_000 })
    await world.clock.advance(1_000)
    const sent = world.server.seen.find(({ what }) => what === "authenticate")
    expect(sent?.body.token).toBe(token({ sub: "me" }, "sig2"))
    expect(sockets).toHaveLength(1)
  })

  test("without a session the connection is refused; signing in connects, and signing out clears all data", async () => {
    const world = makeWorld()
    world.server.addConversation("7", "me", "asha")
    world.server.store("7", "asha", "hello")
    const { client } = makeTab(world, { userId: undefined as never })
    client.retain()
    await world.clock.advance(1_000)
    expect(client.connection.get()).toMatchObject({ status: "refused", error: { code: "unauthenticated" } })
    expect(client.me.get().status).toBe("signed-out")
    await expect(client.login({ username: "me", password: "wrong" })).rejects.toMatchObject({
      code: "unauthenticated",
    })
    await client.login({ username: "me", password: "right" })
    await world.clock.advance(1_000)
    expect(client.connection.get().status).toBe("connected")
    const seven = client.conversation("7")
    seven.open()
    await world.clock.advance(100)
    expect(seven.messages.get().rows).toHaveLength(1)
    await client.logout()
    await world.clock.advance(1_000)
    expect(client.me.get()).toMatchObject({ status: "signed-out", user: null })
    expect(client.connection.get().status).toBe("refused")
    expect(client.conversations.get().items).toEqual([])
    expect(seven.messages.get()).toMatchObject({ status: "loading", rows: [] })
    expect(client.roster().get().users).toEqual([])
    expect(world.server.peers.size).toBe(0)
  })

  test("the session is requested once, not with every reconnect", async () => {
    const world = makeWorld()
    world.server.addUser("me")
    world.server.session = "me"
    world.server.isLocal = true
    const { client, cut } = makeTab(world, { userId: undefined as never })
    client.retain()
    await world.clock.advance(1_000)
    for (let round = 0; round < 3; round++) {
      cut()
      await world.clock.advance(10_000)
    }
    expect(client.connection.get().status).toBe("connected")
    expect(world.server.seen.filter(({ what }) => what.includes("/api/auth"))).toHaveLength(1)
  })
})

describe("a server that shuts down", () => {
  test("C3: the client reconnects when the server asked it to, without an error, and its messages stay in order", async () => {
    const world = makeWorld()
    world.server.addConversation("c", "me", "ada")
    const { client, cut, sockets } = makeTab(world)
    client.retain()
    await world.clock.advance(10_000)
    const texts = () => world.server.conversations.get("c")?.log.map((entry) => entry.content)
    const sent = [client.conversation("c").send("one")]
    for (const peer of [...world.server.peers]) peer.send("reconnect", { afterMs: 1_700 })
    sent.push(client.conversation("c").send("two"))
    const errors: unknown[] = []
    client.connection.subscribe(() => errors.push(client.connection.get().error))
    await world.clock.advance(1)
    sent.push(client.conversation("c").send("three"))
    expect(client.connection.get()).toMatchObject({ status: "offline", error: null })
    await world.clock.advance(1_690)
    cut()
    expect(sockets).toHaveLength(1)
    sent.push(client.conversation("c").send("four"))
    await world.clock.advance(20)
    expect(sockets).toHaveLength(2)
    await world.clock.advance(5_000)
    await Promise.all(sent)
    expect(texts()).toEqual(["one", "two", "three", "four"])
    expect(client.connection.get()).toMatchObject({ status: "connected", error: null })
    expect(errors.filter(Boolean)).toEqual([])
  })

  test("an unusual reconnect request is bounded", async () => {
    const world = makeWorld()
    const { client, sockets } = makeTab(world)
    client.retain()
    await world.clock.advance(10_000)
    for (const peer of [...world.server.peers]) peer.send("reconnect", { afterMs: 900 })
    await world.clock.advance(2_000)
    expect(sockets).toHaveLength(2)
    expect(client.connection.get()).toMatchObject({ status: "connected", error: null })
    for (const afterMs of [-5, Number.NaN, "soon", undefined, 1e12])
      for (const peer of [...world.server.peers]) peer.send("reconnect", { afterMs })
    await world.clock.advance(31_000)
    expect(client.connection.get().status).toBe("connected")
    // The next loss is one like any other.
    await world.clock.advance(60_000)
    const before = sockets.length
    await world.clock.advance(60_000)
    expect(sockets).toHaveLength(before)
  })
})
