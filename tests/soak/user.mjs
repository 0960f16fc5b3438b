// A user: tabs, read marks, and writes by socket and HTTP that are repeated until they are answered.
import { randomUUID } from "node:crypto"
import { PATIENCE_MS, Tab } from "./tab.mjs"

const MODES = ["full", "diff", "diff", "watch", "none"]
const EMOJIS = ["👍", "🎉", "❤️", "👩🏽‍🚀"]
/** Refusals after which the outcome is unknown or another attempt helps. */
const RETRIED = new Set(["unavailable", "internal", "rate_limited", "unauthenticated"])

const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

export class User {
  /** @type {Tab[]} */
  tabs = []
  /** Whether tabs are to be open. */
  isHere = true
  /** By conversation: the highest mark that was confirmed, and all that were tried. */
  marks = new Map()
  /** By conversation: ids of this user's messages that it did not delete. */
  own = new Map()
  #serial = 0

  /** @param {import("./world.mjs").World} world */
  constructor(world, id, conversations, friends, random) {
    this.world = world
    this.id = id
    this.conversations = conversations
    this.friends = friends
    this.random = random
    for (const conversation of conversations) {
      this.own.set(conversation, [])
      this.marks.set(conversation, { confirmed: 0, attempted: new Set() })
    }
  }

  openTab() {
    const name = `${this.id}.${this.#serial++}`
    const tab = new Tab(this, name, this.random.pick(MODES), this.random.fork())
    this.tabs.push(tab)
    tab.open()
    return tab
  }

  closeTab(tab) {
    tab.close()
    this.tabs = this.tabs.filter((one) => one !== tab)
  }

  leave() {
    for (const tab of this.tabs) tab.close()
    this.tabs = []
    this.isHere = false
  }

  /** Acts until the world stops. */
  async run() {
    while (!this.world.isOver) {
      await pass(this.world.pause() * this.random.between(0.5, 1.5))
      if (this.world.isOver) return
      await this.#act()
    }
  }

