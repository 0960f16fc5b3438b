import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  addEntries,
  addPage,
  countUnread,
  emptyLog,
  hasGap,
  hasOlder,
  held,
  holds,
  knowHead,
  type Log,
  lastSeq,
  look,
  type Page,
  type Segment,
  shown,
} from "../src/log.js"
import { createRows } from "../src/rows.js"
import { trim } from "../src/window.js"
import type { LogEntry, Message } from "../src/wire.js"

const message = (seq: number, senderId = "asha"): Message => ({
  id: `m${seq}`,
  kind: "message",
  conversationId: "7",
  seq,
  senderId,
  content: `text ${seq}`,
  createdAt: "2026-03-01T12:00:00.000Z",
})
const range = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => message(from + index))
const seqsOf = (entries: readonly LogEntry[]) => entries.map((entry) => entry.seq)
const messagesOf = (segment: Segment) => segment.messages.map((one) => one.message)
const seqs = (log: Log) => seqsOf(messagesOf(shown(log)))
const newest = (entries: Message[], hasBefore = false) =>
  addPage(emptyLog, { direction: "newest", entries, hasBefore })
const follow = (seq: number) => ({ direction: "after" as const, at: seq })

/** A page as a server that has these entries would give it. */
function ask(
  server: readonly Message[],
  direction: Page["direction"],
  at: number | undefined,
  limit: number,
): Page {
  const begin =
    direction === "newest"
      ? server.length - limit
      : direction === "before"
        ? server.filter((entry) => entry.seq < (at as number)).length - limit
        : direction === "after"
          ? server.filter((entry) => entry.seq <= (at as number)).length
          : server.filter((entry) => entry.seq < (at as number)).length - Math.floor(limit / 2)
  const end =
    direction === "before" ? server.filter((entry) => entry.seq < (at as number)).length : begin + limit
  const entries = server.slice(Math.max(0, begin), Math.max(0, end))
  const page: Page = { direction, at, entries }
  if (direction !== "after") page.hasBefore = begin > 0
  if (direction === "after" || direction === "around") page.hasAfter = end < server.length
  return page
}

/** What must hold of any log, whatever happened to it. */
function check(log: Log): void {
  let before = 0
  for (const { from, to, messages } of log.segments) {
    // Within a segment nothing is missing; between two, something is.
    expect(from).toBeGreaterThan(before ? before + 1 : 0)
    expect(seqsOf(messages.map((one) => one.message))).toEqual(seqsOf(range(from, to)))
    before = to
  }
  expect(before).toBeLessThanOrEqual(log.head)
  if (log.tail) expect(holds(log, log.tail)).toBe(true)
  if (log.view !== null) {
    expect(holds(log, log.view)).toBe(true)
    expect(shown(log)).not.toBe(shown({ ...log, view: null }))
  }
  for (const entry of held(log)) expect(entry.seq).toBeGreaterThan(lastSeq(log))
}

const HEAD = 60
const step = fc.record({
  kind: fc.constantFrom("live", "older", "newer", "newest", "follow", "around", "look", "toNewest", "stale"),
  at: fc.integer({ min: 1, max: HEAD }),
  limit: fc.integer({ min: 1, max: 12 }),
})

