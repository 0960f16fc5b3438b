// A user: tabs, sends by socket and HTTP that are repeated until they are answered, read marks.
import { randomUUID } from "node:crypto"
import { PATIENCE_MS, Tab } from "./tab.mjs"

const MODES = ["full", "diff", "diff", "watch", "none"]
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
  #serial = 0

  /** @param {import("./world.mjs").World} world */
  constructor(world, id, conversations, friends, random) {
    this.world = world
    this.id = id
    this.conversations = conversations
    this.friends = friends
    this.random = random
    for (const conversation of conversations) {
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

  /** Acts until the world says that it is enough. */
  async run() {
    while (!this.world.isOver) {
      await pass(this.world.pause() * this.random.between(0.5, 1.5))
      if (this.world.isOver) return
      await this.#act()
    }
  }

  async #act() {
    const what = this.random.next()
    if (what < 0.72) await this.send(this.random.pick(this.conversations))
    else if (what < 0.78) await this.#burst(this.random.pick(this.conversations))
    else if (what < 0.9) await this.#markRead(this.random.pick(this.conversations))
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

  #record(conversation, more) {
    const clientMessageId = randomUUID()
    const send = {
      clientMessageId,
      user: this.id,
      conversation,
      content: `${clientMessageId} by ${this.id}`,
      invokedAt: performance.now(),
      repeats: [],
      ...more,
    }
    this.world.sends.push(send)
    return send
  }

  /** Sends one message, and repeats it under the same id until it is acknowledged. */
  async send(conversation) {
    const send = this.#record(conversation)
    await this.#attempts(send)
    if (send.ack && this.random.chance(0.02)) {
      // A repetition of what is known to be stored, on any wire and node.
      await this.#attempt(send).catch(() => {})
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
        tab.send(send).then(
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

  async #attempts(send) {
    while (!send.ack && !send.isRefused && !this.world.isPatienceOver) {
      await this.#attempt(send).catch(() => {})
      if (!send.ack) await pass(this.random.between(100, 1_000))
    }
  }

  async #attempt(send) {
    const tab = this.#readyTab()
    this.world.counts.attempts++
    if (tab && this.random.chance(0.7)) {
      let answer
      try {
        answer = await tab.send(send)
      } catch (error) {
        tab.drop()
        throw error
      }
      this.#answered(send, answer, tab)
    } else {
      const { conversation: conversationId, content, clientMessageId } = send
      const node = this.random.pick(this.world.cluster.nodes)
      const answer = await this.http(node, "POST", "/api/privatechat/message", {
        conversationId,
        content,
        clientMessageId,
      })
      this.#answered(send, answer)
    }
  }

  #answered(send, answer, tab) {
    if (answer.success) {
      const { id, seq } = answer.message
      if (send.ack) send.repeats.push({ id, seq })
      else {
        send.ack = { id, seq }
        send.ackedAt = performance.now()
        this.world.counts.acknowledged++
      }
      // The socket that sent it is not sent the message itself.
      tab?.take(send.conversation, seq, id)
    } else if (!RETRIED.has(answer.code)) {
      send.isRefused = true
      this.world.violations.add("refused", `${send.content}: ${answer.code} ${answer.error}`)
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

  /** A page of a log. */
  async page(node, conversation, after) {
    const path = `/api/privatechat/messages/${conversation}?after=${after}&limit=200`
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
