// The original system, reduced to what the benchmark needs: presence in Redis, profiles and messages in PostgreSQL, and the
// whole list sent to every client whenever a user joins or leaves. Needs REDIS_URL and DATABASE_URL; NODES is the number of
// processes that share them. It prints its address when it listens.
import { createServer } from "node:http"
import { createAdapter } from "@socket.io/redis-adapter"
import pg from "pg"
import { createClient } from "redis"
import { Server } from "socket.io"

const TTL_SECONDS = 3600
const redis = await createClient({ url: process.env.REDIS_URL }).connect()
const db = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 })

const http = createServer(handleHttp)
const io = new Server(http, { path: "/api/socketio", serveClient: false, transports: ["websocket"] })
io.engine.on("connection", (raw) => {
  raw.request = null
})
// With several nodes, events for rooms and for everyone go through Redis.
if (process.env.NODES > 1) io.adapter(createAdapter(redis, await redis.duplicate().connect()))

const online = (userId) => `online:${userId}`

async function onlineUsers() {
  const ids = await redis.sMembers("online")
  if (ids.length === 0) return []
  const values = await redis.mGet(ids.map(online))
  return values.filter(Boolean).map((value) => JSON.parse(value))
}

async function broadcastList() {
  const users = await onlineUsers()
  io.emit("online_users", { users, count: users.length })
}

const one = async (text, values) => (await db.query(text, values)).rows[0]
const isMember = (conversationId, userId) =>
  one("SELECT 1 FROM participants WHERE conversation_id = $1 AND user_id = $2", [conversationId, userId])

io.on("connection", (socket) => {
  const acknowledged = (handler) => async (payload, ack) => {
    try {
      ack?.({ success: true, ...(await handler(payload)) })
    } catch (error) {
      ack?.({ success: false, error: error.message })
    }
  }
  const room = (conversationId) => `conversation:${conversationId}`

  socket.on(
    "join_user",
    acknowledged(async (payload) => {
      const userId = String(payload?.userId ?? payload)
      // Read the profile first, so that the list contains it without one query per entry.
      const profile = await one("SELECT name, avatar_url FROM users WHERE id = $1", [userId])
      const user = { userId, name: profile?.name, avatarUrl: profile?.avatar_url ?? undefined }
      await redis.setEx(online(userId), TTL_SECONDS, JSON.stringify(user))
      await redis.sAdd("online", userId)
      socket.data.userId = userId
      socket.broadcast.emit("user_online", user)
      await broadcastList()
    }),
  )

  socket.on("user_activity", async () => {
    if (socket.data.userId) await redis.expire(online(socket.data.userId), TTL_SECONDS)
  })

  socket.on(
    "join_conversation",
    acknowledged(async (payload) => {
      const conversationId = String(payload?.conversationId ?? payload)
      if (!(await isMember(conversationId, socket.data.userId))) throw new Error("not a participant")
      socket.join(room(conversationId))
    }),
  )

  socket.on(
    "send_private_message",
    acknowledged(async ({ conversationId, content, tempId }) => {
      const senderId = socket.data.userId
      if (!senderId || !String(content ?? "").trim()) throw new Error("invalid")
      if (!(await isMember(conversationId, senderId))) throw new Error("not a participant")
      const row = await one(
        "INSERT INTO messages (conversation_id, sender_id, content) VALUES ($1, $2, $3) RETURNING id, created_at",
        [conversationId, senderId, content],
      )
      const message = {
        id: String(row.id),
        conversationId: String(conversationId),
        senderId,
        content,
        createdAt: row.created_at,
      }
      socket.join(room(conversationId))
      io.to(room(conversationId)).emit("new_private_message", message)
      return { message, tempId }
    }),
  )

  socket.on("disconnect", async () => {
    const { userId } = socket.data
    if (!userId) return
    await redis.del(online(userId))
    await redis.sRem("online", userId)
    io.emit("user_offline", { userId })
    await broadcastList()
  })
})

// Handles `POST /api/privatechat/conversations` with the header `x-user-id` and the body `{ userId }`.
async function handleHttp(request, response) {
  if (request.method !== "POST" || request.url !== "/api/privatechat/conversations") {
    response.writeHead(404).end()
    return
  }
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const members = [request.headers["x-user-id"], JSON.parse(Buffer.concat(chunks)).userId]
  const { id } = await one("INSERT INTO conversations DEFAULT VALUES RETURNING id", [])
  for (const member of members)
    await db.query("INSERT INTO participants (conversation_id, user_id) VALUES ($1, $2)", [id, member])
  const body = JSON.stringify({ success: true, conversation: { id: String(id) } })
  response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body)
}

http.listen(0, "127.0.0.1", () => console.log(`127.0.0.1:${http.address().port}`))
process.on("SIGTERM", () => process.exit(0))
