// Thousands of sockets in one process: a Socket.IO client over WebSocket with nothing that a test does not need.
import { WebSocket } from "ws"
import { within } from "./wait.mjs"

const PATIENCE_MS = 30_000

export class LeanClient {
  /** Frames that carried an event. */
  received = 0
  #acks = new Map()
  #next = 0

  /** @param {string} url */
  constructor(url) {
    const address = `${url.replace("http", "ws")}/api/socketio/?EIO=4&transport=websocket`
    this.socket = new WebSocket(address, { perMessageDeflate: false })
    this.socket.on("error", () => {})
    this.open = new Promise((resolve, reject) => {
      this.socket.on("message", (data) => this.#packet(String(data), resolve))
      this.closed = new Promise((gone) => this.socket.on("close", gone))
      this.closed.then(() => {
        reject(new Error("the socket closed"))
        for (const { fail } of this.#acks.values()) fail(new Error("the socket closed"))
      })
    })
    this.open.catch(() => {})
  }

  #packet(text, opened) {
    if (text === "2") this.socket.send("3")
    else if (text.startsWith("0")) this.socket.send("40")
    else if (text.startsWith("40")) opened()
    else if (text.startsWith("42")) this.received++
    else if (text.startsWith("43")) {
      const at = text.indexOf("[")
      const id = Number(text.slice(2, at))
      this.#acks.get(id)?.resolve(JSON.parse(text.slice(at))[0])
      this.#acks.delete(id)
    }
  }

  /** Emits an event and returns its acknowledgement. */
  async ask(name, data) {
    await this.open
    const id = this.#next++
    const answer = new Promise((resolve, fail) => this.#acks.set(id, { resolve, fail }))
    this.socket.send(`42${id}${JSON.stringify([name, data])}`)
    return within(answer, PATIENCE_MS, name)
  }

  /** Drops the connection without a close. */
  cut() {
    this.socket.terminate()
  }
}

/**
 * Connects users who want no roster, some at a time.
 * @param {string} url @param {string[]} users
 * @returns {Promise<Map<string, LeanClient>>}
 */
export async function joinAll(url, users, atOnce = 50) {
  const clients = new Map()
  const waiting = [...users]
  const worker = async () => {
    for (let user = waiting.pop(); user !== undefined; user = waiting.pop()) {
      const client = new LeanClient(url)
      clients.set(user, client)
      await within(client.open, PATIENCE_MS, `connecting ${user}`)
      const answer = await client.ask("join_user", { userId: user, roster: "none" })
      if (!answer.success) throw new Error(`join_user: ${JSON.stringify(answer)}`)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return clients
}
