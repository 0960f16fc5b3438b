// Requests whose bodies are too large, packed or marked, and connections that stay open between requests.
import assert from "node:assert/strict"
import { connect } from "node:net"
import { after, describe, test } from "node:test"
import { gzipSync } from "node:zlib"
import { conversationOf, get, request, somebody } from "./support/person.mjs"
import { nodeOf, OPEN, serve } from "./support/server.mjs"

const server = await serve({ after }, OPEN)
const SEND = "/api/privatechat/message"
const JSON_TYPE = { "content-type": "application/json" }

/** Sends data on a connection as far as the server accepts it, and returns all received data until it is closed. */
function exchange(...parts) {
  return new Promise((resolve, reject) => {
    const socket = connect(nodeOf(server).port, "127.0.0.1")
    let text = ""
    socket.setEncoding("utf8").on("data", (more) => {
      text += more
    })
    socket.on("end", () => resolve(text)).on("error", reject)
    for (const part of parts) socket.write(part)
  })
}

describe("F8 a body over the limit", () => {
  const large = Buffer.alloc(6_000_000, "x")

  test("is refused with a readable answer on every path", { timeout: 120_000 }, async () => {
    const paths = [
      SEND,
      "/api/auth/login",
      "/api/nothing",
      "/chat",
      "/api/socketio/?EIO=4&transport=polling&sid=nobody",
    ]
    const statuses = [413, 404, 404, 405, 400]
    for (const [index, path] of paths.entries()) {
      for (let round = 0; round < (index === 0 ? 60 : 12); round += 1) {
        const answer = await fetch(server.url + path, { method: "POST", body: large, headers: JSON_TYPE })
        assert.equal(answer.status, statuses[index], path)
        await answer.arrayBuffer()
      }
    }
  })

  test("is refused with a readable answer on a polling transport", async () => {
    const polling = `${server.url}/api/socketio/?EIO=4&transport=polling`
    for (let round = 0; round < 12; round += 1) {
      const { sid } = JSON.parse((await (await fetch(polling)).text()).slice(1))
      const answer = await fetch(`${polling}&sid=${sid}`, { method: "POST", body: large })
      assert.equal(answer.status, 413)
      await answer.arrayBuffer()
    }
  })

  test("is refused before it is sent with Expect: 100-continue", async () => {
    const head = `POST ${SEND} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 6000000\r\n\r\n`
    assert.match(await exchange(head), /^HTTP\/1\.1 413 /)
  })

  test("is refused at once with a readable answer if it is announced as endless", async () => {
    const head = `POST ${SEND} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 6000000000\r\n\r\n`
    assert.match(await exchange(head, large, large), /^HTTP\/1\.1 413 /)
  })

  test("a head over its limit is refused", async () => {
    assert.match(
      await exchange(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(2_000_000)}\r\n\r\n`),
      /^HTTP\/1\.1 431 /,
    )
  })
})

describe("F9 idle connections", () => {
  test("stay open for KEEP_ALIVE after an answer", async (t) => {
    const brief = await serve(t, { ...OPEN, KEEP_ALIVE: "1500ms" })
    const socket = connect(nodeOf(brief).port, "127.0.0.1")
    // From before the request: however late the answer is read, the time after it is not too short.
    const asked = performance.now()
    await new Promise((resolve) => socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", resolve))
    await new Promise((resolve) => socket.once("data", resolve))
    await new Promise((resolve) => socket.once("end", resolve))
    const took = performance.now() - asked
    assert.ok(took > 1_400, `${took}`)
  })
})

describe("F11 bodies that are not plain JSON", () => {
  const [a, b] = [somebody("a"), somebody("b")]

  test("are refused with an error that explains the expected format", async () => {
    const id = await conversationOf(server, a, b)
    const plain = JSON.stringify({ conversationId: id, content: "hello" })
    const send = (raw, headers) =>
      request(server, "POST", SEND, { as: a, raw, headers: { ...JSON_TYPE, ...headers } })
    for (const [raw, headers, status, sentence] of [
      [gzipSync(plain), { "content-encoding": "gzip" }, 415, /Content-Encoding/],
      [gzipSync(plain), {}, 415, /compressed/],
      [Buffer.from(`\ufeff${plain}`, "utf16le"), {}, 415, /UTF-8/],
      [plain, { "content-type": "text/plain" }, 415, /Content-Type: application\/json/],
      [plain, { "content-type": "application/json; charset=utf-16" }, 415, /UTF-8/],
      ["", {}, 400, /empty/],
      ["hello", {}, 400, /not JSON/],
    ]) {
      const answer = await send(raw, headers)
      assert.equal(answer.status, status, answer.text)
      assert.equal(answer.body.code, "invalid")
      assert.match(answer.body.error, sentence)
    }
    assert.equal(
      (await send(`\ufeff${plain}`, { "content-type": "application/json;charset=UTF-8" })).status,
      201,
    )
    const log = await get(server, `/api/privatechat/messages/${id}`, { as: a })
    assert.deepEqual(
      log.body.data.map((message) => message.content),
      ["hello"],
    )
  })
})
