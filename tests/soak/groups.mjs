// Groups whose members change while faults happen, and users who block each other. Removed members get nothing after the
// entry of their removal, from any source; new members see nothing from before; a block refuses writes at once.
import { randomUUID } from "node:crypto"
import { checkBlocks, checkReaders, checkRoles } from "./membership.mjs"
import { Reader } from "./reader.mjs"
import { PATIENCE_MS } from "./tab.mjs"

const CONVERSATIONS = "/api/privatechat/conversations"
const EMOJIS = ["👍", "🎉"]

const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** One group: its creator, who never leaves and so sees the whole log, and changing members. */
class Group {
  /** Certain members; the next change of each waits for the previous one. @type {Set<Reader>} */
  in = new Set()
  constructor(id, maker, others) {
    this.id = id
    this.maker = maker
    this.others = others
  }
}

export class Groups {
  /** @type {Group[]} */
  #groups = []
  /** Two users with a direct conversation. */
  #pairs = []
  counts = { added: 0, removed: 0, roles: 0, left: 0, blocks: 0, blockedSends: 0, got: 0 }

  /** @param {import("./world.mjs").World} world */
  constructor(world, random) {
    this.world = world
    this.random = random
  }

  get #node() {
    return this.random.pick(this.world.cluster.nodes)
  }

  /** A request as a user, repeated until it is answered: the body has the id that makes that safe. */
  async #surely(as, method, path, body) {
    for (;;) {
      try {
        const answer = await this.#request(as, method, path, body)
        if (answer.success || !["unavailable", "internal", "rate_limited"].includes(answer.code))
          return answer
      } catch {}
      await pass(this.random.between(200, 800))
    }
  }

  async #request(as, method, path, body) {
    const response = await fetch(this.#node.url + path, {
      method,
      headers: { "x-user-id": as, ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    return response.json()
  }

  async populate(count) {
    for (let n = 0; n < count; n++) {
      const ids = Array.from({ length: 6 }, (_, place) => `g${n}.${place}`)
      const [maker, ...others] = ids
      const answer = await this.#surely(maker, "POST", CONVERSATIONS, {
        memberIds: others.slice(0, 2),
        clientConversationId: randomUUID(),
      })
      if (!answer.success) throw new Error(`no group: ${answer.error}`)
      const { id } = answer.conversation
      const readers = ids.map((user) => new Reader(this.world, user, id, this.random.fork()))
      const group = new Group(id, readers[0], readers.slice(1))
      for (const reader of readers.slice(1, 3)) group.in.add(reader)
      this.#groups.push(group)
      for (const reader of readers) reader.open()
      const [one, two] = [`p${n}.one`, `p${n}.two`]
      const opened = await this.#surely(one, "POST", CONVERSATIONS, { userId: two })
      if (!opened.success) throw new Error(`no conversation: ${opened.error}`)
      this.#pairs.push({ one, two, id: opened.conversation.id, sends: [], blocks: [] })
    }
  }

  /** Acts until the world stops. */
  async run() {
    await Promise.all([
      ...this.#groups.map((group) => this.#until(300, () => this.#act(group))),
      ...this.#pairs.map((pair) => this.#until(600, () => this.#toggle(pair))),
      ...this.#pairs.map((pair) => this.#until(80, () => this.#sendTo(pair))),
    ])
  }

  async #until(rest, act) {
    while (!this.world.isOver) {
      await act()
      await pass(rest * this.random.between(0.3, 1.5))
    }
  }

  async #act(group) {
    const what = this.random.next()
    const members = [...group.in]
    const writer = this.random.pick([group.maker, ...members])
    if (what < 0.5) await this.#write(group, writer)
    else if (what < 0.7) {
      const others = group.others.filter((one) => !group.in.has(one))
      if (others.length > 0) await this.#add(group, this.random.pick(others))
    } else if (what < 0.9) {
      if (members.length > 0) await this.#remove(group, this.random.pick(members))
    } else if (members.length > 0) await this.#setRole(group, this.random.pick(members))
  }

  async #write(group, writer) {
    const clientMessageId = randomUUID()
    const shown = writer.messages()
    const message = shown.length > 0 ? this.random.pick(shown.slice(-8)) : undefined
    if (!message || this.random.chance(0.6)) {
      const body = {
        conversationId: group.id,
        content: `from ${writer.user}: ${clientMessageId}`,
        clientMessageId,
      }
      await this.#surely(writer.user, "POST", "/api/privatechat/message", body)
      return
    }
    const path = `/api/privatechat/messages/${group.id}/${message.id}`
    if (message.senderId !== writer.user || this.random.chance(0.5)) {
      const emoji = encodeURIComponent(this.random.pick(EMOJIS))
      const method = this.random.chance(0.7) ? "PUT" : "DELETE"
      await this.#surely(writer.user, method, `${path}/reactions/${emoji}`, { clientMessageId })
    } else if (this.random.chance(0.7)) {
      await this.#surely(writer.user, "PATCH", path, {
        content: `edited: ${clientMessageId}`,
        clientMessageId,
      })
    } else await this.#surely(writer.user, "DELETE", path, { clientMessageId })
  }

  async #add(group, reader) {
    const body = { userIds: [reader.user], clientMessageId: randomUUID() }
    const path = `${CONVERSATIONS}/${group.id}/members`
    const answer = await this.#surely(group.maker.user, "POST", path, body)
    if (!answer.success) return this.world.violations.add("refused", `adding ${reader.user}: ${answer.error}`)
    this.counts.added++
    group.in.add(reader)
  }

  /** The creator removes a member, or the member leaves. After the answer the member has no access. */
  async #remove(group, reader) {
    group.in.delete(reader)
    const leaves = this.random.chance(0.3)
    const by = leaves ? reader.user : group.maker.user
    const path = `${CONVERSATIONS}/${group.id}/members/${reader.user}`
    const answer = await this.#surely(by, "DELETE", path, { clientMessageId: randomUUID() })
    // The answer was lost: a repetition by a former member is refused.
    const isGone = answer.success || (leaves && answer.code === "not_found")
    if (!isGone) {
      // Only an owner removes an owner.
      if (answer.code === "forbidden") group.in.add(reader)
      else this.world.violations.add("refused", `removing ${reader.user}: ${answer.error}`)
      return
    }
    this.counts[leaves ? "left" : "removed"]++
    const { user } = reader
    const reads = [
      `/api/privatechat/messages/${group.id}`,
      `/api/privatechat/messages/${group.id}?kind=all`,
      `${CONVERSATIONS}/${group.id}/members`,
      `/api/privatechat/search?query=from&conversationId=${group.id}`,
    ]
    for (const path of reads) {
      const answer = await this.#surely(user, "GET", path)
      if (answer.code !== "not_found") {
        this.world.violations.add(
          "after a removal",
          `${user} gets ${JSON.stringify(answer).slice(0, 200)} of ${path}`,
        )
      }
    }
    const body = { conversationId: group.id, content: "no more", clientMessageId: randomUUID() }
    const sent = await this.#surely(user, "POST", "/api/privatechat/message", body)
    if (sent.code !== "not_found")
      this.world.violations.add("after a removal", `${user} writes: ${JSON.stringify(sent)}`)
  }

  /** The creator sets a role; sometimes the creator gives up the ownership, which the last owner transfers. */
  async #setRole(group, reader) {
    const set = (by, of, role) => {
      const path = `${CONVERSATIONS}/${group.id}/members/${of}`
      return this.#surely(by, "PUT", path, { role, clientMessageId: randomUUID() })
    }
    const { user } = group.maker
    this.counts.roles++
    if (this.random.chance(0.5)) return set(user, reader.user, this.random.pick(["admin", "member"]))
    // The only owner leaves: the maker, an admin, is the heir.
    const given = await set(user, reader.user, "owner")
    if (!given.success) return
    await set(reader.user, user, "admin")
    await this.#remove(group, reader)
  }

  /** Blocks or unblocks. Between the answers no message is stored. */
  async #toggle(pair) {
    const [by, of] = this.random.chance(0.5) ? [pair.one, pair.two] : [pair.two, pair.one]
    const open = pair.blocks.find((block) => block.by === by && block.endsAt === undefined)
    const began = performance.now()
    const method = open ? "DELETE" : "PUT"
    if (open) open.endsAt = began
    const block = open ?? { by, beginsAt: began }
    if (!open) pair.blocks.push(block)
    const answer = await this.#surely(by, method, `/api/blocks/${of}`)
    if (!answer.success) this.world.violations.add("refused", `${method} of a block: ${answer.error}`)
    if (open) open.endedAt = performance.now()
    else block.begunAt = performance.now()
    this.counts.blocks++
  }

  /** One attempt: without an answer the outcome is unknown. */
  async #sendTo(pair) {
    const sender = this.random.chance(0.5) ? pair.one : pair.two
    const body = { conversationId: pair.id, content: "hello", clientMessageId: randomUUID() }
    const beganAt = performance.now()
    try {
      const answer = await this.#request(sender, "POST", "/api/privatechat/message", body)
      const send = {
        sender,
        beganAt,
        endedAt: performance.now(),
        isStored: answer.success,
        code: answer.code,
      }
      if (answer.code === "forbidden") this.counts.blockedSends++
      pair.sends.push(send)
    } catch {}
  }

  /** Once the users have stopped: what each reader received and shows, and what a new reader gets. */
  async judge() {
    const { violations } = this.world
    for (const group of this.#groups) {
      const readers = [group.maker, ...group.others]
      const log = await group.maker.all()
      await Promise.all(
        readers.map((reader) => reader.settles(log, group.in.has(reader) || reader === group.maker)),
      )
      checkRoles(group.id, log, await group.maker.roles(), violations)
      const fresh = new Map()
      for (const reader of readers) {
        if (reader === group.maker || group.in.has(reader)) fresh.set(reader.user, await reader.fresh())
      }
      checkReaders(group.id, log, readers, fresh, violations)
      for (const reader of readers) this.counts.got += reader.got.length
    }
    for (const pair of this.#pairs) checkBlocks(pair, violations)
  }

  stop() {
    for (const group of this.#groups) for (const reader of [group.maker, ...group.others]) reader.close()
  }
}
