/** The user of a token, its lifetime, and a change of user. */
import { describe, expect, test, vi } from "vitest"
import { tokenPart } from "../src/identity.js"
import type { LamplightOptions, TokenRequest } from "../src/options.js"
import { makeTab, makeWorld, type World } from "./support/harness.js"
import { refusal } from "./support/server.js"

/** A JWT as any signer makes it: JSON as UTF-8, in base64url. */
const jwt = (claims: object | string, name = "sig") => {
  const text = typeof claims === "string" ? claims : JSON.stringify(claims)
  return `${Buffer.from('{"alg":"HS256"}').toString("base64url")}.${Buffer.from(text).toString("base64url")}.${name}`
}

function makeTokenTab(world: World, getToken: LamplightOptions["getToken"], more: LamplightOptions = {}) {
  return makeTab(world, { userId: undefined as never, getToken: getToken as never, ...more })
}

/** A token that the server takes, over both wires. */
function known(world: World, sub: string, claims: object = {}, name?: string): string {
  const token = jwt({ sub, ...claims }, name)
  world.server.tokens.set(`Bearer ${token}`, sub)
  if (!world.server.users.has(sub)) world.server.addUser(sub)
  return token
}

describe("F1 a token's user id may have any characters", () => {
  test.each(["josé", "用户", "a😀b", "Жанна"])("F1 %s", async (sub) => {
    const world = makeWorld()
    const stored = world.server.addConversation("7", sub, "asha")
    const token = known(world, sub)
    expect(tokenPart(token, 1)).toEqual({ sub })
    const { client, wires } = makeTokenTab(world, () => token)
    client.retain()
    await world.clock.advance(1_000)
    expect(client.connection.get().status).toBe("connected")
    expect(client.me.get().user?.id).toBe(sub)
    wires.swallow.add("send_private_message")
    await client.conversation("7").send("by HTTP")
    await world.clock.advance(10_000)
    expect(stored.log.map(({ senderId }) => senderId)).toEqual([sub])
    client.close()
  })

  test("F1 if the client cannot read the token, the user comes from the server's answer", async () => {
    const world = makeWorld()
    // JSON.parse would make 9007199254740992 of it.
    const token = jwt('{"sub":9007199254740993,"exp":99999999999}')
    world.server.addUser("9007199254740993")
    world.server.tokens.set(`Bearer ${token}`, "9007199254740993")
    const { client, cut } = makeTokenTab(world, () => token)
    client.retain()
    await world.clock.advance(1_000)
    expect(client.me.get()).toMatchObject({ status: "signed-in", user: { id: "9007199254740993" } })
    cut()
    await world.clock.advance(5_000)
    expect(client.connection.get().status).toBe("connected")
    client.close()
  })
})

describe("F3 headers carry ids percent-encoded", () => {
  test.each(["Жанна", "josé", "100%", "a b", "a😀b", "\ud800"])("F3 AUTH=open as %j", async (userId) => {
    const world = makeWorld()
    const shown = userId === "\ud800" ? "\ufffd" : userId
    const stored = world.server.addConversation("7", shown, "asha")
    const seen: string[] = []
    const { client, wires } = makeTab(world, {
      userId,
      fetch: (async (input: string, init: RequestInit) => {
        // As `fetch` does it: a header that is no Latin-1 throws.
        const id = new Headers(init.headers).get("x-user-id") as string
        seen.push(id)
        const path = String(input)
        const body = init.body ? JSON.parse(String(init.body)) : {}
        const { status, reply } = world.server.onHttp(init.method as string, path, body, { "x-user-id": id })
        return new Response(JSON.stringify(reply), { status })
      }) as typeof fetch,
    })
    wires.socketDown = true
    client.retain()
    await world.clock.advance(1_000)
    await client.conversation("7").send("by HTTP")
    await world.clock.advance(10_000)
    if (shown === userId) expect(stored.log.map(({ senderId }) => senderId)).toEqual([userId])
    for (const id of seen) expect(id).toBe(encodeURIComponent(shown))
    client.close()
  })
})

