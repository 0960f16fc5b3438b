// Everything a page does with socket.io-client, against the server at argv[2] over the transports of argv[3]
// ("polling", "websocket" or "upgrade"), with argv[4] naming what more it does: "deflate", "msgpack", and trusting the certificates in
// the file argv[5] if there is one. Prints what failed and exits with 1, or prints "ok".
import assert from "node:assert/strict"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { io } from "socket.io-client"
import msgpack from "socket.io-msgpack-parser"

const [url, mode, extra, trusted] = process.argv.slice(2)
const transports = mode === "upgrade" ? ["polling", "websocket"] : [mode]
const options = { transports, forceNew: true, reconnectionDelay: 20, query: { name: `é ${mode}` } }
if (extra?.includes("deflate")) options.perMessageDeflate = { threshold: 0 }
if (extra?.includes("msgpack")) options.parser = msgpack
if (trusted) options.ca = readFileSync(trusted)
const guard = setTimeout(() => fail(new Error("took too long")), 15_000)

function fail(error) {
  console.error(error)
  process.exit(1)
}
process.on("uncaughtException", fail)
process.on("unhandledRejection", fail)

async function event(socket, name) {
  const [first] = await once(socket, name)
  return first
}

async function all(socket, name) {
  return once(socket, name)
}

const socket = io(url, { ...options, auth: { token: "t" } })
const auth = event(socket, "auth")
await event(socket, "connect")
assert.deepEqual(await auth, { token: "t" })
if (mode === "upgrade") {
  if (socket.io.engine.transport.name !== "websocket") await once(socket.io.engine, "upgrade")
}
assert.equal(socket.io.engine.transport.name, mode === "polling" ? "polling" : "websocket")
assert.notEqual(socket.id, socket.io.engine.id)
if (mode !== "polling")
  assert.equal(
    socket.io.engine.transport.ws.extensions,
    extra?.includes("deflate") ? "permessage-deflate" : "",
  )

// Text and binary, both ways, with and without acknowledgements.
let back = all(socket, "message-back")
socket.emit("message", 1, "é\u{1F600}\u{1e}", { a: [null, true] })
assert.deepEqual(await back, [1, "é\u{1F600}\u{1e}", { a: [null, true] }])

back = all(socket, "message-back")
socket.emit("message", Buffer.from([1, 2, 3]), { deep: [Buffer.from([])] }, "end")
assert.deepEqual(await back, [Buffer.from([1, 2, 3]), { deep: [Buffer.from([])] }, "end"])

assert.deepEqual(await socket.timeout(2000).emitWithAck("message-with-ack", [1, { b: 2 }]), [1, { b: 2 }])
assert.deepEqual(
  await socket.timeout(2000).emitWithAck("message-with-ack", Buffer.from([7])),
  Buffer.from([7]),
)

// Every kind of value comes back as JSON has it, whatever it was written as.
const values = [
  [null, true, false, undefined, [undefined], { gone: undefined, kept: 0 }, { null: null }],
  [0, -0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER],
  [-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), -(2 ** 31) - 1, Number.MIN_SAFE_INTEGER],
  // (notepack.io writes whole numbers beyond 64 bits wrong.)
  [0.1, -2.5, 1e-7, 2 ** 63, 5e-324, Number.NaN, Number.POSITIVE_INFINITY],
  [new Date(0), new Date(-1), new Date(Date.UTC(2024, 1, 29, 23, 59, 59, 7)), { at: new Date(8.64e15) }],
  [
    "",
    'a"\\/b\n\r\t\b\f\u0000\u001f\u2028',
    "é\u{1F600}",
    "x".repeat(31),
    "y".repeat(32),
    "z".repeat(70_000),
  ],
  [Array(15).fill(1), Array(16).fill([]), Array(70_000).fill(2), { _placeholder: true, num: 3 }],
  [Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`k${at}`, { at }])), { __proto__x: 1, "": {} }],
]
for (const value of values) {
  const sent = socket.timeout(4000).emitWithAck("message-with-ack", value)
  assert.deepEqual(await sent, JSON.parse(JSON.stringify(value)))
}
for (const bytes of [Uint8Array.of(1, 2), Uint8Array.of(3).buffer, new Uint16Array([258])]) {
  const sent = Buffer.from(bytes.buffer ?? bytes)
  const back = await socket.timeout(2000).emitWithAck("message-with-ack", { bytes })
  assert.deepEqual(Buffer.from(back.bytes), sent)
}

const asked = event(socket, "question")
socket.once("question", (data, answer) => answer(data.length, Buffer.from([data[0]])))
socket.emit("ask")
assert.deepEqual(await asked, Buffer.from([9, 8]))

// Order, through whatever the transport makes of it.
const seen = []
const done = new Promise((resolve) => {
  socket.on("message-back", (number) => {
    seen.push(number)
    if (number === 499) resolve()
  })
})
for (let number = 0; number < 500; number++) socket.emit("message", number)
await done
assert.deepEqual(
  seen,
  Array.from({ length: 500 }, (_, number) => number),
)
socket.off("message-back")

// A large one each way.
const large = Buffer.alloc(300_000, 5)
assert.deepEqual(await socket.timeout(4000).emitWithAck("message-with-ack", large), large)

// Pings go by without anyone noticing (the server's interval is shorter than this).
await new Promise((resolve) => setTimeout(resolve, 700))
assert.ok(socket.connected)

// Another namespace on the same connection; one that refuses; one that is not there.
const custom = socket.io.socket("/custom", { auth: { n: 1 } })
custom.connect()
assert.deepEqual(await event(custom, "auth"), { n: 1 })
assert.deepEqual(await custom.timeout(2000).emitWithAck("message-with-ack", "x"), "x")
const nowhere = socket.io.socket("/nowhere")
nowhere.connect()
assert.equal((await event(nowhere, "connect_error")).message, "Invalid namespace")
const refused = io(url, { ...options, auth: { refuse: true } })
const error = await event(refused, "connect_error")
assert.equal(error.message, "not you")
assert.deepEqual(error.data, { code: 7 })
refused.disconnect()

// Leaving a namespace and coming back.
custom.disconnect()
await new Promise((resolve) => setTimeout(resolve, 50))
custom.connect()
await event(custom, "auth")

// Put out by the server: it stays out until it asks again.
const leftBecause = event(custom, "disconnect")
custom.emit("leave")
assert.equal(await leftBecause, "io server disconnect")
custom.connect()
await event(custom, "connect")
custom.disconnect()

// A transport closed by the server is come back from without being told.
const closed = event(socket, "disconnect")
const first = socket.id
socket.emit("drop")
assert.match(await closed, /transport (close|error)/)
await event(socket, "connect")
assert.notEqual(socket.id, first)
assert.deepEqual(await socket.timeout(2000).emitWithAck("message-with-ack", "again"), "again")

socket.disconnect()
clearTimeout(guard)
console.log("ok")
