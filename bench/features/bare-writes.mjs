// Measures the kernel time of a write to a TCP socket on this machine: no server that writes to each receiver can
// take less for a delivery. One process writes to many sockets in rotation, another reads them.
import { fork } from "node:child_process"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import { fileURLToPath } from "node:url"

/** Kernel time of one write of `bytes` to one of `sockets` sockets, in µs. */
export async function bareWrite(sockets, bytes, rounds = 200) {
  const server = createServer({ noDelay: true }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const accepted = []
  const all = new Promise((resolve) => {
    server.on("connection", (socket) => {
      socket.on("error", () => {})
      accepted.push(socket)
      if (accepted.length === sockets) resolve()
    })
  })
  const reader = fork(fileURLToPath(import.meta.url), [String(server.address().port), String(sockets)])
  try {
    await all
    const data = Buffer.alloc(bytes, "x")
    const before = process.cpuUsage()
    for (let round = 0; round < rounds; round++) {
      for (const socket of accepted) socket.write(data)
      await new Promise((resolve) => setTimeout(resolve, 3))
    }
    return process.cpuUsage(before).system / rounds / sockets
  } finally {
    reader.kill()
    for (const socket of accepted) socket.destroy()
    server.close()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port, sockets] = process.argv.slice(2).map(Number)
  for (let count = 0; count < sockets; count++) connect(port, "127.0.0.1").resume()
}
