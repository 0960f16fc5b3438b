// A backup at a random moment, more activity, then a restore of the backup under open pages. RESTORES is the number of
// rounds; a release needs 500.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { copyFile, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { test } from "node:test"
import { promisify } from "node:util"
import { client } from "./support/clients.mjs"
import { get, put } from "./support/person.mjs"
import { BINARY, isCluster, OPEN, SERVER_KEY, serve } from "./support/server.mjs"
import { until, within } from "./support/wait.mjs"

const ROUNDS = Number(process.env.RESTORES ?? 12)
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000)
const PEOPLE = ["asha", "ben", "carl"]
const ROOMS = { all: PEOPLE, pair: ["asha", "ben"], other: ["ben", "carl"] }
const LIMIT = Number(process.env.LIMIT ?? 60_000)

const run = promisify(execFile)

/** The command line, with the server's own settings. */
const lamplight = (server, ...words) =>
  run(BINARY, words, { env: { PATH: process.env.PATH, DATA_DIR: join(server.home, "data"), AUTH: "open" } })

/**
 * The client waits ten seconds between two changes of the store's generation. This clock passes them at once in most rounds;
 * timers run as they are.
 */
function leapingClock() {
  let ahead = 0
  return {
    now: () => Date.now() + ahead,
    uptime: () => performance.now() + ahead,
    after(ms, run) {
      const timer = setTimeout(run, ms)
      return () => clearTimeout(timer)
    },
    leap(ms) {
      ahead += ms
    },
  }
}

/** Numbers that come again with the same seed. */
function chance(seed) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    below: (bound) => Math.floor(next() * bound),
    of: (list) => list[Math.floor(next() * list.length)],
  }
}

async function whole(server, id, as) {
  const all = []
  for (;;) {
    const { body } = await get(
      server,
      `/api/privatechat/messages/${id}?after=${all.at(-1)?.seq ?? 0}&limit=200`,
      { as },
    )
    assert.ok(body.success, JSON.stringify(body))
    all.push(...body.data)
    if (!body.hasMore) return all
  }
}

/** A user with an open page, which keeps unsent messages over a reload. */
class Page {
  said = 0
  kept = new Map()

  constructor(module, server, user, random, clock) {
    Object.assign(this, { module, server, user, random, clock, storage: module.memoryStorage() })
    this.open()
  }

  open() {
    const { createLamplight } = this.module
    const { clock, storage, user } = this
    this.client = createLamplight({ url: this.server.url, userId: user, storage, clock })
    this.letGo = this.client.retain()
    this.rooms = new Map()
    for (const [id, members] of Object.entries(ROOMS)) {
      if (!members.includes(this.user)) continue
      const room = this.client.conversation(id)
      room.open()
      this.rooms.set(id, room)
    }
  }

  reload() {
    this.client.close()
    this.open()
  }

  async say() {
    const [id, room] = this.random.of([...this.rooms])
    const content = `${this.user} ${++this.said}`
    assert.ok((await room.send(content)).ok)
    this.kept.set(content, id)
  }

  read() {
    this.random.of([...this.rooms.values()]).markRead()
  }

  unsent() {
    return this.client.outbox.get().items.map((item) => item.content)
  }

  rows(id) {
    return this.rooms.get(id).messages.get().rows
  }

  state() {
    const { connection, outbox, restored } = this.client
    return JSON.stringify({
      user: this.user,
      connection: connection.get(),
      outbox: outbox.get(),
      restored: restored.get(),
    })
  }
}

