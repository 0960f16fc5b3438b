import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { addEntry, addPage, countUnread, emptyLog, freshIn, hasGap, type Log, lastSeq } from "../src/log.js"
import { createRows } from "../src/rows.js"
import type { Message } from "../src/wire.js"

const message = (seq: number, senderId = "asha"): Message => ({
  id: `m${seq}`,
  kind: "message",
  conversationId: "7",
  seq,
  senderId,
  content: `text ${seq}`,
  createdAt: "2026-03-01T12:00:00.000Z",
})
const all = (count: number) => Array.from({ length: count }, (_, index) => message(index + 1))
const seqs = (log: Log) => log.entries.map((entry) => entry.seq)
const newest = (entries: Message[], hasMore = false) =>
  addPage(emptyLog, { direction: "newest", entries, hasMore })

/** Whether the entries of a log follow each other without a gap. */
const isContiguous = (log: Log) =>
  log.entries.every(
    (entry, index) => index === 0 || entry.seq === (log.entries[index - 1] as Message).seq + 1,
  )

describe("a conversation's log", () => {
  test("M6 M11 is contiguous and holds each entry once, whatever comes in whatever order", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("live" as const), at: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ kind: fc.constant("before" as const), at: fc.integer({ min: 1, max: 41 }) }),
      fc.record({ kind: fc.constant("after" as const), at: fc.integer({ min: 0, max: 40 }) }),
      fc.record({ kind: fc.constant("newest" as const), at: fc.integer({ min: 0, max: 40 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 9 }), (steps, limit) => {
        const server = all(40)
        const rows = createRows(() => "me")
        let log = emptyLog
        let last = log
        for (const { kind, at } of steps) {
          if (kind === "live") log = addEntry(log, server[at - 1] as Message)
          else {
            // A page as the server would have given it at some moment, whether or not it still joins on.
            const there = kind === "newest" ? server.slice(0, at) : server
            const rest =
              kind === "before"
                ? there.filter((entry) => entry.seq < at)
                : kind === "after"
                  ? there.filter((entry) => entry.seq > at)
                  : there
            const entries = kind === "after" ? rest.slice(0, limit) : rest.slice(-limit)
            // A page is asked for from where the log ends.
            if (kind === "after" && at !== lastSeq(log)) continue
            log = addPage(log, { direction: kind, entries, hasMore: rest.length > limit })
          }
          expect(isContiguous(log)).toBe(true)
          // What is fresh is told, once.
          const before = new Set([...last.entries, ...last.held.values()].map((entry) => entry.seq))
          const fresh = freshIn(last, log).map((entry) => entry.seq)
          const expected = [...log.entries, ...log.held.values()].map((entry) => entry.seq)
          for (const seq of expected) if (!before.has(seq)) expect(fresh).toContain(seq)
          // The rows made step by step are those made at once.
          expect(rows(log, []).map((row) => row.key)).toEqual(
            createRows(() => "me")(log, []).map((row) => row.key),
          )
          last = log
          for (const seq of log.held.keys()) expect(seq > lastSeq(log) || !log.loaded).toBe(true)
        }
        // Fetching what is missing always ends with everything there is.
        for (let round = 0; log.loaded && hasGap(log) && round < 50; round++) {
          const rest = server.filter((entry) => entry.seq > lastSeq(log))
          log = addPage(log, {
            direction: "after",
            entries: rest.slice(0, limit),
            hasMore: rest.length > limit,
          })
        }
        if (log.loaded) expect(hasGap(log)).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  test("M6 what comes after a gap is held until the gap is filled", () => {
    let log = newest(all(3))
    log = addEntry(log, message(6))
    expect(seqs(log)).toEqual([1, 2, 3])
    expect(hasGap(log)).toBe(true)
    log = addPage(log, { direction: "after", entries: [message(4), message(5)], hasMore: true })
    expect(seqs(log)).toEqual([1, 2, 3, 4, 5, 6])
    expect(hasGap(log)).toBe(false)
  })

  test("what comes before anything is loaded waits for the first page", () => {
    let log = addEntry(emptyLog, message(4))
    expect(seqs(log)).toEqual([])
    log = addPage(log, { direction: "newest", entries: all(3), hasMore: false })
    expect(seqs(log)).toEqual([1, 2, 3, 4])
  })

  test("M7 where the past is gone it begins anew, and says that there is nothing older", () => {
    let log = newest(all(3))
    log = addEntry(log, message(20))
    log = addPage(log, {
      direction: "after",
      entries: [message(18), message(19), message(20)],
      hasMore: false,
    })
    expect(seqs(log)).toEqual([18, 19, 20])
    expect(log.hasOlder).toBe(false)
  })

  test("an entry that changed is another row, and the others stay", () => {
    const rows = createRows(() => "me")
    const log = newest(all(3))
    const before = rows(log, [])
    const after = rows(addEntry(addEntry(log, { ...message(2), content: "edited" }), message(4)), [])
    expect(after.map((row) => row.content)).toEqual(["text 1", "edited", "text 3", "text 4"])
    expect([after[0], after[2]]).toEqual([before[0], before[2]])
    expect(after[0]).toBe(before[0])
  })

  test("two messages under one client id have two keys", () => {
    const twin = (seq: number) => ({ ...message(seq, "me"), clientMessageId: "temp-1" })
    const keys = createRows(() => "me")(newest([twin(1), twin(2)]), []).map((row) => row.key)
    expect(new Set(keys).size).toBe(2)
  })

  test("M11 the same entry twice is the same log", () => {
    const log = newest(all(3))
    expect(addEntry(log, { ...message(2) })).toBe(log)
  })

  test("an older page that does not join on any more is dropped", () => {
    const log = newest([message(30), message(31)], true)
    expect(addPage(log, { direction: "before", entries: [message(3), message(4)], hasMore: true })).toBe(log)
  })

  test("counts what is unread only where it can tell", () => {
    const log = newest([message(30), message(31, "me"), message(32)], true)
    expect(countUnread(log, 29, "me")).toBe(2)
    expect(countUnread(log, 31, "me")).toBe(1)
    expect(countUnread(log, 12, "me")).toBeNull()
    expect(countUnread(addEntry(log, message(40)), 31, "me")).toBeNull()
  })
})
