import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { excerptOf, fold, foldIn, isChange, isMessage, merge } from "../src/fold.js"
import {
  addEntries,
  addPage,
  emptyLog,
  knowHead,
  type Log,
  lastSeq,
  newestMessage,
  type Page,
} from "../src/log.js"
import type { ChangeEntry, LogEntry, Message, ReactionEntry } from "../src/wire.js"
import { foldAll } from "./support/writes.js"

const base = (seq: number, senderId = "asha") => ({
  id: `e${seq}`,
  conversationId: "7",
  seq,
  senderId,
  createdAt: `at ${seq}`,
})
const message = (seq: number, more: Partial<Message> = {}): Message => ({
  ...base(seq),
  kind: "message",
  content: `text ${seq}`,
  ...more,
})
const of = (seq: number, senderId?: string) => ({ ...base(seq, senderId), messageId: "e1", messageSeq: 1 })
const edit = (seq: number, content: string): ChangeEntry => ({ ...of(seq), kind: "edit", content })
const remove = (seq: number): ChangeEntry => ({ ...of(seq), kind: "delete" })
const reaction = (seq: number, senderId: string, added = true, emoji = "👍"): ReactionEntry => ({
  ...of(seq, senderId),
  kind: "reaction",
  emoji,
  added,
})
const after = (first: Message, asOf: number, ...entries: ChangeEntry[]) =>
  fold(first, asOf, entries, "me").message

const USERS = ["asha", "me", "ben"]

/** A log of all kinds, as a server would have it: what changes nothing is not in it. */
const logs = fc
  .array(
    fc.record({
      kind: fc.constantFrom("message", "reply", "edit", "delete", "reaction", "reaction", "pin", "members"),
      target: fc.nat(),
      who: fc.constantFrom(...USERS),
      is: fc.boolean(),
      emoji: fc.constantFrom("👍", "🎉"),
    }),
    { minLength: 4, maxLength: 40 },
  )
  .map((steps) => {
    const log: LogEntry[] = [message(1)]
    for (const { kind, target, who, is, emoji } of steps) {
      const seq = log.length + 1
      const now = foldAll(log, who)
      const one = now[target % now.length] as Message
      const place = { ...base(seq, who), messageId: one.id, messageSeq: one.seq }
      const has = one.reactions?.some((group) => group.emoji === emoji && group.mine) ?? false
      if (kind === "message") log.push({ ...message(seq), senderId: who })
      else if (kind === "members") log.push({ ...base(seq, who), kind })
      else if (kind === "reply") {
        const { id, senderId, content } = one
        const replyTo = { id, seq: one.seq, senderId, excerpt: excerptOf(content) }
        log.push({ ...message(seq), senderId: who, replyTo })
      } else if (one.deletedAt) continue
      else if (kind === "edit")
        log.push({ ...place, kind, content: `edit ${seq}`, ...(is ? { mentions: [who] } : {}) })
      else if (kind === "delete") log.push({ ...place, kind })
      else if (kind === "pin" && is !== !!one.pinnedAt) log.push({ ...place, kind, pinned: is })
      else if (kind === "reaction") log.push({ ...place, kind, emoji, added: !has })
    }
    return log
  })

/** Without the order of the emoji, which a page does not tell in full. */
const plain = (messages: readonly Message[]) =>
  messages.map(({ reactions, ...rest }) => ({
    ...rest,
    reactions: [...(reactions ?? [])].sort((one, other) => (one.emoji < other.emoji ? -1 : 1)),
  }))
const loaded = (log: Log) => log.segments.flatMap(({ messages }) => messages.map((one) => one.message))

