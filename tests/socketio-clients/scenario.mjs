// Everything a page does with socket.io-client, for Node and for browsers: `io` is what the client's package exports, `mode` is "polling",
// "websocket" or "upgrade", `more` are further options. Throws what is wrong.

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time))

/** A value as it can be compared: bytes come as a Buffer in Node and as an ArrayBuffer in browsers. */
function plain(value) {
  if (value instanceof ArrayBuffer) return { bytes: [...new Uint8Array(value)] }
  if (ArrayBuffer.isView(value)) {
    return { bytes: [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)] }
  }
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== "object") return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}

function equal(got, expected, what = "") {
  const [left, right] = [JSON.stringify(plain(got)), JSON.stringify(plain(expected))]
  if (left !== right) throw new Error(`${what}: ${left?.slice(0, 300)} in place of ${right?.slice(0, 300)}`)
}

const all = (socket, name) => new Promise((resolve) => socket.once(name, (...args) => resolve(args)))
const event = async (socket, name) => (await all(socket, name))[0]
const bytes = (...values) => Uint8Array.from(values)

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

export async function scenario(io, url, mode, more = {}) {
  const transports = mode === "upgrade" ? ["polling", "websocket"] : [mode]
  const options = { transports, forceNew: true, reconnectionDelay: 20, query: { name: `é ${mode}` }, ...more }

  const socket = io(url, { ...options, auth: { token: "t" } })
  const auth = event(socket, "auth")
  await event(socket, "connect")
  equal(await auth, { token: "t" }, "auth")
  if (mode === "upgrade") {
    if (socket.io.engine.transport.name !== "websocket") await all(socket.io.engine, "upgrade")
  }
  equal(socket.io.engine.transport.name, mode === "polling" ? "polling" : "websocket", "transport")
  if (mode !== "polling") {
    const agreed = more.perMessageDeflate ? "permessage-deflate" : ""
    equal(socket.io.engine.transport.ws.extensions, agreed, "extensions")
  }
  if (socket.id === socket.io.engine.id) throw new Error("the public id is the transport's")

  // Text and binary, both ways, with and without acknowledgements.
  let back = all(socket, "message-back")
  socket.emit("message", 1, "é\u{1F600}\u{1e}", { a: [null, true] })
  equal(await back, [1, "é\u{1F600}\u{1e}", { a: [null, true] }], "text")

  back = all(socket, "message-back")
  socket.emit("message", bytes(1, 2, 3), { deep: [bytes()] }, "end")
  equal(await back, [bytes(1, 2, 3), { deep: [bytes()] }, "end"], "binary")

  const answer = (...args) => socket.timeout(4000).emitWithAck("message-with-ack", ...args)
  equal(await answer([1, { b: 2 }]), [1, { b: 2 }], "an answer")
  equal(await answer(bytes(7)), bytes(7), "a binary answer")

  for (const value of values) equal(await answer(value), JSON.parse(JSON.stringify(value)), "a value")
  for (const data of [bytes(1, 2), bytes(3).buffer, new Uint16Array([258])]) {
    equal(await answer({ data }), { data }, "bytes of each kind")
  }

  const asked = event(socket, "question")
  socket.once("question", (data, reply) => {
    const view = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength)
    reply(view.length, bytes(view[0]))
  })
  socket.emit("ask")
  equal(await asked, bytes(9, 8), "a question")

  // Order is preserved by every transport.
  const seen = []
  const done = new Promise((resolve) => {
    socket.on("message-back", (number) => {
      seen.push(number)
      if (number === 499) resolve()
    })
  })
  for (let number = 0; number < 500; number++) socket.emit("message", number)
  await done
  equal(
    seen,
    Array.from({ length: 500 }, (_, number) => number),
    "order",
  )
  socket.off("message-back")

  // A large one each way.
  const large = new Uint8Array(300_000).fill(5)
  equal(await answer(large), large, "a large answer")

  // Pings go by without anyone noticing (the server's interval is shorter than this).
  await pause(700)
  equal(socket.connected, true, "pings")

  // Another namespace on the same connection; one that refuses; one that is not there.
  const custom = socket.io.socket("/custom", { auth: { n: 1 } })
  custom.connect()
  equal(await event(custom, "auth"), { n: 1 }, "another namespace's auth")
  equal(await custom.timeout(2000).emitWithAck("message-with-ack", "x"), "x", "another namespace's answer")
  const nowhere = socket.io.socket("/nowhere")
  nowhere.connect()
  equal((await event(nowhere, "connect_error")).message, "Invalid namespace", "no namespace")
  const refused = io(url, { ...options, auth: { refuse: true } })
  const error = await event(refused, "connect_error")
  equal([error.message, error.data], ["not you", { code: 7 }], "a refusal")
  refused.disconnect()

  // Leaving a namespace and coming back.
  custom.disconnect()
  await pause(50)
  custom.connect()
  await event(custom, "auth")

  // Disconnected by the server: it stays disconnected until it connects again.
  const leftBecause = event(custom, "disconnect")
  custom.emit("leave")
  equal(await leftBecause, "io server disconnect", "put out")
  custom.connect()
  await event(custom, "connect")
  custom.disconnect()

  // After the server closes the transport, the client reconnects by itself.
  const closed = event(socket, "disconnect")
  const first = socket.id
  socket.emit("drop")
  if (!/transport (close|error)/.test(await closed)) throw new Error("no transport was closed")
  await event(socket, "connect")
  if (socket.id === first) throw new Error("the same socket")
  equal(await answer("again"), "again", "an answer after coming back")
  socket.disconnect()
}