describe("F4 the next user does not act as the previous one", () => {
  /** A module-level client, and the user who is signed in at the host application. */
  function host() {
    const world = makeWorld()
    let serial = 0
    const state = { person: "asha" as string | null, asked: 0 }
    const getToken = () => {
      state.asked++
      if (!state.person) throw new Error("401")
      return known(world, state.person, { exp: world.clock.now() / 1000 + 300 }, `sig${++serial}`)
    }
    world.server.addConversation("7", "asha", "carl")
    world.server.addConversation("8", "ben", "carl")
    world.server.store("7", "carl", "for asha")
    world.server.store("8", "carl", "for ben")
    return { world, state, ...makeTokenTab(world, getToken) }
  }

  test("F4 signing out and in without a page load leaves no data of the former user", async () => {
    const { world, state, client, wires, browser } = host()
    const release = client.retain()
    await world.clock.advance(1_000)
    const seven = client.conversation("7")
    const look = seven.open()
    await world.clock.advance(100)
    expect(seven.messages.get().rows).toHaveLength(1)
    seven.setDraft("a draft of Asha's")
    wires.httpDown = true
    wires.swallow.add("send_private_message")
    await seven.send("waits for Asha")
    await world.clock.advance(100)
    look()
    release()
    state.person = "ben"
    wires.httpDown = false
    wires.swallow.clear()
    await world.clock.advance(5_000)
    client.retain()
    await world.clock.advance(1_000)
    expect(client.me.get().user?.id).toBe("ben")
    expect(client.conversations.get().items.map(({ id }) => id)).toEqual(["8"])
    expect(seven.messages.get().rows).toEqual([])
    expect(seven.draft.get()).toBe("")
    expect(client.outbox.get().items).toEqual([])
    expect((await browser.storage.outbox("asha")).map(({ content }) => content)).toEqual(["waits for Asha"])
    expect(world.server.conversations.get("7")?.log).toHaveLength(1)
    // Back again: what waited for its author goes out.
    state.person = "asha"
    client.connect()
    for (const peer of [...world.server.peers]) peer.send("token_expired", { graceMs: 30_000 })
    await world.clock.advance(5_000)
    expect(client.me.get().user?.id).toBe("asha")
    expect(world.server.conversations.get("7")?.log.map(({ senderId }) => senderId)).toEqual(["carl", "asha"])
    client.close()
  })

  test("F4 signing out and in while the released socket is open leaves no data of the former user", async () => {
    const { world, state, client, sockets } = host()
    const release = client.retain()
    await world.clock.advance(1_000)
    release()
    state.person = "ben"
    client.retain()
    // Written at once, while the user is still unknown.
    const sent = client.conversation("8").send("by Ben")
    await world.clock.advance(1_000)
    await sent
    await world.clock.advance(1_000)
    expect(client.me.get().user?.id).toBe("ben")
    expect(client.conversations.get().items.map(({ id }) => id)).toEqual(["8"])
    expect(world.server.conversations.get("8")?.log.map(({ senderId }) => senderId)).toEqual(["carl", "ben"])
    expect([...world.server.peers].map(({ userId }) => userId)).toEqual(["ben"])
    expect(sockets).toHaveLength(2)
    client.close()
  })

  test("F4 the same user keeps the socket, and StrictMode opens one", async () => {
    const { world, state, client, sockets } = host()
    client.retain()()
    const release = client.retain()
    await world.clock.advance(2_000)
    expect(client.connection.get().status).toBe("connected")
    release()
    client.retain()
    await world.clock.advance(10_000)
    expect(client.connection.get().status).toBe("connected")
    expect(sockets).toHaveLength(1)
    expect(state.asked).toBeLessThanOrEqual(3)
    client.close()
  })

  test("F4 a mount right after signing out does not connect the former user", async () => {
    const { world, state, client } = host()
    const release = client.retain()
    await world.clock.advance(1_000)
    release()
    state.person = null
    client.retain()
    await world.clock.advance(1_000)
    expect(world.server.peers.size).toBe(0)
    expect(client.connection.get().status).toBe("offline")
    client.close()
  })

  describe("F4 messages written after a release wait for a token, in every tab", () => {
    async function twoTabs() {
      const world = makeWorld()
      const state = { person: "asha", failing: false, asked: 0 }
      const { log } = world.server.addConversation("7", "asha", "ben")
      const getToken = async () => {
        if (state.failing) throw new Error("503")
        return known(world, state.person, {}, `sig${++state.asked}`)
      }
      const writer = makeTokenTab(world, getToken)
      const other = makeTab(world, { userId: undefined as never, getToken }, writer.browser)
      const release = writer.client.retain()
      other.client.retain()
      await world.clock.advance(1_000)
      state.failing = true
      writer.cut()
      release()
      return { world, state, log, writer, other }
    }

    test("F4 another tab does not send it as the former user", async () => {
      const { world, state, log, writer, other } = await twoTabs()
      state.person = "ben"
      writer.client.retain()
      await writer.client.conversation("7").send("by Ben")
      await world.clock.advance(2_000)
      // The other tab is still connected as Asha.
      expect(other.client.connection.get().status).toBe("connected")
      expect(log).toEqual([])
      state.failing = false
      await world.clock.advance(60_000)
      expect(log.map(({ senderId, content }) => [senderId, content])).toEqual([["ben", "by Ben"]])
      for (const { client } of [writer, other]) client.close()
    })

    test("F4 another tab sends it once it knows that the user is the same", async () => {
      const { world, state, log, writer, other } = await twoTabs()
      writer.client.retain()
      await writer.client.conversation("7").send("by Asha")
      writer.client.close()
      await world.clock.advance(2_000)
      expect(log).toEqual([])
      state.failing = false
      await world.clock.advance(60_000)
      expect(log.map(({ senderId, content }) => [senderId, content])).toEqual([["asha", "by Asha"]])
      expect(other.client.outbox.get().items).toEqual([])
      other.client.close()
    })
  })

  test("F4 a token requested before the last release is not used", async () => {
    const world = makeWorld()
    const answers: ((token: string) => void)[] = []
    const { client } = makeTokenTab(world, () => new Promise<string>((resolve) => answers.push(resolve)))
    client.retain()()
    client.retain()
    await world.clock.advance(10)
    expect(answers).toHaveLength(2)
    answers[1]?.(known(world, "ben"))
    answers[0]?.(known(world, "asha"))
    await world.clock.advance(1_000)
    expect(client.me.get().user?.id).toBe("ben")
    expect([...world.server.peers].map(({ userId }) => userId)).toEqual(["ben"])
    client.close()
  })

  test("F4 a request of the former user is not sent with the next user's token", async () => {
    const { world, state, client } = host()
    const release = client.retain()
    await world.clock.advance(1_000)
    release()
    await world.clock.advance(5_000)
    state.person = "ben"
    const before = world.server.seen.length
    await expect(client.openConversation("carl")).rejects.toMatchObject({ code: "conflict" })
    expect(world.server.seen.slice(before).filter(({ what }) => what.startsWith("POST"))).toEqual([])
    expect(client.me.get().user?.id).toBe("ben")
    client.close()
  })
})