/** A page of a server whose log ends with `head`. */
function pageOf(
  log: LogEntry[],
  head: number,
  direction: Page["direction"],
  at: number,
  limit: number,
): Page {
  const all = foldAll(log.slice(0, head), "me")
  const rest = all.filter(({ seq }) =>
    direction === "before" ? seq < at : direction === "after" ? seq > at : true,
  )
  const entries = direction === "after" ? rest.slice(0, limit) : rest.slice(-limit)
  const isWhole = entries.length === rest.length
  const from = direction === "after" ? at + 1 : isWhole ? 1 : (entries[0]?.seq ?? 1)
  const end = direction === "before" ? Math.min(at - 1, head) : head
  const to = direction === "after" && !isWhole ? (entries.at(-1)?.seq ?? end) : end
  return { direction, at, entries, range: { from, to, asOf: head } }
}

describe("folding", () => {
  test("any order and repetition of entries and pages gives the same result as the server's fold", () => {
    const step = fc.record({
      kind: fc.constantFrom("entry", "entry", "run", "newest", "before", "after"),
      at: fc.nat(),
      head: fc.nat(),
      limit: fc.integer({ min: 1, max: 6 }),
    })
    fc.assert(
      fc.property(logs, fc.array(step, { maxLength: 60 }), fc.nat(), (server, steps, turn) => {
        let log: Log = { ...emptyLog, me: "me" }
        for (const { kind, at, head, limit } of steps) {
          const seq = 1 + (at % server.length)
          if (kind === "entry") log = addEntries(log, [server[seq - 1] as LogEntry])
          else if (kind === "run") log = addEntries(log, server.slice(seq - 1, seq - 1 + limit))
          else {
            const page = pageOf(server, 1 + (head % server.length), kind as Page["direction"], seq, limit)
            // Such a page is requested again.
            if ((page.range?.asOf ?? 0) >= log.forgotten) log = addPage(log, page)
          }
          // What is loaded never tells of what is not known to be there, and keeps its order.
          const seqs = loaded(log).map((one) => one.seq)
          expect(seqs).toEqual([...new Set(seqs)].sort((one, other) => one - other))
        }
        const rest = [...server.slice(turn % server.length), ...server.slice(0, turn % server.length)]
        for (const entry of rest) log = addEntries(log, [entry])
        expect(plain(loaded(log))).toEqual(plain(foldAll(server, "me")))
        expect(log.segments.map(({ from, to }) => [from, to])).toEqual([[1, server.length]])
      }),
      { numRuns: 1_000 },
    )
  })

  test("entries alone, in any order, give an identical result", () => {
    const shuffled = logs.chain((server) =>
      fc.tuple(
        fc.constant(server),
        fc.shuffledSubarray(server, { minLength: server.length, maxLength: server.length }),
      ),
    )
    fc.assert(
      fc.property(shuffled, ([server, order]) => {
        let log: Log = { ...emptyLog, me: "me" }
        for (const entry of [...order, ...order.slice(0, 5)]) log = addEntries(log, [entry])
        expect(loaded(log)).toEqual(foldAll(server, "me"))
      }),
      { numRuns: 1_000 },
    )
  })

  test("entries after the first page keep all loaded messages equal to the server's", () => {
    fc.assert(
      fc.property(logs, fc.nat(), fc.integer({ min: 1, max: 4 }), (server, then, limit) => {
        const head = 1 + (then % server.length)
        let log = addPage({ ...emptyLog, me: "me" }, pageOf(server, head, "newest", 0, limit))
        for (const [at, entry] of server.slice(head).entries()) {
          log = addEntries(log, [entry])
          const now = foldAll(server.slice(0, head + at + 1), "me")
          const seqs = new Set(loaded(log).map(({ seq }) => seq))
          expect(plain(loaded(log))).toEqual(plain(now.filter(({ seq }) => seqs.has(seq))))
          expect(lastSeq(log)).toBe(head + at + 1)
          const newest = newestMessage(log)
          if (newest !== undefined) expect(newest?.id).toBe(now.findLast(({ deletedAt }) => !deletedAt)?.id)
        }
      }),
      { numRuns: 500 },
    )
  })

  test("an entry older than the page changes nothing and returns the same object", () => {
    const known = fold(message(1, { content: "now", editedAt: "at 9" }), 9, [], "me")
    expect(foldIn(known, [edit(5, "before")], "me")).toBe(known)
    const twice = foldIn(known, [edit(12, "later")], "me")
    expect(twice.message).toMatchObject({ content: "later", editedAt: "at 12" })
    expect(foldIn(twice, [edit(12, "later")], "me")).toBe(twice)
    expect(foldIn(twice, [edit(11, "replaced already")], "me")).toBe(twice)
    expect(merge(twice, known, "me")).toBe(twice)
  })

  test("a deletion is final and removes text and quotes", () => {
    const reply = message(2, { replyTo: { id: "e1", seq: 1, senderId: "asha", excerpt: "text 1" } })
    let log = addEntries({ ...emptyLog, me: "me" }, [message(1), reply, reaction(3, "me"), edit(4, "secret")])
    expect(loaded(log)[1]?.replyTo?.excerpt).toBe("secret")
    log = addEntries(log, [remove(5), edit(6, "back"), reaction(7, "ben")])
    expect(loaded(log)[0]).toEqual({ ...message(1), content: "", deletedAt: "at 5" })
    expect(loaded(log)[1]?.replyTo?.excerpt).toBe("")
    const held = JSON.stringify([log.segments, log.changes])
    expect(held).not.toContain("secret")
  })

  test("a page that was read before an entry and arrives after it shows the entry", () => {
    let log = knowHead({ ...emptyLog, me: "me" }, 4)
    log = addEntries(log, [edit(4, "later")])
    const range = { from: 1, to: 3, asOf: 3 }
    log = addPage(log, { direction: "newest", entries: [message(1), message(2), message(3)], range })
    expect(loaded(log).map(({ content }) => content)).toEqual(["later", "text 2", "text 3"])
    expect(lastSeq(log)).toBe(4)
  })

  test("with more than twenty reactions the count stays correct, whichever users are listed", () => {
    const userIds = Array.from({ length: 20 }, (_, at) => `u${at}`)
    const many = message(1, { reactions: [{ emoji: "👍", count: 30, mine: true, userIds }] })
    const [group] = after(many, 9, reaction(10, "u25", false), reaction(11, "u3", false)).reactions ?? []
    expect(group).toMatchObject({ count: 28, mine: true })
    expect(group?.userIds).toEqual(userIds.filter((id) => id !== "u3"))
    expect(after(many, 9, reaction(10, "new")).reactions?.[0]).toMatchObject({ count: 31, userIds })
    // The user is not listed, and adds and removes the reaction.
    const back = after(many, 9, reaction(10, "me", false), reaction(11, "me", true)).reactions?.[0]
    expect(back).toMatchObject({ count: 30, mine: true })
  })

  test("an acknowledgement with the current message does not count a reaction twice", () => {
    const now = message(1, { reactions: [{ emoji: "👍", count: 1, mine: false, userIds: ["ben"] }] })
    expect(after(now, 1, reaction(2, "ben")).reactions).toEqual(now.reactions)
  })

  test("an entry of an unknown kind or without a message changes nothing", () => {
    const entries = [message(1), { ...base(2), kind: "poll" }, { ...base(3), kind: "edit" }] as LogEntry[]
    const log = addEntries({ ...emptyLog, me: "me" }, entries)
    expect(loaded(log)).toEqual([message(1)])
    expect(log.segments.map(({ from, to }) => [from, to])).toEqual([[1, 3]])
    expect([isMessage(entries[1] as LogEntry), isChange(entries[2] as LogEntry)]).toEqual([false, false])
  })

  test("an excerpt is one line of at most 140 characters", () => {
    expect(excerptOf("  one\n\n two\u00a0three ")).toBe("one two three")
    expect(excerptOf("x".repeat(140))).toBe("x".repeat(140))
    expect(excerptOf("😀".repeat(141))).toBe(`${"😀".repeat(140)}…`)
    expect(excerptOf(`${"x".repeat(139)} y`)).toBe(`${"x".repeat(139)}…`)
  })
})
