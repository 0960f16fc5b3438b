// The comparison benchmark's server on Node's socket.io. It prints its address when it listens.
import { createServer } from "node:http"
import { Server } from "socket.io"

const http = createServer()
const io = new Server(http, { serveClient: false, transports: ["websocket"] })
// Discards the handshake request, as the documentation of socket.io advises for many connections.
io.engine.on("connection", (raw) => {
  raw.request = null
})

io.on("connection", (socket) => {
  socket.on("register", (user, ack) => {
    socket.join(user)
    ack({ success: true })
  })
  socket.on("echo", (payload, ack) => ack(payload))
  socket.on("relay", (payload, ack) => {
    socket.to(payload.to).emit("relayed", payload)
    ack({ success: true })
  })
  socket.on("broadcast", ({ count, text }) => {
    for (let number = 0; number < count; number += 1) io.emit("news", { number, text })
  })
})

http.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${http.address().port}`))
process.on("SIGTERM", () => process.exit(0))
