// A tab of a user: a socket that reconnects to any node, and the tab's copies of the logs.
import { io } from "socket.io-client"
import { RosterView } from "../e2e/support/roster.mjs"

/** The server answers within 5 s. A socket that is silent for longer is dropped. */
export const PATIENCE_MS = 6_000
const HEARTBEAT_MS = 15_000
/** How long an entry may stay out before the tab fetches it. */
const GAP_MS = 500

/** A tab's copy of one conversation. */
class View {
  /** Entries up to here were there before the tab; unknown at first. */
  base = Number.POSITIVE_INFINITY
  /** The entry by `seq`, of what came later. */
  seen = new Map()
  /** Everything after `base` and up to here is held. */
  top = 0
  #highest = 0

  begin(headSeq) {
    this.base = headSeq
    this.top = headSeq
    this.#advance()
  }

  take(entry) {
    const { seq } = entry
    if (seq > this.base || !this.isKnown) this.seen.set(seq, entry)
    this.#highest = Math.max(this.#highest, seq)
    this.#advance()
  }

  get isKnown() {
    return this.base !== Number.POSITIVE_INFINITY
  }

  #advance() {
    if (this.isKnown) while (this.seen.has(this.top + 1)) this.top++
  }

  get hasGap() {
    return this.isKnown && this.#highest > this.top
  }
}

/** What one connection brings of one conversation. */
class Pushed {
  /** Everything after it must be pushed; known once the tab has caught up. */
  from = Number.POSITIVE_INFINITY
  top = 0
  all = new Set()
}

export class Tab {
  /** @type {Map<string, View>} */
  views = new Map()
  roster = new RosterView()
  /** Joined, and caught up once since. */
  isReady = false
  isOpen = false
  /** The node that it is connected to. */
  node = null
  #socket = null
  #timer = null
  #heartbeat = null
  /** What this connection was pushed, by conversation. @type {Map<string, Pushed>} */
  #pushed = new Map()
  /** The ids of entries written over this connection, which are not pushed to it. */
  #sent = new Set()
  #gapTimers = new Map()

  /** @param {import("./user.mjs").User} user */
  constructor(user, name, mode, random) {
    this.user = user
    this.name = name
    this.mode = mode
    this.random = random
    this.world = user.world
    for (const conversation of user.conversations) this.views.set(conversation, new View())
  }

  open() {
    this.isOpen = true
    this.#connect()
  }

  /** Closes it as a user does. */
  close() {
    this.isOpen = false
    clearTimeout(this.#timer)
    for (const timer of this.#gapTimers.values()) clearTimeout(timer)
    this.#gapTimers.clear()
    this.#leave()
  }

  /** Drops a socket that does not answer; another one follows. */
  drop() {
    if (!this.#socket) return
    this.world.counts.drops++
    this.#leave()
    this.#again()
  }

  #leave() {
    clearInterval(this.#heartbeat)
    const socket = this.#socket
    this.#socket = null
    this.isReady = false
    this.node = null
    if (!socket) return
    socket.removeAllListeners()
    socket.offAny()
    socket.disconnect()
    // A polite close may not get through; the transport is closed all the same.
    socket.io.engine?.close()
  }

  #again() {
    if (!this.isOpen) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#connect(), this.random.between(100, 1_500))
  }

  #connect() {
    const node = this.random.pick(this.world.cluster.nodes)
    const transports = this.random.chance(0.15) ? ["polling"] : ["websocket"]
    const socket = io(node.url, {
      path: "/api/socketio",
      transports,
      forceNew: true,
      reconnection: false,
      timeout: PATIENCE_MS,
    })
    this.#socket = socket
    this.#sent.clear()
    for (const conversation of this.views.keys()) this.#pushed.set(conversation, new Pushed())
    const over = () => {
      if (this.#socket !== socket) return
      this.#leave()
      this.#again()
    }
    socket.on("connect_error", over)
    socket.on("disconnect", over)
    socket.onAny((name, data) => {
      if (name === "new_private_message" || name === "conversation_entry") this.#entry(data)
      else this.roster.take(name, data)
    })
    socket.on("connect", () => {
      this.node = node
      this.world.counts.connects++
      this.#begin(socket).catch((error) => {
        if (this.#socket !== socket) return
        this.world.note(`${this.name}: ${error.message}`)
        this.drop()
      })
    })
  }

  async #begin(socket) {
    const { success, error } = await this.ask("join_user", { userId: this.user.id, roster: this.mode })
    if (!success) throw new Error(`join_user: ${error}`)
    if (this.mode === "watch") {
      const answer = await this.ask("watch_presence", { userIds: this.user.friends })
      if (!answer.success) throw new Error(`watch_presence: ${answer.error}`)
      for (const one of answer.users ?? answer.states ?? []) this.roster.know(one)
    }
    if ([...this.views.values()].every((view) => view.isKnown)) await this.#sync()
    else await this.#firstHeads()
    if (this.#socket !== socket) return
    this.isReady = true
    this.#heartbeat = setInterval(() => {
      this.ask("user_activity", {}).catch(() => this.#socket === socket && this.drop())
    }, HEARTBEAT_MS)
  }

