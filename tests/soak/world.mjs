// The users of a run, their actions, and the final check.
import { fold } from "../e2e/support/fold.mjs"
import {
  checkMessages,
  checkOnline,
  checkPushes,
  checkUnread,
  checkViews,
  checkWrites,
  Violations,
} from "./history.mjs"
import { User } from "./user.mjs"

const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** A lease, and 2 s. */
const PRESENCE_MS = 17_000
const QUIET_MS = 30_000

/** Notes that are kept for a failure. */
const MOST_NOTES = 400

export class World {
  /** Messages that were to be sent. @type {import("./history.mjs").Write[]} */
  sends = []
  /** Edits, deletions and reactions. @type {import("./history.mjs").Write[]} */
  changes = []
  counts = {
    acknowledged: 0,
    attempts: 0,
    bursts: 0,
    changed: 0,
    connects: 0,
    drops: 0,
    gaps: 0,
    gone: 0,
    late: 0,
    pushes: 0,
    refusals: 0,
    unchanged: 0,
  }
  violations = new Violations()
  notes = []
  /** Users start no further action. */
  isOver = false
  /** Sends without an acknowledgement are given up. */
  isPatienceOver = false
  /** @type {User[]} */
  users = []
  #began = performance.now()
  #target = { sends: 0, ms: 1 }

  constructor(cluster, random) {
    this.cluster = cluster
    this.random = random
  }

  note(text) {
    this.notes.push(`${((performance.now() - this.#began) / 1000).toFixed(1)} s ${text}`)
    if (this.notes.length > MOST_NOTES) this.notes.shift()
  }

