// The checker finds each kind of fault, planted in a small history.
import assert from "node:assert/strict"
import { test } from "node:test"
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

const entry = (seq, senderId, content) => ({
  seq,
  id: `id-${content}`,
  kind: "message",
  senderId,
  content,
  clientMessageId: content,
  createdAt: `at ${seq}`,
})
const change = (seq, senderId, kind, of, more = {}) => ({
  ...entry(seq, senderId, undefined),
  id: `id-${seq}`,
  clientMessageId: `key-${seq}`,
  kind,
  messageId: `id-${of}`,
  messageSeq: { one: 1, two: 2, three: 3 }[of],
  ...more,
})
const send = (user, content, invokedAt, ackedAt, seq, more = {}) => ({
  clientMessageId: content,
  kind: "message",
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
  checkWrites(sends, logs, violations)
  return violations
}

test("M1, M3, M4, M5: a correct history has no violations", () => {
  assert.equal(judge(() => {}).count, 0)
  // What was never acknowledged may be stored or not.
  const open = judge((sends, log) => {
    sends.push(send("b", "four", 13), send("b", "five", 14))
    log.push(entry(4, "b", "four"))
  })
  assert.equal(open.count, 0, String(open))
})

test("M3: finds an acknowledged message that is not stored", () => {
  const violations = judge((_, log) => log.pop())
  assert.equal(violations.of("lost"), 1)
})

test("M1: finds a message stored twice, and a repetition with another answer", () => {
  assert.equal(judge((_, log) => log.push({ ...entry(4, "b", "two"), id: "other" })).of("stored twice"), 1)
  assert.equal(judge((sends) => sends[0].repeats.push({ id: "other", seq: 1 })).of("other answer"), 1)
  assert.equal(judge((sends) => (sends[0].ack.seq = 2)).of("other answer"), 1)
})

test("M4: finds a gap in the numbers", () => {
  assert.ok(judge((_, log) => (log[2].seq = 4)).of("gap in the store"))
})

test("M5: finds a message stored before one that was acknowledged before it was sent", () => {
  const violations = judge((sends, log) => {
    ;[log[0], log[1]] = [entry(1, "b", "two"), entry(2, "a", "one")]
    sends[0].ack.seq = 2
    sends[1].ack.seq = 1
  })
  assert.equal(violations.of("out of order"), 1, String(violations))
})

test("M5: finds messages of one burst in another order", () => {
  const violations = judge((sends) => {
    const burst = { burst: 1, isFirstAttempt: true }
    Object.assign(sends[0], burst, { invokedAt: 2, ackedAt: 30 })
    Object.assign(sends[2], burst, { invokedAt: 1, ackedAt: 30 })
  })
  assert.equal(violations.of("out of order"), 1, String(violations))
})

test("M10: finds an entry that the store lacks or has under another id, and a message without a sender", () => {
  assert.equal(judge((_, log) => log.push(entry(4, "x", "four"))).of("never sent"), 1)
  const violations = new Violations()
  const seen = new Map([
    [1, entry(1, "a", "one")],
    [2, entry(2, "a", "other")],
    [4, entry(4, "a", "four")],
  ])
  checkViews([{ name: "tab", user: "a", conversation: "c", base: 0, seen }], right().logs, violations)
  assert.equal(violations.of("not committed"), 2)
  assert.equal(violations.of("gap left"), 1)
})

test("M4: entries before a tab was opened are not a gap", () => {
  const violations = new Violations()
  checkViews(
    [{ name: "tab", user: "a", conversation: "c", base: 2, seen: new Map([[3, entry(3, "a", "three")]]) }],
    right().logs,
    violations,
  )
  assert.equal(violations.count, 0)
})

test("M10: finds entries that were not pushed to a connection, except earlier ones and its own", () => {
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

test("M9: finds wrong marks and unread counts", () => {
  const judged = (shown, mark) => {
    const violations = new Violations()
    const list = [{ id: "c", headSeq: 3, lastMessage: entry(3, "a", "three"), ...shown }]
    checkUnread("b", list, right().logs, new Map([["c", mark]]), violations)
    return violations
  }
  const mark = { confirmed: 0, attempted: new Set([3]) }
  assert.equal(judged({ readSeq: 2, unread: 1 }, mark).count, 0, "one's own message moves the mark")
  assert.equal(judged({ readSeq: 3, unread: 0 }, mark).count, 0, "the mark without an answer was stored")
  assert.equal(judged({ readSeq: 1, unread: 1 }, mark).of("read mark"), 1)
  assert.equal(judged({ readSeq: 2, unread: 2 }, mark).of("unread"), 1)
})

/** The correct history; then a message is edited, and another one with a reaction is deleted. */
function changed() {
  const { sends, logs } = right()
  const log = logs.get("c")
  log[1].content = ""
  log.push(
    change(4, "a", "edit", "one", { content: "uno" }),
    change(5, "a", "reaction", "two", { emoji: "👍", added: true }),
    change(6, "b", "delete", "two"),
  )
  const made = (user, kind, seq, of, more) => ({
    ...send(user, `key-${seq}`, 10 + 2 * seq, 11 + 2 * seq, seq),
    content: undefined,
    ack: { id: `id-${seq}`, seq },
    kind,
    messageId: `id-${of}`,
    ...more,
  })
  const writes = [
    ...sends,
    made("a", "edit", 4, "one", { content: "uno" }),
    made("a", "reaction", 5, "two", { emoji: "👍", added: true }),
    made("b", "delete", 6, "two"),
  ]
  return { writes, log, logs, made }
}

test("M3: edits, deletions and reactions are stored as they were written, and a deletion erases", () => {
  const judged = (spoil) => {
    const all = changed()
    spoil(all)
    const violations = new Violations()
    checkWrites(all.writes, all.logs, violations)
    return violations
  }
  const right = judged(() => {})
  assert.equal(right.count, 0, String(right))
  assert.equal(judged(({ log }) => (log[3].content = "one")).of("other content"), 1)
  assert.equal(judged(({ log }) => (log[4].added = false)).of("other content"), 1)
  assert.equal(judged(({ log }) => (log[4].messageId = "id-one")).of("other content"), 1)
  assert.equal(judged(({ log }) => (log[1].content = "two")).of("other content"), 1, "not erased")
  assert.equal(judged(({ log }) => log.pop()).of("lost"), 1)
  // A write that changed nothing is answered with the entry that made the state.
  const again = (more) => (all) => {
    const write = all.made("a", "reaction", 5, "two", { emoji: "👍", added: true })
    all.writes.push({ ...write, clientMessageId: "again", isUnchanged: true, ...more })
  }
  assert.equal(judged(again({})).count, 0)
  assert.equal(judged(again({ added: false })).of("other content"), 1)
  const never = { added: false, ack: { id: "id-two", seq: 2 } }
  assert.equal(judged(again(never)).count, 0, "or with the message, if nothing made it")
  assert.equal(judged(again({ ...never, messageId: "id-one" })).count, 1)
  // Only what is deleted may be refused as not found.
  const gone = (of) => (all) =>
    all.writes.push({ ...all.made("a", "edit", 9, of), ack: undefined, isNotFound: true })
  assert.equal(judged(gone("two")).count, 0)
  assert.equal(judged(gone("one")).of("refused"), 1)
})

test("M10: a tab and a fresh reader show the messages of the log", () => {
  const { log, logs } = changed()
  const judged = (spoil) => {
    const violations = new Violations()
    const seen = new Map(log.map((entry) => [entry.seq, { ...entry }]))
    spoil(seen)
    checkViews([{ name: "tab", user: "b", conversation: "c", base: 0, seen }], logs, violations)
    return violations.of("other messages")
  }
  assert.equal(
    judged(() => {}),
    0,
  )
  // What it had before the deletion.
  assert.equal(
    judged((seen) => (seen.get(2).content = "two")),
    0,
  )
  assert.equal(
    judged((seen) => (seen.get(4).content = "eins")),
    1,
  )
  assert.equal(
    judged((seen) => (seen.get(6).messageSeq = 3)),
    2,
  )
  const shown = fold(log, "b")
  const violationsOf = (messages) => {
    const violations = new Violations()
    checkMessages("history", messages, shown, violations)
    return violations.of("other messages")
  }
  assert.equal(violationsOf(fold(log, "b")), 0)
  assert.equal(violationsOf(shown.slice(1)), 4)
  assert.equal(violationsOf(shown.map((message) => ({ ...message, content: "" }))), 2)
})

test("M9: deleted messages are not unread, and not the last one", () => {
  const { logs } = changed()
  const judged = (shown) => {
    const violations = new Violations()
    const marks = new Map([["c", { confirmed: 0, attempted: new Set() }]])
    checkUnread("a", [{ id: "c", headSeq: 6, readSeq: 3, ...shown }], logs, marks, violations)
    return violations
  }
  const three = { id: "id-three", content: "three" }
  assert.equal(judged({ unread: 0, lastMessage: three }).count, 0)
  assert.equal(judged({ unread: 1, lastMessage: three }).of("unread"), 1)
  assert.equal(judged({ unread: 0, lastMessage: { id: "id-two", content: "" } }).of("last message"), 1)
})

test("P1: finds ghosts, and online users who are not shown", () => {
  const violations = new Violations()
  checkOnline("node", ["a", "ghost"], ["a", "b"], violations)
  assert.deepEqual([violations.of("ghost"), violations.of("not shown")], [1, 1])
})
