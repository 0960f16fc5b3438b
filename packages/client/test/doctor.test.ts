import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { Unauthorized } from "../src/errors.js"
import { makeTab, makeWorld, type World } from "./support/harness.js"
import { refusal } from "./support/server.js"

const OPEN = '0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}'
const jwt = (claims: object) => `${btoa('{"alg":"HS256","kid":"k1"}')}.${btoa(JSON.stringify(claims))}.secret`

/** The HTTP side of a server, as a browser sees it. */
interface Front {
  handshake: () => Response | Promise<Response>
  second?: () => Response
  healthz?: () => Response | Promise<Response>
  webSocket?: boolean
}

let world: World

beforeEach(() => {
  world = makeWorld()
})
afterEach(() => {
  vi.unstubAllGlobals()
})

async function examine(front: Front, options: Parameters<typeof makeTab>[1] = {}) {
  vi.stubGlobal("location", { origin: "https://app.example.com" })
  vi.stubGlobal(
    "WebSocket",
    class {
      onmessage: (() => void) | null = null
      onerror: (() => void) | null = null
      onclose: (() => void) | null = null
      constructor() {
        queueMicrotask(() => (front.webSocket === false ? this.onerror?.() : this.onmessage?.()))
      }
      close() {}
    },
  )
  const fetch = async (input: unknown) => {
    const path = String(input)
    if (path.includes("sid=")) return front.second?.() ?? new Response("ok")
    if (path.includes("/healthz")) return front.healthz?.() ?? new Response("ok")
    if (path.includes("EIO=4")) return front.handshake()
    return new Response('{"success":true,"data":[]}')
  }
  const tab = makeTab(world, {
    url: "https://chat.example.com",
    fetch: fetch as typeof globalThis.fetch,
    ...options,
  })
  const diagnosis = await tab.client.doctor()
  return { ...tab, diagnosis, codes: diagnosis.findings.map((finding) => finding.code) }
}

const good: Front = { handshake: () => new Response(OPEN) }
const thrown = (error: Error): never => {
  throw error
}
const unreachable = () => Promise.reject(new TypeError("Failed to fetch"))

describe("the doctor", () => {
  test("reports no finding for a correct set-up", async () => {
    const { diagnosis } = await examine(good)
    expect(diagnosis).toMatchObject({ ok: true, findings: [], facts: { polling: "200", websocket: "works" } })
  })

  test.each<[string, Front]>([
    ["LL-101", { ...good, second: () => new Response('{"code":1}', { status: 400 }) }],
    ["LL-102", { ...good, webSocket: false }],
    ["LL-104", { handshake: () => new Response("", { status: 403 }) }],
    ["LL-104", { handshake: unreachable }],
    ["LL-105", { handshake: () => new Response("", { status: 308 }) }],
    ["offline", { handshake: unreachable, healthz: unreachable }],
    ["bad_answer", { handshake: () => new Response("<html>") }],
  ])("%s has what was seen, what was expected and one fix", async (code, front) => {
    const { diagnosis, codes } = await examine(front)
    expect(codes).toEqual([code])
    for (const text of Object.values(diagnosis.findings[0] ?? {})) expect(text).toBeTruthy()
    if (code === "LL-104")
      expect(diagnosis.findings[0]?.fix).toContain("Add https://app.example.com to ALLOWED_ORIGINS")
  })

  test("LL-104: a Host without its port is not reported as a stripped upgrade", async () => {
    const explanation =
      "Pages of https://app.example.com may not speak to this server. (LL-104: add it to ALLOWED_ORIGINS.)"
    const second = () => new Response(`{"code":4,"message":"${explanation}"}`, { status: 403 })
    const front = { ...good, second, webSocket: false }
    const { diagnosis, codes } = await examine(front, { url: "" })
    expect(codes).toEqual(["LL-104"])
    expect(diagnosis.findings[0]).toMatchObject({
      expected: expect.stringContaining("Host: app.example.com"),
      fix: expect.stringContaining("proxy_set_header Host $http_host"),
    })
    const waf = { ...front, second: () => new Response("blocked", { status: 403 }) }
    expect((await examine(waf, { url: "" })).codes).toEqual(["bad_answer"])
  })

  test("a refusal is reported with the server's details about the token", async () => {
    const problem = "The signature does not fit (HS256); expected a signature by the server's key."
    const fix = "Use the same JWT_SECRET on both sides."
    world.server.refuse = (what) =>
      what === "join_user"
        ? refusal("unauthenticated", false, { error: `${problem} ${fix} (bad_signature)` })
        : undefined
    const getToken = () => jwt({ sub: "me", exp: world.clock.now() / 1000 + 300 })
    const { client } = await examine(good, { userId: undefined as never, getToken })
    client.retain()
    await world.clock.advance(10_000)
    expect(await client.doctor()).toMatchObject({
      ok: false,
      findings: [
        {
          code: "bad_signature",
          saw: "The signature does not fit (HS256)",
          expected: "a signature by the server's key",
          fix,
        },
      ],
    })
    client.close()
  })

  test.each<[string, () => never, string]>([
    ["nobody is signed in", () => thrown(new Unauthorized()), "unauthenticated"],
    ["the token cannot be fetched", () => thrown(new Error("500")), "LL-119"],
  ])("it is not well where %s", async (_what, getToken, code) => {
    const { client } = await examine(good, { userId: undefined as never, getToken })
    client.retain()
    await world.clock.advance(10_000)
    const { findings } = await client.doctor()
    expect(findings.map((finding) => finding.code)).toEqual([code])
    for (const text of Object.values(findings[0] ?? {})) expect(text).toBeTruthy()
    client.close()
  })

  test.each([
    ["LL-106", "a.b.c.d.e"],
    ["LL-106", "zzzz-secret"],
    ["LL-109", jwt({ sub: "me", iat: Date.parse("2026-03-01T13:00:00Z") / 1000 })],
  ])("%s is told of a token that is never shown", async (code, token) => {
    const tab = await examine(good, { userId: undefined as never, getToken: () => token })
    await tab.client.users()
    const diagnosis = await tab.client.doctor()
    expect(diagnosis.findings.map((finding) => finding.code)).toEqual([code])
    expect(JSON.stringify(diagnosis)).not.toContain(token)
  })

  test("LL-103: connections that each end after the same time are reported", async () => {
    const { client, cut } = await examine(good)
    client.retain()
    for (let round = 0; round < 3; round++) {
      await world.clock.advance(60_000)
      cut()
    }
    expect((await client.doctor()).findings.map((finding) => finding.code)).toEqual(["LL-103"])
    client.close()
  })

  test("LL-112: two clients in one page are reported", async () => {
    const first = await examine(good)
    const second = await examine(good)
    first.client.retain()
    second.client.retain()
    expect((await first.client.doctor()).findings.map((finding) => finding.code)).toEqual(["LL-112"])
    second.client.close()
    expect((await first.client.doctor()).ok).toBe(true)
    first.client.close()
  })
})
