// Checks a history against the invariants. Pure functions without a server.

import { isDeepStrictEqual } from "node:util"
import { fold } from "../e2e/support/fold.mjs"

/**
 * A message that a client tried to send, or a change of one, until it was acknowledged or given up.
 * @typedef {object} Write
 * @property {string} clientMessageId
 * @property {"message" | "edit" | "delete" | "reaction"} kind
 * @property {string} user
 * @property {string} conversation
 * @property {string} [content] of a message or an edit, unique in a run
 * @property {string} [messageId] of a change: the message
 * @property {string} [emoji] @property {boolean} [added] of a reaction
 * @property {number} invokedAt when the first attempt began
 * @property {number} [ackedAt]
 * @property {{ id: string, seq: number }} [ack]
 * @property {{ id: string, seq: number }[]} repeats what later attempts were answered
 * @property {number} [burst] sends of one burst left one after the other on one socket
 * @property {boolean} [isFirstAttempt] it was acknowledged on the first attempt
 * @property {boolean} [isUnchanged] it was answered with another write's entry, since it would have changed nothing
 * @property {boolean} [isNotFound] refused: the message is not there any more
 */

/**
 * An entry as the store has it. A deletion leaves no content.
 * @typedef {{ seq: number, id: string, kind: string, senderId: string, clientMessageId: string, createdAt: string,
 *   content?: string, messageId?: string, messageSeq?: number, emoji?: string, added?: boolean }} Entry
 */

const MOST = 20

/** Collects violations by kind. */
export class Violations {
  /** @type {Map<string, string[]>} */
  #kinds = new Map()

  add(kind, text) {
    const found = this.#kinds.get(kind) ?? []
    found.push(text)
    this.#kinds.set(kind, found)
  }

