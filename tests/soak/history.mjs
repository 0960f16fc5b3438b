// Checks what happened against what must always hold. Pure: it knows nothing of servers.

/**
 * A message that a client tried to send, until it was acknowledged or given up.
 * @typedef {object} Send
 * @property {string} clientMessageId
 * @property {string} user
 * @property {string} conversation
 * @property {string} content unique in a run
 * @property {number} invokedAt when the first attempt began
 * @property {number} [ackedAt]
 * @property {{ id: string, seq: number }} [ack]
 * @property {{ id: string, seq: number }[]} repeats what later attempts were answered
 * @property {number} [burst] sends of one burst left one after the other on one socket
 * @property {boolean} [isFirstAttempt] it was acknowledged on the first attempt
 */

/**
 * An entry as the store has it.
 * @typedef {{ seq: number, id: string, senderId: string, content: string }} Entry
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
 * M1, M3, M4, M5: acknowledged messages are stored once, under the acknowledged number, in an order that agrees with
 * the order in which clients saw them stored.
 * @param {Send[]} sends @param {Map<string, Entry[]>} logs @param {Violations} violations
 */
export function checkSends(sends, logs, violations) {
  const byContent = new Map()
  for (const [conversation, log] of logs) {
    for (const [index, entry] of log.entries()) {
      if (entry.seq !== index + 1) {
        violations.add("gap in the store", `${conversation}: ${entry.seq} at place ${index + 1}`)
      }
      const at = `${conversation}/${entry.seq}`
      const before = byContent.get(entry.content)
      if (before) violations.add("stored twice", `${before.at} and ${at}: ${entry.content}`)
      byContent.set(entry.content, { at, entry, conversation })
    }
  }
  const known = new Set()
  for (const send of sends) {
    known.add(send.content)
    const stored = byContent.get(send.content)
    if (!send.ack) continue
    const ack = `${send.conversation}/${send.ack.seq} ${send.ack.id}`
    if (!stored) violations.add("lost", `acknowledged as ${ack}: ${send.content}`)
    else if (`${stored.at} ${stored.entry.id}` !== ack) {
      violations.add("other answer", `acknowledged as ${ack}, stored as ${stored.at} ${stored.entry.id}`)
    } else if (stored.entry.senderId !== send.user) {
      violations.add("other sender", `${ack} by ${stored.entry.senderId}, sent by ${send.user}`)
    }
    for (const repeat of send.repeats) {
      if (repeat.seq !== send.ack.seq || repeat.id !== send.ack.id) {
        violations.add("other answer", `${ack}, and to a repetition ${repeat.seq} ${repeat.id}`)
      }
    }
  }
  for (const [content, { at }] of byContent) {
    if (!known.has(content)) violations.add("never sent", `${at}: ${content}`)
  }
  checkOrder(sends, byContent, violations)
}

/** A send that began after another's acknowledgement came after it, whoever sent them. */
function checkOrder(sends, byContent, violations) {
  const conversations = new Map()
  for (const send of sends) {
    const stored = byContent.get(send.content)
    if (!stored) continue
    const list = conversations.get(send.conversation) ?? []
    list.push({ send, seq: stored.entry.seq })
    conversations.set(send.conversation, list)
  }
  for (const [conversation, list] of conversations) {
    list.sort((one, other) => other.seq - one.seq)
    // From the end: the earliest acknowledgement among later entries.
    let earliest = { at: Number.POSITIVE_INFINITY, seq: 0 }
    for (const { send, seq } of list) {
      if (earliest.at < send.invokedAt) {
        violations.add(
          "out of order",
          `${conversation}: ${seq} was sent ${(send.invokedAt - earliest.at).toFixed(0)} ms after ${earliest.seq} was acknowledged`,
        )
      }
      const at = send.ackedAt ?? Number.POSITIVE_INFINITY
      if (at < earliest.at) earliest = { at, seq }
    }
    const bursts = new Map()
    for (const { send, seq } of list.reverse()) {
      if (send.burst === undefined || !send.isFirstAttempt) continue
      const last = bursts.get(send.burst)
      if (last && last.invokedAt > send.invokedAt) {
        violations.add("out of order", `${conversation}: ${seq} left its socket before an earlier entry`)
      }
      bursts.set(send.burst, send)
    }
  }
}

/**
 * M4, M10: what a tab holds is what the store has, and, once everything is quiet, all of it.
 * @param {{ name: string, conversation: string, base: number, seen: Map<number, string> }[]} views
 * @param {Map<string, Entry[]>} logs @param {Violations} violations
 */
export function checkViews(views, logs, violations) {
  for (const { name, conversation, base, seen } of views) {
    const log = logs.get(conversation) ?? []
    for (const [seq, id] of seen) {
      if (log[seq - 1]?.id !== id) {
        violations.add(
          "not committed",
          `${name} got ${conversation}/${seq} as ${id}, not ${log[seq - 1]?.id}`,
        )
      }
    }
    const missing = log.filter((entry) => entry.seq > base && !seen.has(entry.seq))
    if (missing.length > 0) {
      const first = missing[0].seq
      violations.add(
        "gap left",
        `${name} misses ${missing.length} of ${conversation} from ${first} of ${log.length}`,
      )
    }
  }
}

/**
 * M10: a connection brings everything that is stored after its tab caught up, but what it sent itself: a client that
 * reads events only misses nothing, once everything is quiet.
 * @param {{ name: string, conversation: string, from: number, all: Set<number>, sent: Set<string> }[]} pushes
 * @param {Map<string, Entry[]>} logs @param {Violations} violations
 */
export function checkPushes(pushes, logs, violations) {
  for (const { name, conversation, from, all, sent } of pushes) {
    const log = logs.get(conversation) ?? []
    const missing = log.filter(({ seq, content }) => seq > from && !all.has(seq) && !sent.has(content))
    if (missing.length > 0) {
      const seqs = missing.slice(0, 5).map((entry) => entry.seq)
      const what = `${name} was not pushed ${missing.length} of ${conversation}, which has ${log.length}`
      violations.add("not pushed", `${what}: ${seqs}, having begun after ${from}`)
    }
  }
}

/**
 * M9: the list of a user's conversations agrees with the log and with what was marked.
 * @param {string} user
 * @param {{ id: string, unread: number, readSeq: number, headSeq: number }[]} list
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
    const own = log.findLast((entry) => entry.senderId === user)?.seq ?? 0
    const least = Math.max(confirmed, own)
    // A mark without an answer may have been stored.
    const possible = [least, ...[...attempted].filter((seq) => seq > least)]
    if (!possible.includes(shown.readSeq)) {
      violations.add("read mark", `${what}: ${shown.readSeq}, expected one of ${possible}`)
    }
    const truth = log.filter((entry) => entry.seq > shown.readSeq && entry.senderId !== user).length
    if (shown.unread !== truth) violations.add("unread", `${what}: ${shown.unread}, in truth ${truth}`)
    if (shown.headSeq !== log.length) {
      violations.add("head", `${what}: ${shown.headSeq}, in truth ${log.length}`)
    }
  }
}

/** @param {string} where @param {Iterable<string>} shown @param {Iterable<string>} truth @param {Violations} violations */
export function checkOnline(where, shown, truth, violations) {
  const [seen, right] = [new Set(shown), new Set(truth)]
  for (const user of seen) if (!right.has(user)) violations.add("ghost", `${where} shows ${user}`)
  for (const user of right) if (!seen.has(user)) violations.add("not shown", `${where} does not show ${user}`)
}
