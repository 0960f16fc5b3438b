// Users: their sockets with the received events, and their HTTP requests.
import { io } from "socket.io-client"
import { RosterView } from "./roster.mjs"
import { PATIENCE_MS, pass, until, within } from "./wait.mjs"

/** The server answers within 5 s, a refusal included; a loaded machine adds to that. */
const ANSWER_MS = 60_000

/** Requests that may be made twice. */
const REPEATABLE = new Set(["join_user", "set_status", "watch_presence", "mark_read"])

/** A socket that records all events. */
export class Client {
  /** Every event in the order of arrival: `{ name, data, at }`. */
  events = []

  /** @param {string} url @param {import("socket.io-client").ManagerOptions & { auth?: object }} options */
  constructor(url, options = {}) {
    this.socket = io(url, {
      path: "/api/socketio",
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
      ...options,
    })
    this.socket.onAny((name, data) => {
      this.events.push({ name, data, at: performance.now() })
      this.#roster.take(name, data)
    })
    this.socket.on("disconnect", (reason) =>
      this.events.push({ name: "(disconnect)", data: reason, at: performance.now() }),
    )
  }

  #roster = new RosterView()

  /** Each user's newest presence, by user id. */
  get roster() {
    return this.#roster.users
  }

  /** Waits until this socket sees a user with this presence. */
  async knows(userId, fits, limit = PATIENCE_MS) {
    const so = () => fits(this.roster.get(userId) ?? {})
    await until(so, "", limit).catch(() => {
      throw new Error(`${userId} does not look like ${fits} but ${JSON.stringify(this.roster.get(userId))}`)
    })
    return this.roster.get(userId)
  }

  /** Waits until this socket sees a user online, or offline. */
  seesOnline = (userId, limit) => this.knows(userId, (one) => Boolean(one.status), limit)
  seesOffline = (userId, limit) => this.knows(userId, (one) => !one.status, limit)

  get id() {
    return this.socket.id
  }

  /** Resolves when connected, rejects with the server's refusal. */
  async connected() {
    if (this.socket.connected) return this
    await within(
      new Promise((resolve, reject) => {
        this.socket.once("connect", resolve)
        this.socket.once("connect_error", reject)
      }),
      ANSWER_MS,
      "connecting",
    )
    return this
  }

  /** Emits and returns the acknowledgement. */
  ask(name, ...data) {
    return this.socket.timeout(ANSWER_MS).emitWithAck(name, ...data)
  }

  /** Emits, and throws if it is refused. A timeout of a loaded store is retried if that is safe. */
  async must(name, ...data) {
    const end = performance.now() + PATIENCE_MS
    let answer = await this.ask(name, ...data)
    while (answer?.code === "unavailable" && REPEATABLE.has(name) && performance.now() < end) {
      await pass(answer.retryAfterMs)
      answer = await this.ask(name, ...data)
    }
    if (answer?.success !== true) throw new Error(`${name} was refused: ${JSON.stringify(answer)}`)
    return answer
  }

  send(conversationId, content, more = {}) {
    return this.ask("send_private_message", { conversationId, content, ...more })
  }

  /** The current length of the record, to select later events. */
  mark() {
    return this.events.length
  }

  all(name, since = 0) {
    return this.events
      .slice(since)
      .filter((event) => event.name === name)
      .map((event) => event.data)
  }

  /** Waits for a matching event. */
  async sees(name, fits = () => true, { since = 0, within: limit = PATIENCE_MS } = {}) {
    const find = () => this.events.slice(since).find((event) => event.name === name && fits(event.data))
    await until(find, "", limit).catch(() => {
      const came = this.events.slice(since).map((event) => `${event.name} ${JSON.stringify(event.data)}`)
      throw new Error(
        `Within ${limit} ms no ${name} came that fits ${fits}, but ${came.join("\n").slice(-1_500)}`,
      )
    })
    return find().data
  }

  messages(since = 0) {
    return this.all("new_private_message", since)
  }

  close() {
    this.socket.disconnect()
  }

  /** Drops the transport without a close, as a lost network does. */
  cut() {
    const { transport } = this.socket.io.engine
    if (transport.ws) transport.ws.terminate()
    else this.socket.io.engine.close()
  }
}

/**
 * Creates users for one test, and closes their sockets when it ends.
 * @param {{ after(end: () => unknown): void }} t
 * @param {import("./server.mjs").Server} server
 */
export function crowd(t, server) {
  const clients = []
  t.after(() => {
    for (const client of clients) client.close()
  })
  const connect = async (options) => {
    const client = new Client(server.url, options)
    clients.push(client)
    return client.connected()
  }
  /** With `AUTH=open`: a joined socket. */
  const join = async (userId, { roster = "none", options, ...more } = {}) => {
    const client = await connect(options)
    client.joined = await client.must("join_user", { userId, roster, ...more })
    if (roster === "full" || roster === "diff") await client.sees("online_users")
    return client
  }
  /** With a token. */
  const enter = async (account, { roster = "none", options } = {}) => {
    const client = await connect({ auth: { token: account.token }, ...options })
    client.joined = await client.must("join_user", { userId: account.user.id, roster })
    if (roster === "full" || roster === "diff") await client.sees("online_users")
    return client
  }
  return { connect, join, enter }
}

/**
 * One request.
 * @returns {Promise<{ status: number, headers: Headers, body: any, text: string }>}
 */
export async function request(server, method, path, { as, token, body, headers = {}, raw } = {}) {
  const all = { ...headers }
  if (as !== undefined) all["x-user-id"] = String(as)
  if (token !== undefined) all.authorization = `Bearer ${token}`
  if (body !== undefined) all["content-type"] ??= "application/json"
  const response = await fetch(server.url + path, {
    method,
    headers: all,
    body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
    redirect: "manual",
  })
  const text = await response.text()
  let json
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  return { status: response.status, headers: response.headers, body: json, text }
}

export const get = (server, path, options) => request(server, "GET", path, options)
export const post = (server, path, body, options) => request(server, "POST", path, { body, ...options })
export const put = (server, path, body, options) => request(server, "PUT", path, { body, ...options })

/** The conversation of two users, with `AUTH=open`. */
export async function conversationOf(server, one, other) {
  const { body } = await post(server, "/api/privatechat/conversations", { userId: other }, { as: one })
  if (!body?.success) throw new Error(`no conversation: ${JSON.stringify(body)}`)
  return body.conversation.id
}

let serial = 0

/** A user that no other test uses. */
export const somebody = (name = "user") => `${name}-${process.pid}-${serial++}`

/** Creates an account: `{ user, token }`. */
export async function register(server, name = "Asha") {
  const username = `${name.toLowerCase()}.${process.pid}.${serial++}`.slice(0, 32)
  const password = "a lamp in the window"
  const { body } = await post(server, "/api/auth/register", { username, password, name })
  if (!body?.success) throw new Error(`no account: ${JSON.stringify(body)}`)
  return { ...body, username, password }
}
