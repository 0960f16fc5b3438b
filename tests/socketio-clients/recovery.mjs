// Connection state recovery as a page has it from socket.io-client, against the server at argv[2] over the transports of argv[3]
// ("polling", "websocket" or "upgrade"), with argv[4] naming what more it does: "deflate", "msgpack". Prints what failed and exits with 1, or prints "ok".
import assert from "node:assert/strict"
import { once } from "node:events"
import { io } from "socket.io-client"
import msgpack from "socket.io-msgpack-parser"

const [url, mode, extra] = process.argv.slice(2)
const transports = mode === "upgrade" ? ["polling", "websocket"] : [mode]
const options = { transports, forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 40 }
if (extra?.includes("deflate")) options.perMessageDeflate = { threshold: 0 }
if (extra?.includes("msgpack")) options.parser = msgpack
const guard = setTimeout(() => fail(new Error("took too long")), 20_000)

function fail(error) {
  console.error(error)
  process.exit(1)
}
process.on("uncaughtException", fail)
process.on("unhandledRejection", fail)

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time))

const socket = io(url, { ...options, query: { recovery: 1 }, auth: { user: "ann" } })
const seen = []
socket.on("n", (number) => seen.push(number))
await once(socket, "connect")
assert.equal(socket.recovered, false)
const id = socket.id

async function lose() {
  const back = once(socket, "connect")
  // As a lost line does. `close()` waits for an upgrade in progress and closes in the turn in which its last poll brings events: the
  // client takes these for events of the next connection, has not counted them when it says how far it got, and so shows them twice.
  socket.io.engine._onClose("transport close")
  await back
}

// Before anything was received, and again after a while in which nothing was.
for (let round = 0; round < 2; round++) {
  await lose()
  assert.equal(socket.recovered, true)
  assert.equal(socket.id, id)
  await pause(round * 600)
}

// Over and over while events come: each of them, once, in order.
let expected = 0
for (let round = 0; round < 8; round++) {
  socket.emit("count", expected, 60, round % 2 ? "x".repeat(1500) : "")
  expected += 60
  for (let cut = 0; cut < 2; cut++) {
    await pause(10 + 17 * round)
    await lose()
    assert.equal(socket.recovered, true)
    assert.equal(socket.id, id)
  }
  while (seen.length < expected) await once(socket, "n")
}
assert.deepEqual(
  seen,
  Array.from({ length: expected }, (_, number) => number),
)

// Acknowledgements both ways on a socket that was recovered.
assert.deepEqual(await socket.timeout(2000).emitWithAck("message-with-ack", [1]), [1])
socket.once("question", (data, answer) => answer(data.length))
socket.emit("ask")
await once(socket, "question")

// Signed in as another user meanwhile: a new socket, which is then recovered itself, though the client still names the old one's offset.
socket.auth = { user: "ben" }
await lose()
assert.equal(socket.recovered, false)
assert.notEqual(socket.id, id)
await lose()
assert.equal(socket.recovered, true)

// A socket that leaves returns as a new one. Another namespace keeps the connection, or a new one might arrive before the leave.
const other = socket.io.socket("/custom")
other.connect()
await once(other, "connect")
socket.disconnect()
socket.connect()
await once(socket, "connect")
assert.equal(socket.recovered, false)
socket.disconnect()
other.disconnect()

// A client that does not request recovery is not recovered, and its events have no additional argument.
const plain = io(url, options)
await once(plain, "connect")
const all = once(plain, "message-back")
plain.emit("message", 1)
assert.deepEqual(await all, [1])
const back = once(plain, "connect")
plain.io.engine.close()
await back
assert.ok(!plain.recovered)
plain.disconnect()

clearTimeout(guard)
console.log("ok")
