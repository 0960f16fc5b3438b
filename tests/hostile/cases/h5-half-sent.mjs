// Two hundred connections that each send most of a long message or body and never its end: over WebSocket in one frame and in fragments,
// before the CONNECT too, in the POST of a polling session, and to a route that reads JSON.
import { get } from "node:http"
import { connect } from "node:net"

const counts = { sent: 0, cut: 0, refused: 0, busy: 0 }
export const tally = () => counts

const PART = Buffer.alloc(990_000, "x")

/** A frame's header whose payload is masked with zeros. */
function header(first, length) {
  const bytes = Buffer.alloc(14)
  bytes[0] = first
  bytes[1] = 0xff
  bytes.writeUInt32BE(length, 6)
  return bytes
}

export async function attack({ url, token, count, open, wait, isOver, address }) {
  const { hostname, port } = new URL(url)
  const ways = {
    async frame(n) {
      const peer = await open({ token: token(`half${n % 12}`) })
      peer.socket._socket.write(Buffer.concat([header(0x81, 1_000_000), Buffer.from('42["x","'), PART]))
      peer.socket.on("close", (code) => {
        counts.cut++
        if (code === 1013) counts.busy++
      })
    },
    async fragments(n) {
      const peer = await open({ token: token(`half${n % 12}`) })
      const piece = PART.subarray(0, 90_000)
      for (let k = 0; k < 11; k++)
        peer.socket._socket.write(Buffer.concat([header(k ? 0x00 : 0x01, piece.length), piece]))
      peer.socket.on("close", (code) => {
        counts.cut++
        if (code === 1013) counts.busy++
      })
    },
    async early() {
      const peer = await open({ connect: false })
      peer.socket._socket.write(Buffer.concat([header(0x81, 1_000_000), PART]))
      peer.socket.on("close", () => counts.cut++)
    },
    async polling() {
      const path = "/api/socketio/?EIO=4&transport=polling"
      const opened = await new Promise((resolve, reject) => {
        const asked = get(new URL(path, url), { localAddress: address, agent: false }, (answer) =>
          answer.once("data", resolve),
        )
        asked.on("error", reject)
      })
      post(`${path}&sid=${JSON.parse(String(opened).slice(1)).sid}`, "text/plain")
    },
    async route(n) {
      post("/api/privatechat/message", "application/json", token(`half${n % 12}`))
    },
  }
  function post(path, type, as) {
    const socket = connect({ host: hostname, port: Number(port), localAddress: address })
    socket.on("error", () => {})
    socket.on("data", (data) => {
      counts.refused++
      if (String(data).startsWith("HTTP/1.1 429")) counts.busy++
    })
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: ${type}\r\n${as ? `authorization: Bearer ${as}\r\n` : ""}content-length: 1000000\r\n\r\n`,
    )
    socket.write(PART)
  }
  const kinds = Object.values(ways)
  for (let n = 0; n < count && !isOver(); n += kinds.length) {
    const opened = await Promise.allSettled(kinds.map((kind, k) => kind(n + k)))
    counts.sent += opened.filter(({ status }) => status === "fulfilled").length
    await wait(5)
  }
  while (!isOver()) await wait(50)
  return counts
}

export function check({ attack }, assert) {
  assert.ok(attack.busy > 0, `some are told that there is too much: ${JSON.stringify(attack)}`)
}
