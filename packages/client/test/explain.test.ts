/** F26 Set-up mistakes are explained: in the state, in the doctor's report, and once in the console when the client was refused. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import type { LamplightOptions } from "../src/options.js"
import { makeTab, makeWorld, type World } from "./support/harness.js"
import { refusal } from "./support/server.js"

const jwt = `${Buffer.from('{"alg":"HS256"}').toString("base64url")}.${Buffer.from('{"sub":"me"}').toString("base64url")}.sig`
const nobody = { userId: undefined as never }

let world: World
let warned: ReturnType<typeof vi.spyOn>
beforeEach(() => {
  world = makeWorld()
  warned = vi.spyOn(console, "warn").mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

/** A server of that kind, as far as its HTTP side tells. */
function server(auth: "local" | "jwt" | "open", at: { path?: string; isOld?: boolean } = {}) {
  const answer = (status: number, body: object) => new Response(JSON.stringify(body), { status })
  return (async (input: unknown) => {
    const { pathname } = new URL(String(input), "https://chat.example.com")
    if (pathname === (at.path ?? "/api/socketio"))
      return new Response('0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}')
    if (pathname === "/api/auth" && !at.isOld) return answer(200, { success: true, auth, user: null })
    if (pathname === "/api/auth/session")
      return auth === "local" ? answer(401, refusal("unauthenticated")) : answer(404, refusal("not_found"))
    if (pathname === "/api/online-users")
      return auth === "open"
        ? answer(200, { success: true, count: 0 })
        : answer(401, refusal("unauthenticated"))
    if (pathname.startsWith("/api/privatechat/")) return answer(401, refusal("unauthenticated"))
    return answer(404, refusal("not_found"))
  }) as typeof fetch
}

async function refusedWith(options: LamplightOptions) {
  world.server.refuse = (what) => (what === "join_user" ? refusal("unauthenticated") : undefined)
  const { client } = makeTab(world, { url: "https://chat.example.com", ...options })
  client.retain()
  await world.clock.advance(1_000)
  await vi.waitFor(() => expect(warned).toHaveBeenCalled(), 10_000)
  const { status, error } = client.connection.get()
  const { findings } = await client.doctor()
  await world.clock.advance(600_000)
  expect(warned).toHaveBeenCalledTimes(1)
  client.close()
  return { status, error, findings, said: String(warned.mock.calls[0]?.[0]) }
}

describe("F26 the credentials do not fit the server's AUTH", () => {
  test.each([
    ["no getToken against jwt", "jwt", nobody, "the client has no `getToken`"],
    ["userId against jwt", "jwt", { userId: "42" }, "the client has a `userId`, and no `getToken`"],
    ["getToken against local", "local", { ...nobody, getToken: () => jwt }, "the client has a `getToken`"],
    ["userId against local", "local", { userId: "42" }, "the client has a `userId`"],
    ["nothing against open", "open", nobody, "the client gives none"],
    ["userId against an older jwt", "jwt", { userId: "42" }, "the client has a `userId`, and no `getToken`"],
    ["userId against an older local", "local", { userId: "42" }, "the client has a `userId`"],
    ["nothing against an older open", "open", nobody, "the client gives none"],
  ] as const)("F26 %s", async (what, auth, options, saw) => {
    const at = { isOld: what.includes("older") }
    const { status, error, findings, said } = await refusedWith({ ...options, fetch: server(auth, at) })
    expect(status).toBe("refused")
    expect(error).toMatchObject({ code: "LL-116", retryable: false })
    expect(error?.message).toContain(saw)
    for (const part of [error?.saw, error?.expected, error?.fix]) expect(part).toBeTruthy()
    expect(said).toContain(`${error?.fix} (LL-116)`)
    expect(findings.filter(({ code }) => code !== "LL-118").map(({ code, saw }) => [code, saw])).toEqual([
      ["LL-116", error?.saw],
    ])
  })

  test("F26 the error of a token without `sub` has the server's details", async () => {
    const sentence =
      "The token's sub is missing; expected the user's id. Put the user's id into sub. (bad_subject)"
    const token = `${Buffer.from("{}").toString("base64url")}.${Buffer.from("{}").toString("base64url")}.s`
    world.server.refuse = (what) =>
      what === "join_user" ? refusal("unauthenticated", false, { error: sentence }) : undefined
    const { client } = makeTab(world, { ...nobody, getToken: () => token, fetch: server("jwt") })
    client.retain()
    await world.clock.advance(1_000)
    await vi.waitFor(() => expect(warned).toHaveBeenCalledTimes(1), 10_000)
    expect(warned.mock.calls[0]?.[0]).toBe(`Lamplight: ${sentence}`)
    expect(client.connection.get().error).toMatchObject({
      code: "unauthenticated",
      message: sentence,
      saw: "The token's sub is missing",
      fix: "Put the user's id into sub.",
    })
    expect((await client.doctor()).findings.map(({ code }) => code)).toContain("bad_subject")
    client.close()
  })

  test("being signed out logs nothing to the console", async () => {
    const { client } = makeTab(world, { ...nobody, fetch: server("local") })
    client.retain()
    await world.clock.advance(60_000)
    expect(client.connection.get()).toMatchObject({ status: "refused", error: { code: "unauthenticated" } })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(warned).not.toHaveBeenCalled()
    client.close()
  })
})