test(`F14: ${ROUNDS} restores under open pages (SEED=${SEED})`, {
  timeout: 600_000 + ROUNDS * 60_000,
}, async (t) => {
  const random = chance(SEED)
  const server = await serve(t, { ...OPEN, SERVER_KEY })
  for (const [id, memberIds] of Object.entries(ROOMS)) {
    await put(server, `/api/privatechat/conversations/${id}`, { memberIds }, { token: SERVER_KEY })
  }
  const module = await client()
  const clock = leapingClock()
  const pages = PEOPLE.map((user) => new Page(module, server, user, random, clock))
  t.after(() => {
    for (const page of pages) page.client.close()
  })
  const connected = (page) => page.client.connection.get().status === "connected"
  const settled = (page) => connected(page) && page.client.outbox.get().items.length === 0
  const all = (fits, what) =>
    until(() => pages.every(fits), what, LIMIT).catch((error) => {
      throw new Error(
        `${error.message}\n${pages.map((page) => page.state()).join("\n")}\n${server.log.slice(-2_000)}`,
      )
    })
  /** Some of everything, a little at a time. */
  const live = async (steps) => {
    for (let step = 0; step < steps; step++) {
      const page = random.of(pages)
      if (random.below(5) === 0) page.read()
      else await page.say()
      if (random.below(3) === 0) await new Promise((resolve) => setTimeout(resolve, random.below(8)))
    }
  }
  await all(connected, "everyone is connected")

  for (let round = 0; round < ROUNDS; round++) {
    const copy = join(server.home, `copy-${round}.db`)
    await live(random.below(12))
    const copying = isCluster ? server.backup(copy) : lamplight(server, "backup", copy)
    await live(2 + random.below(14))
    await copying
    if (!isCluster) assert.equal((await stat(copy)).mode & 0o777, 0o600)
    await live(random.below(8))
    // Some of them in mid-send.
    if (random.below(2)) await all(settled, "all is sent")
    if (random.below(8)) clock.leap(10_000)
    const began = clock.now()
    if (random.below(3)) await server.stop()
    else await server.kill()
    await live(random.below(5))
    const waiting = pages.flatMap((page) => page.unsent())
    if (isCluster) await server.restore(copy)
    else if (random.below(4)) {
      const { stdout } = await lamplight(server, "restore", copy)
      const aside = /is now (.*)\.\n/.exec(stdout)?.[1]
      assert.ok(aside, stdout)
      for (const ending of ["", "-wal"]) await rm(aside + ending, { force: true })
    } else {
      // Like an operator who has not read the documentation but knows of the journal.
      const database = join(server.home, "data/lamplight.db")
      for (const ending of ["-wal", "-shm"]) await rm(database + ending, { force: true })
      await copyFile(copy, database)
    }
    if (random.below(6) === 0) random.of(pages).reload()
    await server.start()
    for (const page of pages) page.client.connect()
    await all(settled, `round ${round}: everyone is back and all is sent`)

    // What the store has.
    const store = new Map()
    for (const [id, members] of Object.entries(ROOMS)) store.set(id, await whole(server, id, members[0]))
    const stored = [...store.values()].flat()
    const counts = new Map()
    for (const { content } of stored) counts.set(content, (counts.get(content) ?? 0) + 1)
    for (const [content, count] of counts)
      assert.equal(count, 1, `round ${round}: "${content}" is there ${count} times`)
    for (const content of waiting)
      assert.equal(counts.get(content), 1, `round ${round}: "${content}" waited and is lost`)

    // And every page has it.
    const same = (page) => {
      for (const id of page.rooms.keys()) {
        const log = store.get(id)
        const rows = page.rows(id)
        const head = log.at(-1)?.seq ?? 0
        const shown = rows.map((row) => `${row.state} ${row.seq} ${row.message?.id} ${row.content}`)
        const wanted = log
          .slice(log.length - rows.length)
          .map((one) => `sent ${one.seq} ${one.id} ${one.content}`)
        if (rows.length < Math.min(20, log.length) || shown.join("\n") !== wanted.join("\n")) return false
        if (page.rooms.get(id).messages.get().headSeq !== head) return false
      }
      return true
    }
    await all(same, `round ${round}: every page shows what the store has`)
    for (const page of pages) {
      const brief = (one) =>
        `${one.id} head ${one.headSeq} read ${one.readSeq} unread ${one.unread} ${one.lastMessage?.id} ${one.lastMessage?.createdAt}`
      // Two of one millisecond can get their ids in the other order than their places: a page that catches up goes by the ids.
      const byIds = (list) =>
        list.toSorted(({ lastMessage: one }, { lastMessage: other }) =>
          `${one?.createdAt} ${one?.id}` < `${other?.createdAt} ${other?.id}` ? 1 : -1,
        )
      let lists = []
      const listed = async () => {
        const { body } = await get(server, "/api/privatechat/conversations", { as: page.user })
        const both = [body.data, page.client.conversations.get().items]
        const isCrossed = byIds(both[0]).some((one, at) => one !== both[0][at])
        lists = both.map((list) => (isCrossed ? byIds(list) : list).map(brief).join("\n"))
        return lists[0] === lists[1]
      }
      await until(listed, "", LIMIT).catch(() => {
        throw new Error(
          `round ${round}: ${page.user}'s list is not the store's:\n${lists.join("\n\n")}\n${page.state()}`,
        )
      })
      const { since, dismissed } = page.client.restored.get()
      assert.ok(
        since >= began && !dismissed,
        `round ${round}: ${page.user} is told that the past changed: ${page.state()}`,
      )
      page.client.dismissRestored()
      const roster = page.client.roster()
      const everyone = () => roster.get().users.length === PEOPLE.length
      await within(until(everyone, "", LIMIT), LIMIT, `round ${round}: ${page.user} sees everyone`)
    }
    await rm(copy)
    if ((round + 1) % 25 === 0) t.diagnostic(`${round + 1} restores`)
  }
})