  /** Where the logs are when the tab is new. */
  async #firstHeads() {
    const list = await this.user.list(this.node ?? this.random.pick(this.world.cluster.nodes))
    for (const { id, headSeq } of list) {
      const view = this.views.get(id)
      if (view && !view.isKnown) view.begin(headSeq)
      if (view) this.#pushed.get(id).from = headSeq
    }
    if (![...this.views.values()].every((view) => view.isKnown))
      throw new Error("a conversation is not listed")
  }

  async #sync() {
    let open = [...this.views.keys()]
    while (open.length > 0) {
      const conversations = Object.fromEntries(open.map((id) => [id, this.views.get(id).top]))
      const answer = await this.ask("sync", { conversations })
      if (!answer.success) throw new Error(`sync: ${answer.error}`)
      const next = []
      for (const [id, part] of Object.entries(answer.conversations)) {
        if (part.success === false) throw new Error(`sync of ${id}: ${part.error}`)
        if (part.reset) this.world.violations.add("reset", `${this.name} in ${id}`)
        for (const entry of part.entries) this.views.get(id).take(entry)
        this.#pushed.get(id).from = part.headSeq
        if (part.hasMore) next.push(id)
      }
      open = next
    }
  }

  /** Emits, and waits for the answer; a socket without one is no good any more. */
  ask(name, data) {
    if (!this.#socket) return Promise.reject(new Error("no socket"))
    return this.#socket.timeout(PATIENCE_MS).emitWithAck(name, data)
  }

  /** Writes an entry over this connection. */
  write(event, body) {
    this.#sent.add(body.clientMessageId)
    return this.ask(event, body)
  }

  /** The entries pushed to this connection, to be compared with the logs. */
  pushes() {
    return [...this.#pushed].map(([conversation, { from, all }]) => ({
      name: `${this.name} on ${this.node?.name}`,
      conversation,
      from,
      all,
      sent: this.#sent,
    }))
  }

  #entry(entry) {
    const { conversationId, seq } = entry
    const view = this.views.get(conversationId)
    const what = `${this.name} on ${this.node?.name}: ${conversationId}/${seq}`
    if (!view) return this.world.violations.add("not a member", what)
    this.world.counts.pushes++
    const pushed = this.#pushed.get(conversationId)
    if (pushed.all.has(seq)) this.world.violations.add("pushed twice", what)
    else if (seq < pushed.top) {
      // Only what the node gave up may come after later entries.
      this.world.counts.late++
      this.world.note(`${what} came after ${pushed.top}`)
    }
    pushed.top = Math.max(pushed.top, seq)
    pushed.all.add(seq)
    this.take(conversationId, entry)
  }

  /** An entry from any source. */
  take(conversation, entry) {
    const view = this.views.get(conversation)
    view.take(entry)
    if (view.hasGap && !this.#gapTimers.has(conversation)) {
      this.#gapTimers.set(
        conversation,
        setTimeout(() => this.#fill(conversation), GAP_MS),
      )
    }
  }

  async #fill(conversation) {
    const view = this.views.get(conversation)
    try {
      while (this.isOpen && view.hasGap) {
        this.world.counts.gaps++
        const entries = await this.user.entries(
          this.random.pick(this.world.cluster.nodes),
          conversation,
          view.top,
        )
        for (const entry of entries) view.take(entry)
      }
    } catch (error) {
      this.world.note(`${this.name}: ${error.message}`)
    } finally {
      this.#gapTimers.delete(conversation)
    }
    // After an error, later.
    if (this.isOpen && view.hasGap) {
      this.#gapTimers.set(
        conversation,
        setTimeout(() => this.#fill(conversation), GAP_MS),
      )
    }
  }
}