  /** Creates users and their conversations, of two to eight members. */
  async populate(count) {
    const ids = Array.from({ length: count }, (_, n) => `u${n}`)
    const conversations = new Map(ids.map((id) => [id, []]))
    const number = Math.ceil(count * 0.6)
    for (let n = 0; n < number; n++) {
      const id = `c${n}`
      const size = this.random.chance(0.6) ? 2 : this.random.whole(3, 9)
      // Everyone is in one at least.
      const members = new Set([ids[(2 * n) % count], ids[(2 * n + 1) % count]])
      while (members.size < size) members.add(this.random.pick(ids))
      const answer = await fetch(`${this.cluster.nodes[0].url}/api/privatechat/conversations/${id}`, {
        method: "PUT",
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${this.cluster.serverKey}`,
        },
        body: JSON.stringify({ memberIds: [...members] }),
      })
      if (!answer.ok) throw new Error(`no conversation: ${await answer.text()}`)
      for (const member of members) conversations.get(member).push(id)
    }
    this.users = ids.map((id) => {
      const friends = this.random.shuffle(ids).slice(0, 10)
      return new User(this, id, conversations.get(id), friends, this.random.fork())
    })
    for (const user of this.users) {
      user.openTab()
      if (this.random.chance(0.4)) user.openTab()
      await pass(2)
    }
    await this.#allReady(30_000)
  }

  async #allReady(limit) {
    const end = performance.now() + limit
    const waiting = () => this.users.flatMap((user) => user.tabs).filter((tab) => !tab.isReady)
    while (waiting().length > 0) {
      if (performance.now() > end) {
        const names = waiting().map((tab) => tab.name)
        this.violations.add("not connected", `${names.length} tabs after ${limit} ms: ${names.slice(0, 10)}`)
        return
      }
      await pass(50)
    }
  }

  /** How long users rest between two acts, so that the sends come to their number. */
  pause() {
    const { sends, ms } = this.#target
    const passed = performance.now() - this.#began
    const left = Math.max(sends - this.sends.length, 1)
    const time = Math.max(ms - passed, 1)
    // Of an act, about 0.9 sends: bursts make up for some of the acts that send nothing.
    const rest = (time / left) * this.users.length * 0.9
    return Math.min(Math.max(rest, 20), 15_000)
  }

  /** Lets the users act for this long. */
  async run(ms, sends, faults, every) {
    this.#began = performance.now()
    this.#target = { sends, ms }
    const users = this.users.map((user) => user.run())
    const end = this.#began + ms
    while (performance.now() < end - every) {
      const next = performance.now() + every * this.random.between(0.6, 1.2)
      const at = performance.now() - this.#began
      this.note("a fault begins")
      await faults.next(at)
      this.note(`${faults.done.at(-1).name}: ${faults.done.at(-1).what}`)
      const rest = next - performance.now()
      if (rest > 0) await pass(rest)
    }
    await pass(Math.max(0, end - performance.now()))
    this.isOver = true
    // All works again: what waits is answered now.
    const patience = setTimeout(() => {
      this.isPatienceOver = true
    }, 30_000)
    await Promise.all(users)
    clearTimeout(patience)
    this.isPatienceOver = true
    for (const write of [...this.sends, ...this.changes]) {
      if (!write.ack && !write.isRefused) {
        this.violations.add("not answered", `${write.kind} ${write.clientMessageId}`)
      }
    }
  }

  /** Waits until everything is quiet, and checks. */
  async judge() {
    await this.#allReady(30_000)
    for (const user of this.users) {
      if (this.random.chance(0.25)) user.leave()
      else if (user.tabs.length === 0) this.violations.add("no tab", user.id)
    }
    const here = this.users.filter((user) => user.tabs.length > 0).map((user) => user.id)
    await pass(PRESENCE_MS)
    for (const node of this.cluster.nodes) checkOnline(node.name, await online(node), here, this.violations)
    for (const tab of this.users.flatMap((user) => user.tabs)) {
      const shown = tab.roster.online()
      if (tab.mode === "none") continue
      if (tab.mode === "watch") {
        const friends = here.filter((id) => tab.user.friends.includes(id))
        checkOnline(
          tab.name,
          shown.filter((id) => tab.user.friends.includes(id)),
          friends,
          this.violations,
        )
      } else checkOnline(`${tab.name} (${tab.mode})`, shown, here, this.violations)
    }
    await pass(QUIET_MS - PRESENCE_MS)

    const logs = await this.#logs()
    checkWrites([...this.sends, ...this.changes], logs, this.violations)
    const views = this.users.flatMap((user) =>
      user.tabs.flatMap((tab) =>
        [...tab.views].map(([conversation, { base, seen }]) => ({
          name: tab.name,
          user: user.id,
          conversation,
          base,
          seen,
        })),
      ),
    )
    checkViews(views, logs, this.violations)
    const ready = this.users.flatMap((user) => user.tabs).filter((tab) => tab.isReady)
    const pushes = ready.flatMap((tab) => tab.pushes())
    checkPushes(pushes, logs, this.violations)
    for (const user of this.users) {
      const node = this.random.pick(this.cluster.nodes)
      checkUnread(user.id, await user.list(node), logs, user.marks, this.violations)
      // A user who opens a conversation only now.
      const conversation = this.random.pick(user.conversations)
      const shown = await all((after) => user.messages(node, conversation, after))
      const where = `history of ${conversation} for ${user.id}`
      checkMessages(where, shown, fold(logs.get(conversation), user.id), this.violations)
    }
    return logs
  }

  async #logs() {
    const logs = new Map()
    for (const user of this.users) {
      for (const conversation of user.conversations) {
        if (logs.has(conversation)) continue
        const node = this.random.pick(this.cluster.nodes)
        logs.set(conversation, await all((after) => user.entries(node, conversation, after)))
      }
    }
    return logs
  }

  stop() {
    this.isOver = true
    this.isPatienceOver = true
    for (const user of this.users) user.leave()
  }
}

/** All pages of a log. */
async function all(pageAfter) {
  const entries = []
  for (;;) {
    const page = await pageAfter(entries.at(-1)?.seq ?? 0)
    if (page.length === 0) return entries
    entries.push(...page)
  }
}

/** All users whom a node shows as online. */
async function online(node) {
  const all = []
  let cursor = ""
  do {
    const answer = await fetch(`${node.url}/api/online-users?limit=200${cursor && `&cursor=${cursor}`}`)
    const { data, nextCursor } = await answer.json()
    all.push(...data.map((one) => one.userId))
    cursor = nextCursor ?? ""
  } while (cursor)
  return all
}
