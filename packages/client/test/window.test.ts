/**
 * Two people scroll, jump, write and change messages in a long conversation while connections and requests are lost: what is shown is
 * always a part of the log without a hole, around the place where one reads, and never more than the limit.
 */
import { expect, test } from "vitest"
import type { Thread } from "../src/thread-contract.js"
import type { MessageRow } from "../src/types.js"
import { makeTab, makeWorld, type Tab } from "./support/harness.js"
import { numbers } from "./support/numbers.js"
import { foldAll, isMessage } from "./support/writes.js"

const MESSAGES = 5_000
/** The limit, with its margin. */
const MOST = 2_200
const SEEDS = Number(process.env.SEEDS ?? 4)
const STEPS = 60

const threadOf = ({ client }: Tab) => client.conversation("7") as Thread
const shown = ({ message, writes, ...row }: MessageRow) => ({
  id: message?.id,
  content: row.content,
  editedAt: row.editedAt,
  deletedAt: row.deletedAt,
  reactions: row.reactions,
  writes: writes.length,
})

test.each(Array.from({ length: SEEDS }, (_, at) => at + 1))(
  "12 20 seed %i",
  { timeout: 60_000 },
  async (seed) => {
    const world = makeWorld()
    const { server, clock } = world
    const stored = server.addConversation("7", "me", "asha")
    for (let at = 1; at <= MESSAGES; at++) server.store("7", at % 2 ? "asha" : "me", `text ${at}`)
    const next = numbers(seed)
    const below = (limit: number) => Math.floor(next() * limit)
    const tab = makeTab(world)
    const other = makeTab(world, { userId: "asha" })
    for (const { client } of [tab, other]) client.retain()
    const thread = threadOf(tab)
    thread.open()
    // Somebody looks at the rows, so that they are made step by step.
    thread.messages.subscribe(() => void thread.messages.get())
    threadOf(other).open()
    await clock.advance(1_000)
    /** The message in view, while one reads above the end. */
    let place: number | undefined

    const settled = () => thread.messages.get().rows.filter(({ message }) => message !== null)
    const seqs = () => settled().map(({ seq }) => seq as number)

    function check(step: string): void {
      const { rows, hasNewer } = thread.messages.get()
      const ids = settled().map(({ message }) => message?.id)
      const all = stored.log.filter(isMessage).map(({ id }) => id)
      const begin = all.indexOf(ids[0] as string)
      // As texts, since it is asked so often.
      expect(ids.join(), step).toBe(all.slice(begin, begin + ids.length).join())
      expect(rows.length, step).toBeLessThanOrEqual(MOST + rows.filter(({ message }) => !message).length)
      if (hasNewer) expect(ids.length, step).toBe(rows.length)
      const held = thread.log().segments.reduce((sum, { messages }) => sum + messages.length, 0)
      expect(held, step).toBeLessThanOrEqual(MOST + 250)
      // What is read stays, with a screen of rows on both sides of it, as far as there are any.
      if (place === undefined) return
      const at = seqs().indexOf(place)
      expect(at, step).toBeGreaterThanOrEqual(0)
    }

    /** Scrolls over some pages, as a page does it that tells what is in view. */
    async function scroll(way: "loadOlder" | "loadNewer"): Promise<void> {
      const isUp = way === "loadOlder"
      for (let pages = 1 + below(30); pages > 0; pages--) {
        const { hasOlder, hasNewer } = thread.messages.get()
        const loaded = seqs()
        place = isUp ? loaded[Math.min(8, loaded.length - 1)] : loaded.at(-8)
        thread.stay(true, place)
        if (!(isUp ? hasOlder : hasNewer)) {
          if (!isUp) toEnd()
          return
        }
        const done = thread[way]().catch(() => {})
        // The answer may take its time, while one scrolls on over what is there.
        if (below(8) === 0) {
          place = loaded[below(loaded.length)]
          thread.stay(true, place)
        }
        await clock.advance(1)
        await done
        check(`${way} ${pages}`)
      }
    }

    function toEnd(): void {
      place = undefined
      thread.stay(false)
    }

    for (let step = 0; step < STEPS; step++) {
      const { rows } = thread.messages.get()
      const row = rows[below(rows.length)] as MessageRow
      const anywhere = stored.log.filter(isMessage)[below(MESSAGES)]
      const acts: (() => unknown)[] = [
        () => scroll("loadOlder"),
        () => scroll("loadOlder"),
        () => scroll("loadNewer"),
        async () => {
          await thread.jumpTo(1 + below(stored.log.length)).catch(() => {})
          const loaded = seqs()
          place = loaded[below(loaded.length)]
          thread.stay(true, place)
        },
        async () => {
          toEnd()
          await thread.jumpToNewest().catch(() => {})
        },
        () => {
          for (let count = below(500); count > 0; count--) server.say("7", "asha", `live ${step} ${count}`)
        },
        () => void threadOf(other).edit(anywhere?.id ?? "", `edited ${step}`),
        () => void threadOf(other).remove(anywhere?.id ?? ""),
        () => void threadOf(other).react(anywhere?.id ?? "", "👍"),
        () => row.message && void thread.react(row.message.id, "🎉"),
        () => {
          tab.wires.httpDown = below(3) === 0
        },
        async () => {
          tab.cut()
          for (let count = below(1_500); count > 0; count--)
            server.store("7", "asha", `away ${step} ${count}`)
          await clock.advance(5_000)
        },
      ]
      await acts[below(acts.length)]?.()
      await clock.advance([0, 10, 400][below(3)] as number)
      check(`step ${step}`)
    }

    tab.wires.httpDown = false
    await clock.advance(120_000)
    server.say("7", "asha", "the end")
    await clock.advance(1_000)
    check("at rest")
    // From the end to the beginning and back: every message as the server folds it, however often it was let go.
    const truth = foldAll(stored.log, "me")
    const index = new Map(truth.map(({ id }, at) => [id, at]))
    function compare(): void {
      const rows = settled()
      const begin = index.get(rows[0]?.message?.id ?? "") as number
      const expected = truth.slice(begin, begin + rows.length).map((message) => ({
        id: message.id,
        content: message.content,
        editedAt: message.editedAt ?? null,
        deletedAt: message.deletedAt ?? null,
        reactions: message.reactions ?? [],
        writes: 0,
      }))
      expect(rows.map(shown)).toEqual(expected)
    }
    toEnd()
    await thread.jumpToNewest()
    compare()
    for (const [way, more] of [
      ["loadOlder", "hasOlder"],
      ["loadNewer", "hasNewer"],
    ] as const) {
      for (let page = 0; thread.messages.get()[more]; page++) {
        const loaded = seqs()
        place = way === "loadOlder" ? loaded[0] : loaded.at(-1)
        thread.stay(true, place)
        await thread[way]()
        if (page % 20 === 0) compare()
      }
      compare()
    }
    expect(seqs().at(-1)).toBe(truth.at(-1)?.seq)
  },
)