  get count() {
    return [...this.#kinds.values()].reduce((sum, found) => sum + found.length, 0)
  }

  of(kind) {
    return this.#kinds.get(kind)?.length ?? 0
  }

  toString() {
    const lines = []
    for (const [kind, found] of this.#kinds) {
      lines.push(`${kind}: ${found.length}`, ...found.slice(0, MOST).map((text) => `  ${text}`))
    }
    return lines.join("\n")
  }
}

/**
 * M1, M3, M4, M5: acknowledged writes are stored once, under the acknowledged number, in an order that agrees with
 * the order in which clients saw them stored.
 * @param {Write[]} writes @param {Map<string, Entry[]>} logs @param {Violations} violations
 */
export function checkWrites(writes, logs, violations) {
  const byKey = new Map()
  const contents = new Map()
  const deleted = new Set()
  for (const [conversation, log] of logs) {
    for (const [index, entry] of log.entries()) {
      if (entry.seq !== index + 1) {
        violations.add("gap in the store", `${conversation}: ${entry.seq} at place ${index + 1}`)
      }
      if (entry.kind === "delete") deleted.add(entry.messageId)
      const at = `${conversation}/${entry.seq}`
      const { clientMessageId: key, content } = entry
      const before = byKey.get(key) ?? (content && contents.get(content))
      if (before) violations.add("stored twice", `${before.at} and ${at}: ${key} ${content}`)
      byKey.set(key, { at, entry })
      if (content) contents.set(content, { at })
    }
  }
  const known = new Set()
  for (const write of writes) {
    known.add(write.clientMessageId)
    const stored = byKey.get(write.clientMessageId)
    if (write.isNotFound && !deleted.has(write.messageId)) {
      violations.add("refused", `${write.kind} ${write.clientMessageId}: ${write.messageId} is there`)
    }
    if (!write.ack) continue
    const ack = `${write.conversation}/${write.ack.seq} ${write.ack.id}`
    const what = `${write.kind} ${write.clientMessageId}`
    const answered = logs.get(write.conversation)?.[write.ack.seq - 1]
    const entry = write.isUnchanged ? answered : stored?.entry
    if (!entry) violations.add("lost", `acknowledged as ${ack}: ${what}`)
    else if (entry !== answered || entry.id !== write.ack.id) {
      violations.add("other answer", `acknowledged as ${ack}, stored as ${entry.seq} ${entry.id}`)
    } else if (isNeverThere(entry, write)) {
      // As it has been since the message was sent.
    } else if (entry.senderId !== write.user) {
      violations.add("other sender", `${ack} by ${entry.senderId}, sent by ${write.user}`)
    } else if (!isStoredAs(entry, write, deleted)) {
      violations.add("other content", `${ack}: ${JSON.stringify(entry)}, written as ${JSON.stringify(write)}`)
    }
    for (const repeat of write.repeats) {
      if (repeat.seq !== write.ack.seq || repeat.id !== write.ack.id) {
        violations.add("other answer", `${ack}, and to a repetition ${repeat.seq} ${repeat.id}`)
      }
    }
  }
  for (const [key, { at }] of byKey) if (!known.has(key)) violations.add("never sent", `${at}: ${key}`)
  checkOrder(
    writes.filter((write) => !write.isUnchanged),
    byKey,
    violations,
  )
}

/** A reaction that never existed was to be removed: the answer is the message. */
const isNeverThere = (entry, write) =>
  write.isUnchanged && write.kind === "reaction" && !write.added && entry.id === write.messageId

/** @param {Entry} entry @param {Write} write @param {Set<string>} deleted ids of deleted messages */
function isStoredAs(entry, write, deleted) {
  const isErased = deleted.has(write.kind === "message" ? entry.id : entry.messageId)
  const hasText = write.kind === "message" || write.kind === "edit"
  return (
    entry.kind === write.kind &&
    entry.messageId === write.messageId &&
    (!hasText || (entry.content || "") === (isErased ? "" : write.content)) &&
    entry.emoji === write.emoji &&
    entry.added === write.added
  )
}

/** A write that began after another's acknowledgement came after it, whoever made them. */
function checkOrder(writes, byKey, violations) {
  const conversations = new Map()
  for (const write of writes) {
    const stored = byKey.get(write.clientMessageId)
    if (!stored) continue
    const list = conversations.get(write.conversation) ?? []
    list.push({ write, seq: stored.entry.seq })
    conversations.set(write.conversation, list)
  }
  for (const [conversation, list] of conversations) {
    list.sort((one, other) => other.seq - one.seq)
    // From the end: the earliest acknowledgement among later entries.
    let earliest = { at: Number.POSITIVE_INFINITY, seq: 0 }
    for (const { write, seq } of list) {
      if (earliest.at < write.invokedAt) {
        violations.add(
          "out of order",
          `${conversation}: ${seq} was sent ${(write.invokedAt - earliest.at).toFixed(0)} ms after ${earliest.seq} was acknowledged`,
        )
      }
      const at = write.ackedAt ?? Number.POSITIVE_INFINITY
      if (at < earliest.at) earliest = { at, seq }
    }
    const bursts = new Map()
    for (const { write, seq } of list.reverse()) {
      if (write.burst === undefined || !write.isFirstAttempt) continue
      const last = bursts.get(write.burst)
      if (last && last.invokedAt > write.invokedAt) {
        violations.add("out of order", `${conversation}: ${seq} left its socket before an earlier entry`)
      }
      bursts.set(write.burst, write)
    }
  }
}

/**
 * M4, M10: a tab's entries are those of the store and, once everything is quiet, all of them; its messages equal the
 * store's.
 * @param {{ name: string, user: string, conversation: string, base: number, seen: Map<number, Entry> }[]} views
 * @param {Map<string, Entry[]>} logs @param {Violations} violations
 */
export function checkViews(views, logs, violations) {
  for (const { name, user, conversation, base, seen } of views) {
    const log = logs.get(conversation) ?? []
    for (const [seq, { id }] of seen) {
      if (log[seq - 1]?.id !== id) {
        violations.add(
          "not committed",
          `${name} got ${conversation}/${seq} as ${id}, not ${log[seq - 1]?.id}`,
        )
      }
    }
    const later = log.filter((entry) => entry.seq > base)
    const missing = later.filter((entry) => !seen.has(entry.seq))
    if (missing.length > 0) {
      const first = missing[0].seq
      violations.add(
        "gap left",
        `${name} misses ${missing.length} of ${conversation} from ${first} of ${log.length}`,
      )
    } else {
      const held = [...seen.values()]
        .filter(({ seq }) => seq > base)
        .sort((one, other) => one.seq - other.seq)
      checkMessages(`${name} in ${conversation}`, fold(held, user), fold(later, user), violations)
    }
  }
}

/**
 * Compares shown messages with the expected ones, in their current form.
 * @param {string} where @param {any[]} shown @param {any[]} truth @param {Violations} violations
 */
export function checkMessages(where, shown, truth, violations) {
  if (shown.length !== truth.length) {
    violations.add("other messages", `${where}: ${shown.length}, in truth ${truth.length}`)
  }
  for (const [at, message] of truth.entries()) {
    if (isDeepStrictEqual(shown[at], message)) continue
    violations.add(
      "other messages",
      `${where}: ${JSON.stringify(shown[at])}, in truth ${JSON.stringify(message)}`,
    )
  }
}

/**
 * M10: a connection delivers all entries stored after its tab caught up, except those that it sent itself: a client that
 * reads events only misses nothing, once everything is quiet.
 * @param {{ name: string, conversation: string, from: number, all: Set<number>, sent: Set<string> }[]} pushes
 * @param {Map<string, Entry[]>} logs @param {Violations} violations
 */
export function checkPushes(pushes, logs, violations) {
  for (const { name, conversation, from, all, sent } of pushes) {
    const log = logs.get(conversation) ?? []
    const missing = log.filter(
      ({ seq, clientMessageId }) => seq > from && !all.has(seq) && !sent.has(clientMessageId),
    )
    if (missing.length > 0) {
      const seqs = missing.slice(0, 5).map((entry) => entry.seq)
      const what = `${name} was not pushed ${missing.length} of ${conversation}, which has ${log.length}`
      violations.add("not pushed", `${what}: ${seqs}, having begun after ${from}`)
    }
  }
}

/**
 * M9: the list of a user's conversations agrees with the log and with the marks.
 * @param {string} user
 * @param {{ id: string, unread: number, readSeq: number, headSeq: number, lastMessage?: any }[]} list
 * @param {Map<string, Entry[]>} logs
 * @param {Map<string, { confirmed: number, attempted: Set<number> }>} marks
 * @param {Violations} violations
 */
export function checkUnread(user, list, logs, marks, violations) {
  const byId = new Map(list.map((one) => [one.id, one]))
  for (const [conversation, { confirmed, attempted }] of marks) {
    const log = logs.get(conversation) ?? []
    const shown = byId.get(conversation)
    const what = `${user} in ${conversation}`
    if (!shown) {
      violations.add("not listed", what)
      continue
    }
    const messages = fold(log, user)
    const own = messages.findLast((message) => message.senderId === user)?.seq ?? 0
    const least = Math.max(confirmed, own)
    // A mark without an answer may have been stored.
    const possible = [least, ...[...attempted].filter((seq) => seq > least)]
    if (!possible.includes(shown.readSeq)) {
      violations.add("read mark", `${what}: ${shown.readSeq}, expected one of ${possible}`)
    }
    const isUnread = (one) => one.seq > shown.readSeq && one.senderId !== user && !one.deletedAt
    const truth = messages.filter(isUnread).length
    if (shown.unread !== truth) violations.add("unread", `${what}: ${shown.unread}, in truth ${truth}`)
    if (shown.headSeq !== log.length) {
      violations.add("head", `${what}: ${shown.headSeq}, in truth ${log.length}`)
    }
    const last = messages.findLast((message) => !message.deletedAt)
    const { id, content } = shown.lastMessage ?? {}
    if (id !== last?.id || content !== last?.content) {
      violations.add("last message", `${what}: ${id} ${content}, in truth ${last?.id} ${last?.content}`)
    }
  }
}

/** @param {string} where @param {Iterable<string>} shown @param {Iterable<string>} truth @param {Violations} violations */
export function checkOnline(where, shown, truth, violations) {
  const [seen, right] = [new Set(shown), new Set(truth)]
  for (const user of seen) if (!right.has(user)) violations.add("ghost", `${where} shows ${user}`)
  for (const user of right) if (!seen.has(user)) violations.add("not shown", `${where} does not show ${user}`)
}
