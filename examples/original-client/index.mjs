// Two pages of the original system, as a script. Change SERVER to move to Lamplight; nothing else has to change.
import { io } from "socket.io-client"

const SERVER = process.argv[2] ?? process.env.SERVER ?? "http://127.0.0.1:3000"
const HEARTBEAT = 30_000

// The original database counts its users and conversations, so ids are numbers here.
const ASHA = 42
const BEN = 57

/** The state of one page. */
class Page {
  constructor(userId) {
    this.userId = userId
    this.online = new Map()
    this.messages = []
    this.socket = io(SERVER, { path: "/api/socketio" })
    this.socket.on("connect", () => {
      this.socket.emit("join_user", this.userId)
      this.socket.emit("user_activity")
    })
    this.socket.on("disconnect", () => this.online.clear())
    this.heartbeat = setInterval(() => this.socket.emit("user_activity"), HEARTBEAT)

    this.socket.on("online_users", ({ users }) => {
      this.online = new Map(users.map((entry) => [entry.userId, entry]))
    })
    this.socket.on("user_online", (entry) => this.online.set(entry.userId, entry))
    this.socket.on("user_offline", ({ userId }) => this.online.delete(userId))
    this.socket.on("new_private_message", (message) => this.messages.push(message))
    this.socket.on("error_message", (refusal) => fail(`refused: ${refusal.error}`))
    this.socket.on("connect_error", (error) => console.error(`no connection: ${error.message}`))
  }

  sees(userId) {
    return this.online.has(String(userId))
  }

  /** Sends by the socket, or by HTTP if the socket is not connected or does not answer within 5 s. */
  async send(conversationId, content) {
    const tempId = `temp-${Date.now()}`
    const message = { conversationId, senderId: this.userId, content, tempId }
    if (!this.socket.connected) return this.sendByHttp(message)
    this.socket.emit("join_conversation", conversationId)
    try {
      return await this.socket.timeout(5_000).emitWithAck("send_private_message", message)
    } catch {
      return this.sendByHttp(message)
    }
  }

  async sendByHttp(message) {
    const response = await fetch(`${SERVER}/api/privatechat/message`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(message),
    })
    return response.json()
  }

  leave() {
    clearInterval(this.heartbeat)
    this.socket.disconnect()
  }
}

async function get(path, userId) {
  // In the original, the page's session identifies the user. AUTH=open has no sessions, so a header does.
  const headers = userId === undefined ? {} : { "X-User-Id": String(userId) }
  const response = await fetch(SERVER + path, { headers })
  return response.json()
}

/** The original's conversations are rows of the host's database. Here there is none, so Lamplight makes one. */
async function conversationOf(userId, otherId) {
  const response = await fetch(`${SERVER}/api/privatechat/conversations`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-User-Id": String(userId) },
    body: JSON.stringify({ userId: otherId }),
  })
  return (await response.json()).conversation.id
}

function fail(why) {
  console.error(why)
  process.exit(1)
}

function expect(what, holds) {
  if (!holds) fail(`not so: ${what}`)
  console.log(`ok: ${what}`)
}

/** Waits until a condition holds. */
async function see(what, holds, within = 10_000) {
  const end = Date.now() + within
  while (!holds()) {
    if (Date.now() > end) fail(`not seen within ${within} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  console.log(`ok: ${what}`)
}

const conversationId = process.argv[3] ?? (await conversationOf(ASHA, BEN))

const asha = new Page(ASHA)
await see("Asha finds herself in the list", () => asha.sees(ASHA))
const ben = new Page(BEN)
await see("Asha sees Ben come", () => asha.sees(BEN))
await see("Ben has both in his list", () => ben.sees(ASHA) && ben.sees(BEN))

const others = await get(`/api/online-users?excludeUserId=${ASHA}`)
expect(
  "over HTTP, Ben is online besides Asha",
  others.success && others.count === 1 && others.data[0].userId === "57",
)
const { count } = await get("/api/online-users?countOnly=true")
expect("two people are online", count === 2)

const sent = await asha.send(conversationId, "Are you there?")
expect(
  "the message is stored, and tells by its tempId which one it was",
  sent.success && sent.message.id && /^temp-\d+$/.test(sent.tempId),
)
expect("it is Asha's", sent.message.senderId === String(ASHA))
await see("Ben gets it", () => ben.messages.some((message) => message.id === sent.message.id))

asha.socket.disconnect()
const fallback = await asha.send(conversationId, "My socket is gone.")
expect("without a socket it goes by HTTP, with the same answer", fallback.success && fallback.message.id)
await see("Ben gets that too", () => ben.messages.some((message) => message.id === fallback.message.id))
asha.socket.connect()
await see("Asha is back, and has the list again", () => asha.sees(BEN))

const answer = await ben.send(conversationId, "I am.")
await see("Asha gets the answer", () => asha.messages.some((message) => message.id === answer.message.id))
const empty = await ben.send(conversationId, "   ")
expect("an empty message is refused", empty.success === false && empty.code === "empty_message")

const history = await get(`/api/privatechat/messages/${conversationId}`, BEN)
expect(
  "the history has them in order",
  history.success &&
    history.data
      .slice(-3)
      .map((message) => message.content)
      .join() === "Are you there?,My socket is gone.,I am.",
)

ben.leave()
await see("Asha sees Ben go", () => !asha.sees(BEN))
asha.leave()
