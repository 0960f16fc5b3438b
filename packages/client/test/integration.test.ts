/** The client against the real socket.io, over real transports. */
import { createServer, type Server as HttpServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Server } from "socket.io"
import { io } from "socket.io-client"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import type { Lamplight } from "../src/api.js"
import { createLamplight } from "../src/client.js"
import type { LamplightOptions, SocketLike, SocketRequest } from "../src/options.js"
import { openSocket } from "../src/socket.js"
import { memoryStorage } from "../src/storage.js"
import "./support/web-socket.js"
import { type Peer, TestServer } from "./support/server.js"

let contract: TestServer
let http: HttpServer
let sockets: Server
let url: string
let port: number
const clients: Lamplight[] = []

async function listen(at = 0): Promise<void> {
  http = createServer((request, response) => {
    let text = ""
    request.on("data", (chunk) => {
      text += chunk
    })
    request.on("end", () => {
      const body = text ? JSON.parse(text) : {}
      const headers = request.headers as Record<string, string>
      const { status, reply } = contract.onHttp(request.method ?? "", request.url ?? "", body, headers)
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(reply))
    })
  })
  sockets = new Server(http, { path: "/api/socketio", addTrailingSlash: false, serveClient: false })
  sockets.on("connection", (socket) => {
    const peer: Peer = {
      id: socket.id,
      userId: null,
      token: socket.handshake.auth.token,
      roster: "none",
      watches: new Set(),
      send: (event, payload) => void socket.emit(event, payload),
      cut: () => socket.conn.close(),
    }
    contract.connect(peer)
    socket.on("disconnect", () => contract.disconnect(peer))
    socket.onAny((event, payload, ack) => {
      const reply = contract.onSocket(peer, event, payload)
      if (typeof ack === "function" && !lostAcks.has(event)) ack(reply)
    })
  })
  await new Promise<void>((resolve) => http.listen(at, "127.0.0.1", resolve))
  port = (http.address() as AddressInfo).port
  url = `http://127.0.0.1:${port}`
}

/** As `kill -9` does it: every connection is cut, nothing is finished. */
async function kill(): Promise<void> {
  http.closeAllConnections()
  sockets.disconnectSockets(true)
  await new Promise((resolve) => sockets.close(() => resolve(undefined)))
  for (const peer of [...contract.peers]) contract.disconnect(peer)
}

const lostAcks = new Set<string>()

beforeEach(async () => {
  contract = new TestServer()
  lostAcks.clear()
  await listen()
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  await kill()
})

function startClient(userId: string, options: LamplightOptions = {}): Lamplight {
  const client = createLamplight({ url, userId, storage: memoryStorage(), random: () => 0, ...options })
  clients.push(client)
  client.retain()
  return client
}
const connected = (client: Lamplight) =>
  vi.waitFor(() => expect(client.connection.get().status).toBe("connected"), { timeout: 20_000, interval: 5 })
const texts = (client: Lamplight) =>
  client
    .conversation("7")
    .messages.get()
    .rows.map((row) => [row.content, row.state])
const eventually = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 5 })

/** The client's own socket, and the unmodified socket.io-client in its place. */
const originalSocket = ({ url, ...options }: SocketRequest): SocketLike =>
  io(url, { ...options, autoConnect: false, reconnection: false, forceNew: true, tryAllTransports: true })