test("20: a closed conversation keeps only its end, and dropped messages load again", async () => {
  const world = makeWorld()
  const { server, clock } = world
  server.addConversation("7", "me", "asha")
  for (let at = 1; at <= 3_000; at++) server.store("7", "asha", `text ${at}`)
  const tab = makeTab(world)
  tab.client.retain()
  const thread = threadOf(tab)
  const close = thread.open()
  await clock.advance(500)
  for (let page = 0; page < 30; page++) await thread.loadOlder()
  expect(thread.messages.get().rows.length).toBe(1_550)
  close()
  const held = thread.log().segments.reduce((sum, { messages }) => sum + messages.length, 0)
  expect(held).toBeLessThanOrEqual(220)
  thread.open()
  await clock.advance(500)
  for (let page = 0; page < 30; page++) await thread.loadOlder()
  const seqs = thread.messages.get().rows.map(({ seq }) => seq)
  expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, at) => 3_000 - seqs.length + 1 + at))
})

test("19 20: the target of a jump stays, although rows around it exceed the window", async () => {
  const world = makeWorld()
  const { server, clock } = world
  server.addConversation("7", "me", "asha")
  for (let at = 1; at <= 4_000; at++) server.store("7", "asha", `text ${at}`)
  const tab = makeTab(world)
  tab.client.retain()
  const thread = threadOf(tab)
  thread.open()
  await clock.advance(500)
  // Scrolls up until the window is as long as it gets without a cut, and back to the end.
  for (let page = 0; page < 43; page++) await thread.loadOlder()
  const before = thread.messages.get().rows.map(({ seq }) => seq as number)
  expect(before.length).toBe(2_200)
  thread.stay(false)
  // A pinned message a little above.
  const seq = (before[0] as number) - 20
  await thread.jumpTo(seq)
  const shown = () => thread.messages.get().rows.map((row) => row.seq)
  expect(shown()).toContain(seq)
  // What arrives before the page has said where one reads takes nothing away either.
  for (let count = 0; count < 300; count++) server.say("7", "asha", `live ${count}`)
  await clock.advance(1_000)
  expect(shown()).toContain(seq)
})

test("19 20: the target of a jump to a loaded row stays, too", async () => {
  const world = makeWorld()
  const { server, clock } = world
  server.addConversation("7", "me", "asha")
  for (let at = 1; at <= 2_180; at++) server.store("7", "asha", `text ${at}`)
  const tab = makeTab(world)
  tab.client.retain()
  const thread = threadOf(tab)
  thread.open()
  await clock.advance(500)
  while (thread.messages.get().hasOlder) await thread.loadOlder()
  thread.stay(false)
  await thread.jumpTo(5)
  for (let count = 0; count < 300; count++) server.say("7", "asha", `live ${count}`)
  await clock.advance(1_000)
  expect(thread.messages.get().rows.map((row) => row.seq)).toContain(5)
})

test("20: without a reported position a jump's target leads to the end and to the beginning", async () => {
  const world = makeWorld()
  const { server, clock } = world
  server.addConversation("7", "me", "asha")
  for (let at = 1; at <= 6_000; at++) server.store("7", "asha", `text ${at}`)
  const tab = makeTab(world)
  tab.client.retain()
  const thread = threadOf(tab)
  thread.open()
  await clock.advance(500)
  for (const [way, more] of [
    ["loadNewer", "hasNewer"],
    ["loadOlder", "hasOlder"],
  ] as const) {
    await thread.jumpTo(3_000)
    for (let page = 0; page < 100 && thread.messages.get()[more]; page++) await thread[way]()
    expect(thread.messages.get()[more]).toBe(false)
  }
})