  async #act() {
    const what = this.random.next()
    const conversation = this.random.pick(this.conversations)
    if (what < 0.58) await this.send(conversation)
    else if (what < 0.64) await this.#burst(conversation)
    else if (what < 0.7) await this.#edit(conversation)
    else if (what < 0.73) await this.#delete(conversation)
    else if (what < 0.81) await this.#react(conversation)
    else if (what < 0.9) await this.#markRead(conversation)
    else if (what < 0.94) {
      if (this.tabs.length < 3) this.openTab()
    } else if (what < 0.98) {
      if (this.tabs.length > 1) this.closeTab(this.random.pick(this.tabs))
    } else if (what < 0.99) {
      this.leave()
      await pass(this.random.between(300, 9_000))
      this.isHere = true
      this.openTab()
    } else {
      // As a network does that changes.
      for (const tab of this.tabs) tab.drop()
    }
  }

  /** @returns {import("./history.mjs").Write} */
  #record(conversation, more) {
    const clientMessageId = randomUUID()
    const write = {
      clientMessageId,
      kind: "message",
      user: this.id,
      conversation,
      invokedAt: performance.now(),
      repeats: [],
      ...more,
    }
    if (write.kind === "message" || write.kind === "edit") write.content = `${clientMessageId} by ${this.id}`
    if (write.kind === "message") this.world.sends.push(write)
    else this.world.changes.push(write)
    return write
  }

  /** Sends one message, and repeats it under the same id until it is acknowledged. */
  async send(conversation) {
    await this.#finish(this.#record(conversation))
  }

  async #edit(conversation) {
    const own = this.own.get(conversation)
    if (own.length === 0) return
    await this.#finish(this.#record(conversation, { kind: "edit", messageId: this.random.pick(own) }))
  }

  async #delete(conversation) {
    const own = this.own.get(conversation)
    if (own.length === 0) return
    const [messageId] = own.splice(this.random.whole(0, own.length), 1)
    await this.#finish(this.#record(conversation, { kind: "delete", messageId }))
  }

  /** Reacts to a message of any user, or removes a reaction, whether it exists or not. */
  async #react(conversation) {
    const held = [...(this.#readyTab()?.views.get(conversation).seen.values() ?? [])]
    const messages = held.filter((entry) => entry.kind === "message")
    if (messages.length === 0) return
    const { id: messageId } = this.random.pick(messages)
    const reaction = { emoji: this.random.pick(EMOJIS), added: this.random.chance(0.7) }
    await this.#finish(this.#record(conversation, { kind: "reaction", messageId, ...reaction }))
  }

  async #finish(write) {
    await this.#attempts(write)
    if (write.ack && !write.isUnchanged && this.random.chance(0.02)) {
      // A repetition of what is known to be stored, on any wire and node.
      await this.#attempt(write).catch(() => {})
    }
  }

  /** Sends several at once on one socket, and repeats those without an acknowledgement, in their order. */
  async #burst(conversation) {
    const tab = this.#readyTab()
    if (!tab) return
    const burst = this.world.counts.bursts++
    const sends = Array.from({ length: this.random.whole(3, 8) }, () => this.#record(conversation, { burst }))
    await Promise.all(
      sends.map((send) =>
        tab.write(...overSocket(send)).then(
          (answer) => {
            this.#answered(send, answer, tab)
            send.isFirstAttempt = Boolean(send.ack)
          },
          () => tab.drop(),
        ),
      ),
    )
    for (const send of sends) if (!send.ack) await this.#attempts(send)
  }

  async #attempts(write) {
    while (!write.ack && !write.isRefused && !this.world.isPatienceOver) {
      await this.#attempt(write).catch(() => {})
      if (!write.ack && !write.isRefused) await pass(this.random.between(100, 1_000))
    }
  }

  async #attempt(write) {
    const tab = this.#readyTab()
    this.world.counts.attempts++
    if (tab && this.random.chance(0.7)) {
      let answer
      try {
        answer = await tab.write(...overSocket(write))
      } catch (error) {
        tab.drop()
        throw error
      }
      this.#answered(write, answer, tab)
    } else {
      const node = this.random.pick(this.world.cluster.nodes)
      this.#answered(write, await this.http(node, ...overHttp(write)))
    }
  }

  #answered(write, answer, tab) {
    if (answer.success) {
      const { entry } = answer
      const { id, seq } = entry
      if (write.ack) write.repeats.push({ id, seq })
      else {
        write.ack = { id, seq }
        write.ackedAt = performance.now()
        write.isUnchanged = entry.clientMessageId !== write.clientMessageId
        if (write.isUnchanged) this.world.counts.unchanged++
        else if (write.kind === "message") this.own.get(write.conversation).push(id)
        if (write.kind === "message") this.world.counts.acknowledged++
        else this.world.counts.changed++
      }
      // The socket that wrote it is not sent the entry itself.
      tab?.take(write.conversation, entry)
    } else if (answer.code === "not_found" && write.messageId) {
      // Whether it is deleted, the log tells.
      write.isRefused = true
      write.isNotFound = true
      this.world.counts.gone++
    } else if (!RETRIED.has(answer.code)) {
      write.isRefused = true
      this.world.violations.add("refused", `${write.kind} ${write.content}: ${answer.code} ${answer.error}`)
    } else this.world.counts.refusals++
  }

  async #markRead(conversation) {
    const tab = this.#readyTab()
    if (!tab) return
    const { top } = tab.views.get(conversation)
    if (top === 0) return
    const seq = this.random.chance(0.7) ? top : this.random.whole(1, top + 1)
    const mark = this.marks.get(conversation)
    mark.attempted.add(seq)
    const path = `/api/privatechat/conversations/${conversation}/read`
    try {
      const answer = this.random.chance(0.5)
        ? await tab.ask("mark_read", { conversationId: conversation, seq })
        : await this.http(this.random.pick(this.world.cluster.nodes), "POST", path, { seq })
      if (answer.success) mark.confirmed = Math.max(mark.confirmed, seq)
    } catch {}
  }

  #readyTab() {
    const ready = this.tabs.filter((tab) => tab.isReady)
    return ready.length > 0 ? this.random.pick(ready) : null
  }

  /** All conversations of the user. */
  async list(node) {
    const all = []
    let cursor = ""
    do {
      const path = `/api/privatechat/conversations?limit=200${cursor && `&cursor=${cursor}`}`
      const answer = await this.http(node, "GET", path)
      if (!answer.success) throw new Error(`list: ${answer.error}`)
      all.push(...answer.data)
      cursor = answer.nextCursor ?? ""
    } while (cursor)
    return all
  }

  /** A page of raw entries. */
  entries(node, conversation, after) {
    return this.#page(node, `${conversation}?kind=all&after=${after}`)
  }

  /** A page of messages as they are now. */
  messages(node, conversation, after) {
    return this.#page(node, `${conversation}?after=${after}`)
  }

  async #page(node, query) {
    const path = `/api/privatechat/messages/${query}&limit=200`
    const answer = await this.http(node, "GET", path)
    if (!answer.success) throw new Error(`page: ${answer.error}`)
    return answer.data
  }

  async http(node, method, path, body) {
    const response = await fetch(node.url + path, {
      method,
      headers: { "x-user-id": this.id, ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    return response.json()
  }
}

const EVENTS = {
  message: "send_private_message",
  edit: "edit_message",
  delete: "delete_message",
  reaction: "react",
}

/** The event and the payload of a write. */
function overSocket({
  kind,
  conversation: conversationId,
  messageId,
  content,
  emoji,
  added,
  clientMessageId,
}) {
  return [EVENTS[kind], { conversationId, messageId, content, emoji, added, clientMessageId }]
}

/** The method, the path and the body of a write. */
function overHttp({ kind, conversation: conversationId, messageId, content, emoji, added, clientMessageId }) {
  if (kind === "message") {
    return ["POST", "/api/privatechat/message", { conversationId, content, clientMessageId }]
  }
  const path = `/api/privatechat/messages/${conversationId}/${messageId}`
  if (kind === "edit") return ["PATCH", path, { content, clientMessageId }]
  if (kind === "delete") return ["DELETE", path, { clientMessageId }]
  return [added ? "PUT" : "DELETE", `${path}/reactions/${encodeURIComponent(emoji)}`, { clientMessageId }]
}
