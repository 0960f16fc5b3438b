/** Two tabs under random faults: at the end both show the server's state, with each message once. */
import { expect, test } from "vitest"
import { Browser, makeTab, makeWorld } from "./support/harness.js"
import { numbers } from "./support/numbers.js"
import { refusal } from "./support/server.js"

/** `others`: the log also gets entries of a kind that the client does not know. */
async function storm(seed: number, steps: number, restores: boolean, others: boolean) {
  const random = numbers(seed)
  const below = (most: number) => Math.floor(random() * most)
  const world = makeWorld()
  const { server, clock } = world
  for (const id of ["7", "8"]) {
    server.addConversation(id, "me", "asha")
    for (let at = 1; at <= 120; at++) server.store(id, "asha", `before ${at}`)
  }
  const browser = new Browser()
  const tabs = [makeTab(world, { random }, browser), makeTab(world, { random }, browser)]
  for (const { client } of tabs) client.retain()
  const looks = new Map<string, () => void>()
  const sent: string[] = []
  let backup = server.backup()
  let generation = 0
  let limited = 0
  server.refuse = (what) => {
    if (clock.now() >= limited || /join_user|authenticate/.test(what)) return undefined
    return refusal("rate_limited", true, { retryAfterMs: limited - clock.now() })
  }
  const trail: string[] = []
  /** Whether the server has a message between these two. */
  const isHole = (id: string, from: number, to: number) =>
    server.conversations
      .get(id)
      ?.log.slice(from, to - 1)
      .some(({ kind }) => kind === "message") ?? false
  function check() {
    for (const [at, { client }] of tabs.entries())
      for (const id of ["7", "8"]) {
        const { rows } = client.conversation(id).messages.get()
        const keys = new Set(rows.map(({ key }) => key))
        expect(keys.size, `seed ${seed}: keys in tab ${at}\n${trail.join("\n")}`).toBe(rows.length)
        const held = rows.filter(({ seq, mine }) => seq !== null && !mine)
        for (let row = 1; row < held.length; row++)
          if ((held[row]?.seq ?? 0) <= (held[row - 1]?.seq ?? 0))
            throw new Error(`seed ${seed}: out of order`)
        // Without a hole, but for own messages that wait at the end for what is before them.
        const seqs = rows.flatMap(({ seq }) => (seq === null ? [] : [seq]))
        const stored = rows.filter(({ seq }) => seq !== null)
        for (let row = 1; row < seqs.length; row++)
          if (
            (restores
              ? seqs[row] !== (seqs[row - 1] as number) + 1
              : isHole(id, seqs[row - 1] as number, seqs[row] as number)) &&
            !stored.slice(row).every(({ mine }) => mine)
          )
            throw new Error(`seed ${seed}: a hole in tab ${at}, ${id}: ${seqs.join()}\n${trail.join("\n")}`)
      }
  }
  for (let step = 0; step < steps; step++) {
    const tabAt = below(2)
    const tab = tabs[tabAt] as (typeof tabs)[0]
    const id = random() < 0.7 ? "7" : "8"
    const one = tab.client.conversation(id)
    const stored = server.conversations.get(id)
    const what = below(restores ? 22 : 20)
    trail.push(`${tabAt} ${id} ${what}`)
    /** What fails is seen in a state, or tried again. */
    const quiet = (work: Promise<unknown>) => void work.catch(() => {})
    if (others && what < 8 && random() < 0.3) {
      const isMany = random() < 0.1
      for (let at = isMany ? below(120) : 1; at > 0; at--)
        server.deliver(server.storeOther(id, random() < 0.5 ? "asha" : "me"), undefined, "conversation_entry")
    } else if (what < 3) server.say(id, "asha", `said ${step}`)
    else if (what < 5) {
      const text = `sent ${step}`
      one.send(text).then(({ ok }) => ok && sent.push(text))
    } else if (what === 5) tab.cut()
    else if (what === 6) tab.wires.socketDown = !tab.wires.socketDown
    else if (what === 7) tab.wires.httpDown = !tab.wires.httpDown
    else if (what === 8) quiet(one.jumpTo(1 + below((stored?.log.length ?? 0) + 5)))
    else if (what === 9) quiet(one.loadOlder())
    else if (what === 10) quiet(one.loadNewer())
    else if (what === 11) quiet(one.jumpToNewest())
    else if (what === 12) {
      const key = `${tabAt} ${id}`
      const look = looks.get(key)
      if (look) looks.delete(key)
      else looks.set(key, one.open())
      look?.()
    } else if (what === 13) one.markRead()
    else if (what === 14) {
      const { loseAck } = tab.wires
      if (!loseAck.delete("send_private_message")) loseAck.add("send_private_message")
    } else if (what === 15) {
      const { loseEvent } = tab.wires
      if (!loseEvent.delete("new_private_message")) loseEvent.add("new_private_message")
    } else if (what === 16) {
      let free = () => {}
      tab.wires[random() < 0.5 ? "gate" : "late"] = new Promise((resolve) => {
        free = resolve
      })
      clock.after(below(8_000), free)
    } else if (what === 17) limited = clock.now() + below(6_000)
    else if (what === 18) one.stay(random() < 0.5)
    else if (what === 19)
      for (let at = below(300); at > 0; at--) server.store(id, "asha", `many ${step}.${at}`)
    else if (what === 20) backup = server.backup()
    else server.restore(backup, `generation ${++generation}`)
    if (random() < 0.7) await clock.advance(below(random() < 0.1 ? 20_000 : 600))
    check()
  }
  for (const { wires } of tabs) {
    Object.assign(wires, { socketDown: false, httpDown: false, gate: null, late: null })
    for (const set of [wires.loseAck, wires.loseEvent, wires.swallow]) set.clear()
  }
  await clock.advance(60_000)
  // Unnoticed losses are found with the next join.
  for (const { cut } of tabs) cut()
  await clock.advance(120_000)
  for (const { client } of tabs)
    for (const id of ["7", "8"]) {
      client.conversation(id).open()
      await client.conversation(id).jumpToNewest()
    }
  await clock.advance(30_000)
  check()
  const why = `seed ${seed}\n${trail.join("\n")}`
  const contents = ["7", "8"].flatMap(
    (id) => server.conversations.get(id)?.log.map(({ content }) => content) ?? [],
  )
  for (const text of sent) {
    const times = contents.filter((content) => content === text).length
    expect(times, `${text}: ${why}`).toBeLessThanOrEqual(1)
    if (!restores) expect(times, `${text}: ${why}`).toBe(1)
  }
  for (const { client } of tabs) {
    expect(client.connection.get().status, why).toBe("connected")
    expect(client.outbox.get().items, why).toEqual([])
    for (const id of ["7", "8"]) {
      const stored = server.conversations.get(id)
      const rows = client.conversation(id).messages.get().rows
      const messages = stored?.log.filter(({ kind }) => kind === "message") ?? []
      const ids = messages.map((entry) => entry.id)
      expect(
        rows.map(({ message }) => message?.id),
        why,
      ).toEqual(ids.slice(-rows.length))
      // A page of 50 entries may hold few messages.
      expect(rows.length, why).toBeGreaterThan(others ? 0 : Math.min(40, ids.length - 1))
      const view = stored && server.view(stored, "me")
      const { unread, headSeq, readSeq, lastMessage } =
        client.conversations.get().items.find((item) => item.id === id) ?? {}
      expect({ unread, headSeq, readSeq, lastId: lastMessage?.id }, why).toEqual({
        lastId: view?.lastMessage?.id,
        unread: view?.unread,
        headSeq: view?.headSeq,
        readSeq: view?.readSeq,
      })
    }
    client.close()
  }
}

const SEEDS = Number(process.env.SEEDS ?? 6)
const FIRST = Number(process.env.SEED ?? 1)
for (const [name, restores, others] of [
  ["without restored backups", false, false],
  ["with restored backups", true, false],
  ["with entries of an unknown kind", false, true],
] as const)
  test(`the client converges after a storm of faults, ${name}`, async () => {
    const failures: string[] = []
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++)
      await storm(seed, 80, restores, others).catch((thrown) => failures.push(String(thrown)))
    expect(failures).toEqual([])
  }, 120_000)
