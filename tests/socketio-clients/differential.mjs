// Compares the reference's parser with the server's: each line on stdin is a text with the server's result, or a packet that the server
// wrote. Prints differences and exits with 1, or prints "ok" and counts.
import assert from "node:assert/strict"
import { createRequire } from "node:module"
import { createInterface } from "node:readline"

// The one that socket.io-client itself uses.
const { Decoder } = createRequire(import.meta.resolve("socket.io-client"))("socket.io-parser")
const types = ["connect", "disconnect", "event", "ack", "connect error", "event", "ack"]
const buffers = (count) => Array.from({ length: count }, (_, at) => Buffer.from([at]))

function reference(text, attachments) {
  let decoded
  const decoder = new Decoder()
  decoder.on("decoded", (packet) => {
    decoded = packet
  })
  try {
    decoder.add(text)
    for (const buffer of buffers(attachments)) if (!decoded) decoder.add(buffer)
  } catch {
    return null
  }
  return decoded ?? null
}

function fill(value, count) {
  // Without attachments a placeholder is an object like any other.
  if (count === 0 || value === null || typeof value !== "object") return value
  if (value._placeholder === true) return buffers(count)[value.num]
  if (Array.isArray(value)) return value.map((item) => fill(item, count))
  const filled = {}
  for (const [key, item] of Object.entries(value)) {
    Object.defineProperty(filled, key, {
      value: fill(item, count),
      enumerable: true,
      writable: true,
      configurable: true,
    })
  }
  return filled
}

function wellFormed(text) {
  try {
    encodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

// The reasons why the server refuses input that the reference accepts.
function stricter(text, packet) {
  if (packet.type === 4) return "a CONNECT_ERROR is not for clients to send"
  if (!/^[0-6](?:(?<=[56])\d+-)?(?:\/[^,]*(?:,|$))?\d*(?:[[{]|$)/.test(text))
    return "not the grammar of the protocol"
  if (types[packet.type] === "event" && packet.data === undefined) return "an event without a name"
  if (types[packet.type] === "event" && !wellFormed(packet.data[0])) return "a name that is no text"
  if (types[packet.type] === "ack" && packet.id === undefined) return "an acknowledgement of nothing"
  if (types[packet.type] === "ack" && packet.data === undefined) return "an acknowledgement without arguments"
  if (packet.id > Number.MAX_SAFE_INTEGER) return "an id that cannot be counted"
  if ("56".includes(text[0]) && /"num":\s*(?!\d+\s*[,}])/.test(text))
    return "a placeholder that is no whole number"
  return null
}

const counts = { agreed: 0, refused: 0, written: 0 }
const reasons = {}
let wrong = 0

function check({ text, got, written }) {
  if (written) {
    const packet = reference(text, written.attachments)
    const data = [written.name, ...fill(JSON.parse(`[${written.args}]`), written.attachments)]
    assert.deepEqual({ nsp: packet?.nsp, data: packet?.data }, { nsp: written.nsp, data })
    counts.written++
    return
  }
  const packet = reference(text, got?.attachments ?? 10)
  if (got === null) {
    if (packet === null) {
      counts.refused++
      return
    }
    const reason = stricter(text, packet)
    assert.ok(reason, `refused, though the reference takes it as ${JSON.stringify(packet)}`)
    reasons[reason] = (reasons[reason] ?? 0) + 1
    return
  }
  assert.ok(packet, "taken, though the reference refuses it")
  const data = got.data === null ? undefined : fill(JSON.parse(got.data), got.attachments)
  assert.deepEqual(
    { kind: types[packet.type], nsp: packet.nsp, data: packet.data },
    { kind: got.kind, nsp: got.nsp, data },
  )
  // A listener is found by the text of a number.
  if (got.kind === "event") assert.equal(String(packet.data[0]), got.name)
  // The others have no use for one.
  if (got.kind === "event" || got.kind === "ack")
    assert.equal(packet.id, got.id === null ? undefined : Number(got.id))
  counts.agreed++
}

for await (const line of createInterface({ input: process.stdin })) {
  const entry = JSON.parse(line)
  try {
    check(entry)
  } catch (error) {
    if (++wrong <= 10) console.error(JSON.stringify(entry), error.message)
  }
}
if (wrong > 0) process.exit(1)
console.log("ok", JSON.stringify({ ...counts, stricter: reasons }))
