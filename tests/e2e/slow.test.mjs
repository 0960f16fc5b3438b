// Long timeouts: an unanswered ping, a token's grace period.
import assert from "node:assert/strict"
import { request } from "node:http"
import { describe, test } from "node:test"
import WebSocket from "ws"
import { seconds, token } from "./support/jwt.mjs"
import { gradient } from "./support/media.mjs"
import { crowd, register } from "./support/person.mjs"
import { JWT, LOCAL, nodeOf, OPEN, serve } from "./support/server.mjs"
import { until } from "./support/wait.mjs"

describe("timeouts of many seconds", { concurrency: 4 }, () => {
  test("an unanswered ping is a timeout after 45 s", async (t) => {
    const server = await serve(t, OPEN)
    const { join } = crowd(t, server)
    const asha = await join("a", { roster: "full" })
    const raw = new WebSocket(`ws://127.0.0.1:${server.port}/api/socketio/?EIO=4&transport=websocket`)
    t.after(() => raw.terminate())
    raw.on("open", () => raw.send("40"))
    const packets = []
    raw.on("message", (data) => packets.push(String(data)))
    await until(() => packets.some((text) => text.startsWith("40")))
    // Measured from before the cause, so that late events do not shorten the time.
    const began = performance.now()
    raw.send('42["join_user","silent"]')
    await asha.seesOnline("silent")
    const offline = await asha.sees("user_offline", (data) => data.userId === "silent", { within: 90_000 })
    const took = performance.now() - began
    t.diagnostic(`told after ${(took / 1_000).toFixed(1)} s`)
    assert.equal(offline.reason, "timeout")
    assert.ok(took > 44_000 && took < 75_000, `${took} ms`)
  })

  test("a socket without a fresh token is closed after the grace period, and may reconnect with one", async (t) => {
    const server = await serve(t, JWT)
    const { connect } = crowd(t, server)
    const client = await connect({ auth: { token: token("a", { exp: seconds() + 4 }) } })
    // From before the token ends.
    const began = performance.now()
    await client.must("join_user", "a")
    await client.sees("token_expired")
    const reason = await client.sees("(disconnect)", () => true, { within: 60_000 })
    const took = performance.now() - began
    assert.equal(reason, "transport close", "a transport, so that a client comes back by itself")
    assert.ok(took > 30_000 && took < 55_000, `${took} ms`)
    const again = await connect({ auth: { token: token("a") } })
    await again.must("join_user", "a")
  })

  test("a picture upload that takes 24 s is accepted, and a stalled one is refused", async (t) => {
    const server = await serve(t, LOCAL)
    const { token } = await register(server)
    const picture = gradient(900, 900)
    const size = Math.ceil(picture.length / 12)
    /** Sends so many of twelve parts, one every two seconds. Resolves to the status of the answer. */
    const send = (parts) =>
      new Promise((resolve, reject) => {
        const headers = { authorization: `Bearer ${token}`, "content-length": picture.length }
        const { port } = nodeOf(server)
        const put = request({ port, host: "127.0.0.1", method: "PUT", path: "/api/account/avatar", headers })
        put.on("response", (answer) => resolve(answer.resume().statusCode)).on("error", reject)
        t.after(() => put.destroy())
        let at = 0
        const next = () => {
          put.write(picture.subarray(at * size, ++at * size))
          if (at === 12) put.end()
          else if (at < parts) timer = setTimeout(next, 2_000)
        }
        let timer = setTimeout(next, 2_000)
        t.after(() => clearTimeout(timer))
      })
    const began = performance.now()
    assert.deepEqual(await Promise.all([send(12), send(3)]), [200, 400])
    assert.ok(performance.now() - began > 24_000)
  })
})
