// The checker finds what it must: each kind of fault, planted in a small history.
import assert from "node:assert/strict"
import { test } from "node:test"
import { checkOnline, checkPushes, checkSends, checkUnread, checkViews, Violations } from "./history.mjs"

const entry = (seq, senderId, content) => ({ seq, id: `id-${content}`, senderId, content })
const send = (user, content, invokedAt, ackedAt, seq, more = {}) => ({
  clientMessageId: content,
  user,
  conversation: "c",
  content,
  invokedAt,
  ackedAt,
  ack: seq && { id: `id-${content}`, seq },
  repeats: [],
  ...more,
})

/** Two users, three messages, all in order. */
const right = () => ({
  sends: [send("a", "one", 0, 5, 1), send("b", "two", 6, 9, 2), send("a", "three", 7, 12, 3)],
  logs: new Map([["c", [entry(1, "a", "one"), entry(2, "b", "two"), entry(3, "a", "three")]]]),
})

function judge(change) {
  const { sends, logs } = right()
  change(sends, logs.get("c"), logs)
  const violations = new Violations()
  checkSends(sends, logs, violations)
  return violations
}

test("M1, M3, M4, M5: a history that is right has no violations", () => {
  assert.equal(judge(() => {}).count, 0)
  // What was never acknowledged may be stored or not.
  const open = judge((sends, log) => {
    sends.push(send("b", "four", 13), send("b", "five", 14))
    log.push(entry(4, "b", "four"))
  })
  assert.equal(open.count, 0, String(open))
})

test("M3: an acknowledged message that is not stored", () => {
  const violations = judge((_, log) => log.pop())
  assert.equal(violations.of("lost"), 1)
})

test("M1: a message that is stored twice, and a repetition with another answer", () => {
  assert.equal(judge((_, log) => log.push({ ...entry(4, "b", "two"), id: "other" })).of("stored twice"), 1)
  assert.equal(judge((sends) => sends[0].repeats.push({ id: "other", seq: 1 })).of("other answer"), 1)
  assert.equal(judge((sends) => (sends[0].ack.seq = 2)).of("other answer"), 1)
})

test("M4: a number that is left out", () => {
  assert.ok(judge((_, log) => (log[2].seq = 4)).of("gap in the store"))
})

test("M5: a message that is stored before one that was acknowledged before it was sent", () => {
  const violations = judge((sends, log) => {
    ;[log[0], log[1]] = [entry(1, "b", "two"), entry(2, "a", "one")]
    sends[0].ack.seq = 2
    sends[1].ack.seq = 1
  })
  assert.equal(violations.of("out of order"), 1, String(violations))
})

test("M5: messages of one burst in another order", () => {
  const violations = judge((sends) => {
    const burst = { burst: 1, isFirstAttempt: true }
    Object.assign(sends[0], burst, { invokedAt: 2, ackedAt: 30 })
    Object.assign(sends[2], burst, { invokedAt: 1, ackedAt: 30 })
  })
  assert.equal(violations.of("out of order"), 1, String(violations))
})

test("M10: an entry that the store does not have, or has under another id; and a message of nobody", () => {
  assert.equal(judge((_, log) => log.push(entry(4, "x", "four"))).of("never sent"), 1)
  const violations = new Violations()
  const seen = new Map([
    [1, "id-one"],
    [2, "id-other"],
    [4, "id-four"],
  ])
  checkViews([{ name: "tab", conversation: "c", base: 0, seen }], right().logs, violations)
  assert.equal(violations.of("not committed"), 2)
  assert.equal(violations.of("gap left"), 1)
})

test("M4: what came before a tab was opened is no gap of it", () => {
  const violations = new Violations()
  checkViews(
    [{ name: "tab", conversation: "c", base: 2, seen: new Map([[3, "id-three"]]) }],
    right().logs,
    violations,
  )
  assert.equal(violations.count, 0)
})

test("M10: what a connection was not pushed, but what came before it and what it sent", () => {
  const judged = (from, all, sent) => {
    const violations = new Violations()
    const pushes = [{ name: "tab", conversation: "c", from, all: new Set(all), sent: new Set(sent) }]
    checkPushes(pushes, right().logs, violations)
    return violations.of("not pushed")
  }
  assert.equal(judged(1, [2], ["three"]), 0)
  assert.equal(judged(1, [2], []), 1)
  assert.equal(judged(0, [2, 3], []), 1)
})

test("M9: marks and counts of unread messages", () => {
  const judged = (shown, mark) => {
    const violations = new Violations()
    const list = [{ id: "c", headSeq: 3, ...shown }]
    checkUnread("b", list, right().logs, new Map([["c", mark]]), violations)
    return violations
  }
  const mark = { confirmed: 0, attempted: new Set([3]) }
  assert.equal(judged({ readSeq: 2, unread: 1 }, mark).count, 0, "one's own message moves the mark")
  assert.equal(judged({ readSeq: 3, unread: 0 }, mark).count, 0, "the mark without an answer was stored")
  assert.equal(judged({ readSeq: 1, unread: 1 }, mark).of("read mark"), 1)
  assert.equal(judged({ readSeq: 2, unread: 2 }, mark).of("unread"), 1)
})

test("P1: ghosts, and users who are not shown", () => {
  const violations = new Violations()
  checkOnline("node", ["a", "ghost"], ["a", "b"], violations)
  assert.deepEqual([violations.of("ghost"), violations.of("not shown")], [1, 1])
})