describe("a conversation's log", () => {
  test("F28 M6 M11 equals a set of entries, in segments without gaps, for any input in any order", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const server = range(1, HEAD)
        const rows = createRows(() => "me")
        /** The naive model: every entry that has come. */
        const model = new Set<number>()
        let there = 20
        let log = emptyLog
        const add = (page: Page) => {
          for (const entry of page.entries) model.add(entry.seq)
          log = addPage(log, page)
        }
        for (const { kind, at, limit } of steps) {
          const now = server.slice(0, there)
          const seen = shown(log)
          const view = log.view
          const [first, last] = [seen.from, seen.to]
          if (kind === "live") {
            there = Math.min(HEAD, there + 1 + (limit % 3))
            model.add(there)
            log = addEntries(log, [server[there - 1] as Message])
          } else if (kind === "older" && first) add(ask(now, "before", first, limit))
          else if (kind === "newer" && last) add(ask(now, "after", last, limit))
          else if (kind === "newest") add(ask(now, "newest", undefined, limit))
          else if (kind === "follow" && log.loaded) add(ask(now, "after", lastSeq(log), limit))
          else if (kind === "around") {
            add(ask(now, "around", at, limit))
            if (holds(log, at)) log = look(log, at)
          } else if (kind === "look" && holds(log, at)) log = look(log, at)
          else if (kind === "toNewest") log = look(log, null)
          // An answer that was given when there was less.
          else if (kind === "stale")
            add(ask(server.slice(0, Math.min(at, there)), "newest", undefined, limit))
          check(log)
          expect(log.segments.flatMap(messagesOf).map((one) => one.seq)).toEqual(
            [...model].sort((one, other) => one - other),
          )
          // What is shown is never lost, nor moved by what comes live.
          if (kind === "live" && last) {
            for (const entry of seen.messages) expect(shown(log).messages).toContain(entry)
            if (view !== null && log.view !== null && there !== last + 1) expect(shown(log)).toBe(seen)
          }
          if (kind === "around" && at <= there) expect(seqs(log)).toContain(at)
          // The rows made step by step are those made at once.
          expect(rows(log, []).map((row) => row.key)).toEqual(
            createRows(() => "me")(log, []).map((row) => row.key),
          )
          const counted = countUnread(log, at, "me")
          if (counted !== null) expect(counted).toBe(Math.max(0, log.head - at))
        }
        // From any position, paging both ways reaches all messages without a gap.
        const now = server.slice(0, there)
        if (!log.loaded) add(ask(now, "newest", undefined, 5))
        log = knowHead(log, there)
        for (
          let round = 0;
          round < 2 * HEAD && (hasOlder(log) || log.view !== null || hasGap(log));
          round++
        ) {
          const seen = shown(log)
          if (hasOlder(log)) add(ask(now, "before", seen.from, 7))
          else if (log.view !== null) add(ask(now, "after", seen.to, 7))
          else add(ask(now, "after", lastSeq(log), 7))
        }
        expect(seqs(log)).toEqual(seqsOf(now))
        expect([hasOlder(log), hasGap(log), log.view]).toEqual([false, false, null])
      }),
      { numRuns: 1_000 },
    )
  })

  test("F28 hidden old segments are dropped, and a long segment is cut on the far side", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 12, max: 20 }), (steps, most) => {
        const server = range(1, HEAD)
        let log = newest(range(HEAD - 5, HEAD), true)
        for (const { kind, at, limit } of steps) {
          const seen = shown(log)
          const [first, last] = [seen.from, seen.to]
          let side: "older" | "newer" = "newer"
          if (kind === "older") {
            log = addPage(log, ask(server, "before", first, limit))
            side = "older"
          } else if (kind === "newer") log = addPage(log, ask(server, "after", last, limit))
          else if (kind === "around") log = look(addPage(log, ask(server, "around", at, limit)), at)
          else if (kind === "toNewest") log = look(log, null)
          else continue
          const long = shown(log).messages
          // The user reads there, or at an unknown position.
          const place = limit % 2 ? undefined : long[at % long.length]
          log = trim(log, side, most, place?.message.seq)
          check(log)
          expect(log.segments.length).toBeLessThanOrEqual(2)
          expect(log.segments.flatMap(messagesOf).length).toBeLessThanOrEqual(2 * most * 1.1 + 50)
          // What is read is there, with what is around it; otherwise the side towards which one went.
          const kept = shown(log).messages
          const read = place ?? (side === "older" ? long[0] : long.at(-1))
          const around = place ? Math.floor(most / 4) - 1 : 0
          const index = long.indexOf(read as (typeof long)[0])
          for (const one of long.slice(Math.max(0, index - around), index + around + 1))
            expect(kept).toContain(one)
          expect(lastSeq(log)).toBe(HEAD)
          if (shown(log).from !== 1) expect(hasOlder(log)).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })

  test("F28 a jump shows the target, and new messages move no rows", () => {
    let log = newest(range(91, 100), true)
    log = look(addPage(log, { direction: "around", at: 20, entries: range(15, 25), hasBefore: true }), 20)
    expect([seqs(log), log.view]).toEqual([seqsOf(range(15, 25)), 20])
    log = addEntries(log, [message(101), message(103)])
    expect(seqs(log)).toEqual(seqsOf(range(15, 25)))
    expect([lastSeq(log), log.head, hasGap(log)]).toEqual([101, 103, true])
    log = addPage(log, { ...follow(25), entries: range(26, 90), hasAfter: true })
    expect([seqs(log), log.view]).toEqual([seqsOf(range(15, 101)), null])
  })

  test("M6 entries after a gap wait until the gap is filled", () => {
    let log = newest(range(1, 3))
    log = addEntries(log, [message(6)])
    expect([seqs(log), seqsOf(held(log))]).toEqual([[1, 2, 3], [6]])
    expect(hasGap(log)).toBe(true)
    log = addPage(log, { ...follow(3), entries: [message(4), message(5)], hasAfter: true })
    expect(seqs(log)).toEqual([1, 2, 3, 4, 5, 6])
    expect(hasGap(log)).toBe(false)
  })

  test("entries that arrive before the first page wait for it", () => {
    const before = addEntries(emptyLog, [message(4)])
    expect(seqs(before)).toEqual([])
    expect(seqs(addPage(before, { direction: "newest", entries: range(1, 3), hasBefore: false }))).toEqual([
      1, 2, 3, 4,
    ])
  })

  test("the first message of an empty conversation shows, before or after its page", () => {
    const page: Page = { direction: "newest", entries: [], hasBefore: false }
    expect(seqs(addEntries(addPage(emptyLog, page), [message(1)]))).toEqual([1])
    expect(seqs(addPage(addEntries(emptyLog, [message(1)]), page))).toEqual([1])
  })

  test("M7 if the past was deleted, the log restarts without older messages", () => {
    let log = addEntries(newest(range(1, 3)), [message(20)])
    log = addPage(log, { ...follow(3), entries: range(18, 20), hasAfter: false })
    expect(seqs(log)).toEqual([18, 19, 20])
    expect(hasOlder(log)).toBe(false)
    expect(countUnread(log, 3, "me")).toBe(3)
  })

  test("the log does not wait for announced entries that do not exist", () => {
    const log = addPage(knowHead(newest(range(1, 3)), 9), { ...follow(3), entries: [], hasAfter: false })
    expect([log.head, hasGap(log)]).toEqual([3, false])
  })

  test("a changed entry gets a new row, and the other rows stay the same objects", () => {
    const rows = createRows(() => "me")
    const log = newest(range(1, 3))
    const before = rows(log, [])
    const after = rows(addEntries(log, [{ ...message(2), content: "edited" }, message(3), message(4)]), [])
    expect(after.map((row) => row.content)).toEqual(["text 1", "edited", "text 3", "text 4"])
    expect(after[0]).toBe(before[0])
    expect(after[2]).toBe(before[2])
  })

  test("two messages with one client id have two keys", () => {
    const twin = (seq: number) => ({ ...message(seq, "me"), clientMessageId: "temp-1" })
    const keys = createRows(() => "me")(newest([twin(1), twin(2)]), []).map((row) => row.key)
    expect(new Set(keys).size).toBe(2)
  })

  test("M11 adding an entry twice returns the same log", () => {
    const log = newest(range(1, 3))
    expect(addEntries(log, [{ ...message(2) }])).toBe(log)
  })

  test("unread messages are counted only if the range is loaded", () => {
    const log = newest([message(30), message(31, "me"), message(32)], true)
    expect(countUnread(log, 29, "me")).toBe(2)
    expect(countUnread(log, 31, "me")).toBe(1)
    expect(countUnread(log, 12, "me")).toBeNull()
    expect(countUnread(addEntries(log, [message(40)]), 31, "me")).toBeNull()
  })
})