describe.each([
  ["its own socket", "websocket", openSocket],
  ["its own socket", "polling", openSocket],
  ["socket.io-client", "websocket", originalSocket],
  ["socket.io-client", "polling", originalSocket],
] as const)("by %s over %s", (_name, transport, open) => {
  const transports = [transport]
  const start = (userId: string, options: LamplightOptions = {}) =>
    startClient(userId, { openSocket: open, ...options })

  test("two users see each other go online and offline, and exchange messages", async () => {
    contract.addConversation("7", "asha", "ben")
    const asha = start("asha", { transports })
    await connected(asha)
    asha.conversation("7").open()
    const ben = start("ben", { transports, roster: "full" })
    await connected(ben)
    ben.conversation("7").open()
    const names = (client: Lamplight) =>
      client
        .roster()
        .get()
        .users.map((one) => one.userId)
    await eventually(() => {
      expect(names(asha)).toEqual(["asha", "ben"])
      expect(names(ben)).toEqual(["asha", "ben"])
    })
    ben.conversation("7").setTyping(true)
    await eventually(() => expect(asha.conversation("7").typing.get().userIds).toEqual(["ben"]))
    await ben.conversation("7").send("hello")
    await eventually(() => {
      expect(texts(asha)).toEqual([["hello", "sent"]])
      expect(texts(ben)).toEqual([["hello", "sent"]])
      expect(asha.conversation("7").typing.get().userIds).toEqual([])
      expect(asha.unread.get().total).toBe(1)
    })
    asha.conversation("7").markRead()
    await eventually(() => expect(ben.conversation("7").readers.get().asha?.readSeq).toBe(1))
    ben.close()
    await eventually(() => expect(names(asha)).toEqual(["asha"]))
    expect(asha.presence("ben").get()).toMatchObject({ status: "offline" })
  })

  test("M1 M5 a server killed in mid-send neither loses nor duplicates messages, and the order is preserved", async () => {
    const stored = contract.addConversation("7", "asha", "ben")
    const asha = start("asha", { transports })
    const ben = start("ben", { transports })
    await connected(asha)
    await connected(ben)
    for (const client of [asha, ben]) client.conversation("7").open()
    const sentTexts = Array.from({ length: 40 }, (_, at) => `${at}`)
    lostAcks.add("send_private_message")
    const sending = (async () => {
      for (const text of sentTexts) await asha.conversation("7").send(text)
    })()
    await new Promise((resolve) => setTimeout(resolve, 60))
    await kill()
    await sending
    expect(asha.outbox.get().waiting).toBeGreaterThan(0)
    lostAcks.clear()
    await new Promise((resolve) => setTimeout(resolve, 300))
    await listen(port)
    await eventually(() => {
      expect(stored.log.map((entry) => entry.content)).toEqual(sentTexts)
      expect(texts(ben)).toEqual(sentTexts.map((text) => [text, "sent"]))
      expect(texts(asha)).toEqual(sentTexts.map((text) => [text, "sent"]))
      expect(asha.outbox.get().items).toEqual([])
    })
  })
})

const start = startClient

test("the other transport is tried when the first one fails", async () => {
  sockets.engine.opts.transports = ["polling"]
  const asha = start("asha")
  await connected(asha)
  expect(asha.connection.get().attempt).toBe(1)
})

test("while the socket is refused, messages go both ways over HTTP", async () => {
  contract.addConversation("7", "asha", "ben")
  const ben = start("ben")
  await connected(ben)
  ben.conversation("7").open()
  const asha = start("asha", { path: "/not/there" })
  asha.conversation("7").open()
  await eventually(() => expect(asha.conversations.get().status).toBe("ready"))
  await asha.conversation("7").send("by HTTP")
  await eventually(() => expect(texts(ben)).toEqual([["by HTTP", "sent"]]))
  await ben.conversation("7").send("by socket")
  await eventually(() =>
    expect(texts(asha)).toEqual([
      ["by HTTP", "sent"],
      ["by socket", "sent"],
    ]),
  )
  expect(asha.connection.get().overHttp).toBe(true)
})

/** A server error that explains a token's fault: the client adds nothing to it. */
const SENTENCE = "The token ended; expected one that has not. Fetch a fresh one. (expired)"

test("the client reconnects after a closed transport, and not after a namespace was refused with a reason", async () => {
  const asha = start("asha")
  await connected(asha)
  for (const peer of contract.peers) peer.cut()
  await eventually(() => expect(asha.connection.get().status).not.toBe("connected"))
  await connected(asha)
  sockets.use((_socket, next) => {
    const error: Error & { data?: unknown } = new Error("unauthenticated")
    error.data = { success: false, code: "unauthenticated", error: SENTENCE, retryable: false }
    next(error)
  })
  const ben = start("ben")
  await eventually(() => expect(ben.connection.get().status).toBe("refused"))
  expect(ben.connection.get().error).toMatchObject({ code: "unauthenticated", message: SENTENCE })
})
