/** The transport as it is bundled for browsers, against the original Socket.IO server. */
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { build } from "esbuild"
import { Server } from "socket.io"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { engineRequire } from "./support/web-socket.js"

let folder
let http
let url
let openSocket

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lamplight-bundle-"))
  const outfile = join(folder, "socket.mjs")
  await build({
    entryPoints: [join(import.meta.dirname, "../src/socket.ts")],
    bundle: true,
    format: "esm",
    platform: "browser",
    outfile,
  })
  openSocket = (await import(outfile)).openSocket
  http = createServer()
  const io = new Server(http)
  io.on("connection", (socket) => {
    socket.on("double", ({ text }, ack) => ack({ text: text + text, auth: socket.handshake.auth }))
    socket.on("echo", (payload) => socket.emit("echoed", payload))
    socket.on("upgraded?", (_, ack) => ack(socket.conn.transport.name))
    socket.on("end", () => socket.conn.close())
  })
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve))
  url = `http://127.0.0.1:${http.address().port}`
})

afterAll(async () => {
  http.close()
  await rm(folder, { recursive: true, force: true })
})

const once = (socket, event) => new Promise((resolve) => socket.on(event, resolve))
const ask = (socket, event, payload) => new Promise((resolve) => socket.emit(event, payload, resolve))

function connect(transports) {
  const path = "/socket.io"
  const socket = openSocket({ url, path, transports, auth: { token: "a b&c=d" }, withCredentials: false })
  const connected = once(socket, "connect")
  socket.connect()
  return connected.then(() => socket)
}

for (const [name, transports, last] of [
  ["websocket", ["websocket"], "websocket"],
  ["polling", ["polling"], "polling"],
  ["polling, upgraded to websocket", ["polling", "websocket"], "websocket"],
]) {
  test(`events, acknowledgements and disconnects work over ${name}`, async () => {
    const socket = await connect(transports)
    // Longer than one read of a stream, and outside of ASCII.
    const text = "é😀".repeat(20_000)
    expect(await ask(socket, "double", { text })).toEqual({ text: text + text, auth: { token: "a b&c=d" } })
    const echoed = once(socket, "echoed")
    socket.emit("echo", { text: "" })
    expect(await echoed).toEqual({ text: "" })
    while ((await ask(socket, "upgraded?", null)) !== last);
    const ended = once(socket, "disconnect")
    socket.emit("end", null)
    expect(await ended).toMatch(/transport (close|error)|polling failed/)
    expect(socket.connected).toBe(false)
  })
}

test("polling takes over where WebSocket is refused, and respects the server's payload limit", async () => {
  const http = createServer()
  const io = new Server(http, { transports: ["polling"], maxHttpBufferSize: 2_000 })
  io.on("connection", (socket) => socket.on("length", ({ text }, ack) => ack(text.length)))
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve))
  const socket = openSocket({
    url: `http://127.0.0.1:${http.address().port}`,
    path: "/socket.io",
    transports: ["websocket", "polling"],
    auth: {},
  })
  const connected = once(socket, "connect")
  socket.connect()
  await connected
  // Together these are too large for one request, also by their bytes.
  const texts = Array.from({ length: 6 }, () => "é".repeat(500))
  expect(await Promise.all(texts.map((text) => ask(socket, "length", { text })))).toEqual(
    texts.map(() => 500),
  )
  socket.disconnect()
  io.close()
})

test("an address that does not answer fails the connect", async () => {
  const socket = openSocket({
    url: "http://127.0.0.1:9",
    path: "/socket.io",
    transports: ["polling"],
    auth: {},
  })
  const failed = once(socket, "connect_error")
  socket.connect()
  expect((await failed).message).toMatch(/polling/)
})

describe("over WebSocket", () => {
  const { WebSocketServer } = engineRequire("ws")
  let server

  /** A server that replies to each packet with the result of `answer`; received packets are in the list. */
  async function serve(first, answer) {
    const got = []
    server = new WebSocketServer({ port: 0, host: "127.0.0.1" })
    server.on("connection", (socket) => {
      socket.send(first)
      socket.on("message", (data) => {
        got.push(String(data))
        for (const packet of answer(String(data))) socket.send(packet)
      })
    })
    await new Promise((resolve) => server.on("listening", resolve))
    const url = `http://127.0.0.1:${server.address().port}`
    return { got, socket: openSocket({ url, path: "/", transports: ["websocket"], auth: {} }) }
  }
  afterEach(() => server.close())

  test("pings are answered, and a connection without pings is closed", async () => {
    const hello = '0{"sid":"a","upgrades":[],"pingInterval":60,"pingTimeout":60}'
    const { got, socket } = await serve(hello, (packet) => (packet === "40{}" ? ['40{"sid":"b"}', "2"] : []))
    const lost = once(socket, "disconnect")
    socket.connect()
    await once(socket, "connect")
    expect(socket.id).toBe("b")
    expect(await lost).toBe("ping timeout")
    expect(got).toEqual(["40{}", "3"])
    expect(socket.connected).toBe(false)
  })

  test("a response that is not an Engine.IO handshake fails the connect", async () => {
    const { socket } = await serve("0<html>", () => [])
    const failed = once(socket, "connect_error")
    socket.connect()
    expect((await failed).message).toBe("parse error")
  })
})