describe("F26 the server's address", () => {
  test.each([
    ["a path", "https://chat.example.com/lamplight", "Set `url` to https://chat.example.com."],
    ["a query", "https://chat.example.com?x=1", "Set `url` to https://chat.example.com."],
    ["no scheme", "chat.example.com", "Set `url` to https://chat.example.com."],
    ["no scheme and a port", "localhost:3000", "Set `url` to http://localhost:3000."],
    ["two slashes alone", "//chat.example.com", "Set `url` to https://chat.example.com."],
    ["a socket's scheme without TLS", "ws://chat.internal:3000", "Set `url` to http://chat.internal:3000."],
    ["a socket's scheme on this machine", "wss://localhost:3000", "Set `url` to https://localhost:3000."],
    ["a socket's scheme", "wss://chat.example.com", "Set `url` to https://chat.example.com."],
  ])("F26 a url with %s", async (_what, url, fix) => {
    const { client, sockets } = makeTab(world, { url })
    client.retain()
    await world.clock.advance(1_000)
    await vi.waitFor(() => expect(warned).toHaveBeenCalledTimes(1), 10_000)
    expect(client.connection.get()).toMatchObject({ status: "refused", error: { code: "LL-117", fix } })
    await expect(client.users()).rejects.toMatchObject({ code: "LL-117" })
    expect((await client.doctor()).findings).toMatchObject([{ code: "LL-117", fix }])
    expect(sockets).toHaveLength(0)
    expect(world.server.seen).toEqual([])
    client.close()
  })

  test.each([
    "https://chat.example.com",
    "https://chat.example.com/",
    "http://127.0.0.1:3000",
    "HTTP://[::1]:3000",
  ])("%s is accepted", async (url) => {
    const { client } = makeTab(world, { url })
    client.retain()
    await world.clock.advance(1_000)
    expect(client.connection.get().error?.code).not.toBe("LL-117")
    client.close()
  })

  test("F26 a missing url outside of a browser is explained", async () => {
    const { client } = makeTab(world, { fetch: undefined as never })
    client.retain()
    await world.clock.advance(1_000)
    expect(client.connection.get()).toMatchObject({ status: "refused", error: { code: "LL-117" } })
    expect((await client.doctor()).findings).toMatchObject([{ fix: "Give createLamplight a `url`." }])
    client.close()
  })

  test("F26 an http url in an https page is explained", async () => {
    vi.stubGlobal("location", { origin: "https://app.example.com", protocol: "https:" })
    const { client, wires } = makeTab(world, { url: "http://chat.example.com" })
    wires.socketDown = wires.httpDown = true
    client.retain()
    await world.clock.advance(5_000)
    await vi.waitFor(() => expect(client.connection.get().error?.code).toBe("LL-117"), 10_000)
    expect(client.connection.get().error?.message).toContain("browsers block that")
    client.close()
  })

  test("F26 a wrong path is explained while attempts continue, and once in the console", async () => {
    const { client, wires } = makeTab(world, {
      url: "https://chat.example.com",
      path: "chat/socket/",
      fetch: server("open"),
    })
    wires.socketDown = true
    client.retain()
    await world.clock.advance(2_000)
    await vi.waitFor(() => expect(client.connection.get().error?.code).toBe("LL-117"), 10_000)
    const { status, error } = client.connection.get()
    expect(status).toBe("offline")
    expect(error?.message).toBe("Lamplight has no socket at the `path` /chat/socket.")
    expect(error?.fix).toContain("Leave `path` out")
    for (let times = 0; times < 30; times++) {
      await world.clock.advance(10_000)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(client.connection.get().error).toMatchObject({ code: "LL-117" })
    expect(warned).toHaveBeenCalledTimes(1)
    expect((await client.doctor()).findings.map(({ code }) => code)).toEqual(["LL-117"])
    // Corrected on the server: the client connects, and the error is gone.
    wires.socketDown = false
    await world.clock.advance(20_000)
    expect(client.connection.get()).toMatchObject({ status: "connected", error: null })
    client.close()
  })

  test("a server that is down is not a set-up mistake, and the next failure is reported unchanged", async () => {
    const fetch = () => Promise.reject(new TypeError("Failed to fetch"))
    const { client, wires, sockets } = makeTab(world, { url: "https://chat.example.com", fetch })
    wires.socketDown = true
    client.retain()
    for (let times = 0; times < 20; times++) {
      await world.clock.advance(5_000)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(sockets.length).toBeGreaterThan(5)
    expect(client.connection.get().error).toMatchObject({ code: "offline", saw: "websocket error" })
    expect(warned).not.toHaveBeenCalled()
    client.close()
  })

  test("F26 a failing token route is reported as the application's error", async () => {
    const getToken = () => {
      throw new Error("no token: 500")
    }
    const { client } = makeTab(world, {
      ...nobody,
      url: "https://chat.example.com",
      getToken,
      fetch: server("jwt"),
    })
    client.retain()
    await world.clock.advance(3_000)
    const { status, error } = client.connection.get()
    expect({ status, code: error?.code }).toEqual({ status: "offline", code: "LL-119" })
    expect(error?.message).toBe("The application gave no token.")
    expect(error?.saw).toContain("no token: 500")
    await vi.waitFor(() => expect(client.connection.get().error?.fix).toContain("token route fails"), 10_000)
    expect((await client.doctor()).findings.filter(({ code }) => code !== "LL-118")).toMatchObject([
      { code: "LL-119", fix: expect.stringContaining("token route") },
    ])
    expect(client.connection.get().overHttp).toBe(false)
    // Other findings do not hide it either.
    const second = makeTab(world, {
      ...nobody,
      url: "https://chat.example.com",
      getToken,
      fetch: server("jwt"),
    }).client
    second.retain()
    const codes = (await client.doctor()).findings.map(({ code }) => code).filter((code) => code !== "LL-118")
    expect(codes).toEqual(["LL-112", "LL-119"])
    second.close()
    client.close()
  })
})

test("F27 the requested path has no trailing slash", async () => {
  const asked: unknown[] = []
  for (const path of [undefined, "/api/socketio", "/api/socketio/", "api/socketio"]) {
    const { client } = makeTab(world, {
      path: path as never,
      openSocket: (request) => {
        asked.push([request.path, request.addTrailingSlash])
        throw new Error("enough")
      },
    })
    client.retain()
    await world.clock.advance(10)
    client.close()
  }
  expect(asked).toEqual(Array(4).fill(["/api/socketio", false]))
})