test("F4 with a cookie, the session is requested again when the client is retained again", async () => {
  const world = makeWorld()
  for (const id of ["asha", "ben"]) world.server.addUser(id)
  world.server.addConversation("7", "asha", "carl")
  world.server.isLocal = true
  world.server.session = "asha"
  const { client } = makeTab(world, { userId: undefined as never })
  const release = client.retain()
  await world.clock.advance(1_000)
  expect(client.conversations.get().items).toHaveLength(1)
  release()
  await world.clock.advance(5_000)
  world.server.session = "ben"
  client.retain()
  await world.clock.advance(1_000)
  expect(client.me.get().user?.id).toBe("ben")
  expect(client.conversations.get().items).toEqual([])
  client.close()
})

describe("F5 a token with surrounding characters", () => {
  test("F5 white space and line ends are trimmed, on the socket and over HTTP", async () => {
    const world = makeWorld()
    const token = known(world, "me")
    const { client, sockets } = makeTokenTab(world, () => ` ${token}\r\n`)
    client.retain()
    await world.clock.advance(1_000)
    expect(client.connection.get().status).toBe("connected")
    expect(sockets[0]?.token).toBe(token)
    client.close()
  })

  test.each([
    ["a line end within", "a.b\n.c", "line ends"],
    ["letters beyond ASCII", "a.ж.c", "beyond ASCII"],
    ["a login page", "<!doctype html><title>Sign in</title>", "an HTML page"],
    ["JSON", '{"token":"a.b.c"}', "JSON"],
    ["an object", { token: "a.b.c" }, "an object"],
    ["a forgotten return", undefined, "nothing (undefined)"],
    ["a header in place of its token", "Bearer a.b.c", '"Bearer"'],
  ])("F5 F26 %s is refused with its own explanation and never sent", async (_what, given, saw) => {
    const world = makeWorld()
    const { client, sockets } = makeTokenTab(world, (() => given) as never)
    client.retain()
    await world.clock.advance(60_000)
    const { status, error } = client.connection.get()
    expect({ status, code: error?.code }).toEqual({ status: "refused", code: "LL-106" })
    expect(error?.message).toContain(saw)
    // The part of the client that knows what to do about it is fetched first.
    await vi.waitFor(() => expect(client.connection.get().error?.fix).toBeTruthy(), 10_000)
    expect(sockets).toHaveLength(0)
    expect(world.server.seen).toEqual([])
    client.close()
  })
})

