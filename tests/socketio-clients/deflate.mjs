// permessage-deflate as `ws` speaks it, against the server at argv[2]. Prints what failed and exits with 1, or prints "ok".
import assert from "node:assert/strict"
import { once } from "node:events"
import WebSocket from "ws"

const url = `${process.argv[2].replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`
const guard = setTimeout(() => fail(new Error("took too long")), 15_000)

function fail(error) {
  console.error(error)
  process.exit(1)
}
process.on("uncaughtException", fail)
process.on("unhandledRejection", fail)

async function join(perMessageDeflate) {
  const socket = new WebSocket(url, { perMessageDeflate })
  const received = []
  let wake = () => {}
  socket.on("message", (data, isBinary) => {
    received.push(isBinary ? data : data.toString())
    wake()
  })
  socket.next = async () => {
    while (received.length === 0)
      await new Promise((resolve) => {
        wake = resolve
      })
    return received.shift()
  }
  await once(socket, "open")
  assert.match(await socket.next(), /^0\{/)
  socket.send("40")
  assert.match(await socket.next(), /^40\{/)
  return socket
}

// What each side offers and keeps is the client's choice; a small window of the server's is what it cannot have.
const both = "permessage-deflate"
for (const [options, extensions] of [
  [true, both],
  [{ threshold: 0 }, both],
  [{ threshold: 0, clientNoContextTakeover: true, serverNoContextTakeover: true }, both],
  [{ threshold: 0, clientMaxWindowBits: 9 }, both],
  [{ threshold: 0, serverMaxWindowBits: 15 }, both],
  [{ serverMaxWindowBits: 10 }, ""],
  [false, ""],
]) {
  const socket = await join(options)
  assert.equal(socket.extensions, extensions, JSON.stringify(options))
  for (const length of [0, 1, 200, 5_000, 400_000]) {
    const text = JSON.stringify("é\u{1F600} and so on; ".repeat(length / 8))
    socket.send(`42["message",${text}]`)
    assert.equal(await socket.next(), `42["message-back",${text}]`)
  }
  // An attachment, and a message in pieces.
  const placeholder = '{"_placeholder":true,"num":0}'
  const data = Buffer.alloc(70_000, "pieces")
  socket.send(`451-["message",${placeholder}]`)
  socket.send(data.subarray(0, 30_000), { fin: false })
  socket.ping()
  socket.send(Buffer.alloc(0), { fin: false })
  socket.send(data.subarray(30_000), { fin: true })
  assert.equal(await socket.next(), `451-["message-back",${placeholder}]`)
  assert.deepEqual(await socket.next(), data)
  socket.close()
  await once(socket, "close")
}

// Longer than the server takes, though it is short on the way.
const bomb = await join({ threshold: 0 })
bomb.send(`42["message","${"x".repeat(1_000_001)}"]`)
const [code] = await once(bomb, "close")
assert.equal(code, 1009)

clearTimeout(guard)
console.log("ok")
