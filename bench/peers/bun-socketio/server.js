// The comparison benchmark's server on socket.io with Bun's engine. It prints its address when it listens.
import { Server as Engine } from "@socket.io/bun-engine"
import { Server } from "socket.io"

const engine = new Engine({ path: "/socket.io/" })
const io = new Server({ serveClient: false })
io.bind(engine)

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

const server = Bun.serve({ hostname: "127.0.0.1", port: 0, ...engine.handler() })
console.log(`127.0.0.1:${server.port}`)
process.on("SIGTERM", () => process.exit(0))