describe("F6 a token's lifetime is counted from its receipt", () => {
  /** A device whose clock is off by `skewMs`, with tokens of five minutes from a host whose clock is right. */
  function device(skewMs: number, claims: (now: number) => object) {
    const world = makeWorld()
    const state = { skewMs, asked: 0 }
    const getToken = () => {
      const now = world.clock.now() / 1000
      return known(world, "me", claims(now), `sig${++state.asked}`)
    }
    const clock = {
      now: () => world.clock.now() + state.skewMs,
      uptime: () => world.clock.now() - 1_000_000_000_000,
      after: world.clock.after,
    }
    return { world, state, ...makeTokenTab(world, getToken, { clock }) }
  }
  const MINUTE = 60_000
  const fiveMinutes = (now: number) => ({ iat: now, exp: now + 300 })

  test.each([
    ["right", 0],
    ["7 minutes ahead", 7 * MINUTE],
    ["an hour behind", -60 * MINUTE],
  ])("F6 a clock that is %s: one token for all requests of five minutes", async (_what, skewMs) => {
    const { world, state, client } = device(skewMs, fiveMinutes)
    for (let minute = 0; minute < 4; minute++) {
      await client.users()
      await world.clock.advance(MINUTE)
    }
    expect(state.asked).toBe(1)
    await world.clock.advance(MINUTE)
    await client.users()
    expect(state.asked).toBe(2)
  })

  test("F6 without `iat` and with a clock that is ahead, the server decides about the expiry", async () => {
    const { world, state, client } = device(7 * MINUTE, (now) => ({ exp: now + 300 }))
    for (let times = 0; times < 5; times++) await client.users()
    expect(state.asked).toBe(1)
    world.server.tokens.clear()
    await client.users()
    expect(state.asked).toBe(2)
  })

  test("F6 a device clock that jumps by an hour has no effect", async () => {
    const { world, state, client } = device(0, fiveMinutes)
    await client.users()
    state.skewMs = 60 * MINUTE
    await client.users()
    state.skewMs = -60 * MINUTE
    await client.users()
    expect(state.asked).toBe(1)
    await world.clock.advance(1)
  })

  test("F6 a cached token is not used after it expired", async () => {
    const { world, state, client } = device(7 * MINUTE, (now) => {
      const made = Math.floor(now / 60) * 60
      return { iat: made, exp: made + 60 }
    })
    await client.users()
    await world.clock.advance(MINUTE * 1.75)
    // It was made 45 s ago.
    await client.users()
    expect(state.asked).toBe(2)
    await world.clock.advance(11_000)
    await client.users()
    expect(state.asked).toBe(3)
  })

  test("F6 an issuer clock that is set back does not cause a token for each request", async () => {
    let back = 0
    const { world, state, client } = device(0, (now) => fiveMinutes(now - back))
    await client.users()
    back = 3_600
    await world.clock.advance(5 * MINUTE)
    for (let times = 0; times < 5; times++) await client.users()
    expect(state.asked).toBe(2)
  })

  test("F6 a token of three seconds is used for more than one request", async () => {
    const { state, client } = device(0, (now) => ({ iat: now, exp: now + 3 }))
    for (let times = 0; times < 5; times++) await client.users()
    expect(state.asked).toBe(1)
  })
})

