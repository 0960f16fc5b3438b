// A possible member of a group: a socket that reconnects to any node, and the reader's copy of the group's log. All received
// entries are recorded, with their source.
import { io } from "socket.io-client"
import { fold } from "../e2e/support/fold.mjs"
import { PATIENCE_MS } from "./tab.mjs"

/** How long an entry may stay out before it is fetched, and how often all is looked at again. */
const GAP_MS = 300
const LOOK_MS = 2_000
/** Everything works again: missing entries must arrive. */
const SETTLE_MS = 30_000

const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export class Reader {
  /** What arrived. @type {{ seq: number, id: string, kind: string, way: string }[]} */
  got = []
  /** The log as it is shown, without gaps. */
  entries = []
  #first = 1
  #ahead = new Map()
  #socket = null
  #isOpen = false
  #isSyncing = false
  #timers = new Set()

  /** @param {import("./world.mjs").World} world */
  constructor(world, user, place, random) {
    this.world = world
    this.user = user
    this.place = place
    this.random = random
  }

  open() {
    this.#isOpen = true
    this.#connect()
    this.#look()
  }

  close() {
    this.#isOpen = false
    for (const timer of this.#timers) clearTimeout(timer)
    this.#socket?.removeAllListeners()
    this.#socket?.offAny()
    this.#socket?.disconnect()
    this.#socket?.io.engine?.close()
    this.#socket = null
  }

  messages() {
    return fold(this.entries, this.user).filter((message) => !message.deletedAt)
  }

  #later(ms, work) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (this.#isOpen) work()
    }, ms)
    this.#timers.add(timer)
  }

  #connect() {
    const node = this.random.pick(this.world.cluster.nodes)
    const socket = io(node.url, {
      path: "/api/socketio",
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
      timeout: PATIENCE_MS,
    })
    this.#socket = socket
    const over = () => {
      if (this.#socket !== socket) return
      this.#socket = null
      socket.removeAllListeners()
      socket.offAny()
      socket.disconnect()
      socket.io.engine?.close()
      this.#later(this.random.between(100, 1_000), () => this.#connect())
    }
    socket.on("connect_error", over)
    socket.on("disconnect", over)
    socket.onAny((name, data) => {
      const isEntry = name === "new_private_message" || name === "conversation_entry"
      if (isEntry && data.conversationId === this.place) this.#take(data, "push")
    })
    socket.on("connect", async () => {
      try {
        const joined = await this.#ask("join_user", { userId: this.user, roster: "none" })
        if (!joined.success) throw new Error(joined.error)
        await this.#sync()
      } catch {
        over()
      }
    })
  }

  #ask(name, data) {
    if (!this.#socket) return Promise.reject(new Error("no socket"))
    return this.#socket.timeout(PATIENCE_MS).emitWithAck(name, data)
  }

  /** Now and then, as a page does that comes to the front. */
  #look() {
    this.#later(LOOK_MS * this.random.between(0.5, 1.5), async () => {
      await this.#sync().catch(() => {})
      if (this.random.chance(0.3)) await this.#readPages().catch(() => {})
      if (this.#isOpen) this.#look()
    })
  }

  async #sync() {
    if (this.#isSyncing) return
    this.#isSyncing = true
    try {
      for (let hasMore = true; hasMore; ) {
        const have = this.entries.at(-1)?.seq ?? 0
        const answer = await this.#ask("sync", { conversations: { [this.place]: have } })
        if (!answer.success) throw new Error(answer.error)
        const part = answer.conversations[this.place]
        if (part.success === false) {
          if (part.code !== "not_found") throw new Error(part.error)
          return this.#drop()
        }
        if (part.reset) this.#drop()
        if (this.entries.length === 0) this.#first = part.firstSeq
        for (const entry of part.entries) this.#take(entry, "sync")
        hasMore = part.hasMore
      }
    } finally {
      this.#isSyncing = false
    }
  }

  #drop() {
    this.entries = []
    this.#ahead.clear()
    this.#first = 1
  }

  #take(entry, way) {
    const { seq, id, kind } = entry
    this.got.push({ seq, id, kind, way })
    const next = () => (this.entries.at(-1)?.seq ?? this.#first - 1) + 1
    if (seq < next()) return
    this.#ahead.set(seq, entry)
    while (this.#ahead.has(next())) {
      const at = next()
      const one = this.#ahead.get(at)
      this.#ahead.delete(at)
      this.entries.push(one)
      if (one.kind === "members" && one.removed.includes(this.user)) {
        this.#drop()
        this.#later(GAP_MS, () => this.#sync().catch(() => {}))
        return
      }
    }
    if (this.#ahead.size > 0) this.#later(GAP_MS, () => this.#sync().catch(() => {}))
  }

  /** A page of messages and one of entries, somewhere in the log. */
  async #readPages() {
    const at = this.random.whole(1, 200)
    const entries = await this.page(`around=${at}&kind=all`)
    for (const { seq, id, kind } of entries) this.got.push({ seq, id, kind, way: "page of entries" })
    const messages = await this.page(`around=${at}`)
    for (const { seq, id, kind } of messages) this.got.push({ seq, id, kind, way: "page of messages" })
  }

  async #get(path) {
    const node = this.random.pick(this.world.cluster.nodes)
    const response = await fetch(node.url + path, {
      headers: { "x-user-id": this.user },
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    return response.json()
  }

  /** Empty for non-members. */
  async page(query) {
    const answer = await this.#get(`/api/privatechat/messages/${this.place}?${query}`)
    if (!answer.success && answer.code !== "not_found") throw new Error(answer.error)
    return answer.data ?? []
  }

  /** All entries, by pages. */
  all = () => this.#pages("&kind=all")
  /** All messages as a new reader gets them. */
  fresh = () => this.#pages("")

  async #pages(kind) {
    const all = []
    for (;;) {
      const page = await this.page(`after=${all.at(-1)?.seq ?? 0}&limit=200${kind}`)
      if (page.length === 0) return all
      all.push(...page)
    }
  }

  async roles() {
    const path = `/api/privatechat/conversations/${this.place}/members?limit=200`
    const answer = await this.#get(path)
    return new Map(answer.data.map(({ id, role }) => [id, role]))
  }

  /** Waits until the copy of the log is complete, or empty. The check reports differences. */
  async settles(log, isMember) {
    const end = performance.now() + SETTLE_MS
    const is = () => (isMember ? this.entries.at(-1)?.seq === log.at(-1).seq : this.entries.length === 0)
    while (!is() && performance.now() < end) await pass(50)
  }
}