test("F7 after `refused` the client requests neither tokens nor data until connect()", async () => {
  const world = makeWorld()
  world.server.addConversation("7", "me", "asha")
  let isBad = true
  world.server.refuse = () => (isBad ? refusal("unauthenticated") : undefined)
  let serial = 0
  const getToken = vi.fn((_request: TokenRequest) => known(world, "me", {}, `sig${++serial}`))
  const { client, environment } = makeTokenTab(world, getToken)
  client.retain()
  const look = client.conversation("7").open()
  await world.clock.advance(2_000)
  expect(client.connection.get().status).toBe("refused")
  const asked = getToken.mock.calls.length
  expect(asked).toBeLessThanOrEqual(4)
  const seen = world.server.seen.length
  client.conversation("7").markRead(1)
  await client.conversation("7").send("waits")
  for (let times = 0; times < 10; times++) {
    await world.clock.advance(60_000)
    environment.tell("wake")
  }
  expect(getToken.mock.calls.length).toBe(asked)
  expect(world.server.seen.length).toBe(seen)
  await expect(client.users()).rejects.toMatchObject({ code: "unauthenticated" })
  expect(getToken.mock.calls.length).toBe(asked)
  await world.clock.advance(1)
  expect(client.outbox.get().items[0]).toMatchObject({ state: "sending", waitingFor: "sign-in" })
  expect(world.clock.pending).toBe(0)
  isBad = false
  client.connect()
  await world.clock.advance(2_000)
  expect(client.connection.get().status).toBe("connected")
  expect(world.server.conversations.get("7")?.log).toHaveLength(1)
  look()
  client.close()
})

describe("getToken under load and failures", () => {
  test("many requests with an expired token share one new token", async () => {
    const world = makeWorld()
    let serial = 0
    const getToken = vi.fn(() => known(world, "me", {}, `sig${++serial}`))
    const answers: (() => void)[] = []
    const { client } = makeTokenTab(world, getToken, {
      fetch: (async (path: string, { headers }: RequestInit) => {
        const given = (headers as Record<string, string>).authorization as string
        const isKnown = world.server.tokens.has(given)
        if (!isKnown) await new Promise<void>((resolve) => answers.push(resolve))
        const reply = isKnown ? { success: true, data: [path] } : refusal("unauthenticated")
        return new Response(JSON.stringify(reply), { status: isKnown ? 200 : 401 })
      }) as typeof fetch,
    })
    await client.users()
    world.server.tokens.clear()
    const all = Promise.all(Array.from({ length: 10 }, () => client.users()))
    await world.clock.advance(10)
    for (const answer of answers) {
      answer()
      await world.clock.advance(50)
    }
    expect((await all).length).toBe(10)
    expect(getToken).toHaveBeenCalledTimes(2)
    client.close()
  })

  test("the socket reuses the token that HTTP fetched when its own expires", async () => {
    const world = makeWorld()
    let serial = 0
    const getToken = vi.fn(() => known(world, "me", {}, `sig${++serial}`))
    const { client } = makeTokenTab(world, getToken)
    client.retain()
    await world.clock.advance(1_000)
    expect(getToken).toHaveBeenCalledTimes(1)
    let isFirst = true
    world.server.refuse = (what) => {
      if (!what.includes("/api/users") || !isFirst) return undefined
      isFirst = false
      return refusal("unauthenticated")
    }
    await client.users()
    expect(getToken).toHaveBeenCalledTimes(2)
    for (const peer of [...world.server.peers]) peer.send("token_expired", { graceMs: 30_000 })
    await world.clock.advance(1_000)
    expect(getToken).toHaveBeenCalledTimes(2)
    expect(world.server.seen.filter(({ what }) => what === "authenticate").map(({ body }) => body)).toEqual([
      { token: expect.stringMatching(/sig2$/) },
    ])
    // And again: that one has ended now.
    for (const peer of [...world.server.peers]) peer.send("token_expired", { graceMs: 30_000 })
    await world.clock.advance(1_000)
    expect(getToken).toHaveBeenCalledTimes(3)
    client.close()
  })

  test("a getToken that never answers is aborted and called again", async () => {
    const world = makeWorld()
    const signals: AbortSignal[] = []
    const { client } = makeTokenTab(world, ({ signal }) => {
      signals.push(signal)
      return signals.length === 1 ? new Promise<string>(() => {}) : known(world, "me")
    })
    client.retain()
    const asked = client.users()
    asked.catch(() => {})
    await world.clock.advance(29_000)
    expect(client.connection.get()).toMatchObject({ status: "connecting" })
    expect(signals).toHaveLength(1)
    await world.clock.advance(5_000)
    expect(signals[0]?.aborted).toBe(true)
    expect(signals[0]?.reason).toMatchObject({ name: "AbortError" })
    await expect(asked).rejects.toMatchObject({ code: "LL-119", retryable: true })
    expect(signals[1]?.aborted).toBe(false)
    expect(client.connection.get().status).toBe("connected")
    client.close()
  })

  test("an error of the other build of this package is recognised", async () => {
    const world = makeWorld()
    // What `require()` gives beside `import`: the same class twice.
    class Unauthorized extends Error {
      override name = "LamplightError"
      code = "unauthenticated"
      retryable = false
    }
    const getToken = vi.fn(() => Promise.reject(new Unauthorized("signed out")))
    const { client } = makeTokenTab(world, getToken)
    client.retain()
    await world.clock.advance(60_000)
    expect(client.connection.get()).toMatchObject({ status: "refused", error: { code: "unauthenticated" } })
    expect(getToken).toHaveBeenCalledTimes(2)
    client.close()
  })

  test("a set-up mistake fails no message, which is sent once the mistake is fixed", async () => {
    const world = makeWorld()
    const stored = world.server.addConversation("7", "me", "asha")
    const token = known(world, "me", { exp: world.clock.now() / 1000 + 3600 })
    let given = token
    const { client, cut } = makeTokenTab(world, () => given)
    client.retain()
    await world.clock.advance(1_000)
    given = "<!doctype html><title>Sign in</title>"
    world.server.tokens.clear()
    world.server.refuse = () => refusal("unauthenticated")
    cut()
    await client.conversation("7").send("waits")
    await world.clock.advance(5_000)
    expect(client.connection.get()).toMatchObject({ status: "refused", error: { code: "LL-106" } })
    await client.conversation("7").send("this, too")
    await world.clock.advance(5_000)
    expect(client.outbox.get()).toMatchObject({ failed: 0, waiting: 2 })
    expect(client.outbox.get().items[0]).toMatchObject({ state: "sending", waitingFor: "sign-in" })
    given = known(world, "me")
    world.server.refuse = () => undefined
    client.connect()
    await world.clock.advance(5_000)
    expect(stored.log.map(({ content }) => content)).toEqual(["waits", "this, too"])
    client.close()
  })
})

describe("a message right after the start", () => {
  test.each(["open", "token", "cookie"])("AUTH by %s: it waits until its user is known", async (way) => {
    const world = makeWorld()
    const stored = world.server.addConversation("7", "me", "asha")
    const getToken = async () => {
      await new Promise<void>((resolve) => world.clock.after(300, resolve))
      return known(world, "me")
    }
    if (way === "cookie") {
      world.server.isLocal = true
      world.server.session = "me"
    }
    const options = way === "token" ? { getToken } : {}
    const { client, wires } = makeTab(world, {
      ...(way === "open" ? {} : { userId: undefined as never }),
      ...options,
    })
    wires.late = new Promise<void>((resolve) => world.clock.after(300, resolve))
    client.retain()
    const result = client.conversation("7").send("Hello")
    await world.clock.advance(5_000)
    expect((await result).ok).toBe(true)
    expect(stored.log.map(({ senderId, content }) => [senderId, content])).toEqual([["me", "Hello"]])
    client.close()
  })

  test("while signed out it is refused and returns its text", async () => {
    const world = makeWorld()
    world.server.isLocal = true
    const { client } = makeTab(world, { userId: undefined as never })
    client.retain()
    const result = client.conversation("7").send("Hello")
    await world.clock.advance(5_000)
    expect(await result).toMatchObject({ ok: false, content: "Hello", error: { code: "unauthenticated" } })
    client.close()
  })
})
