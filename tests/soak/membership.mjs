// Checks the data that group members received against the log. Pure functions without a server.
import { fold } from "../e2e/support/fold.mjs"
import { checkMessages } from "./history.mjs"

/**
 * When each user was a member, by the log: from the `seq` that added them up to the one that removed them.
 * @param {any[]} log all of it @returns {Map<string, { first: number, last: number }[]>}
 */
export function spans(log) {
  const all = new Map()
  for (const { kind, seq, added = [], removed = [] } of log) {
    if (kind !== "members") continue
    for (const user of removed) all.get(user).at(-1).last = seq
    for (const user of added) {
      const own = all.get(user) ?? []
      own.push({ first: seq, last: Number.POSITIVE_INFINITY })
      all.set(user, own)
    }
  }
  return all
}

/** An entry as a member whose log begins at `first` gets it. */
export function seenFrom(entry, first) {
  if (entry.messageSeq === undefined || entry.messageSeq >= first) return entry
  const { id, conversationId, seq, senderId, createdAt } = entry
  return { id, kind: "hidden", conversationId, seq, senderId, createdAt }
}

/**
 * M15, M7: no user received forbidden data from any source; shown messages, and those that new readers get, follow from
 * their part of the log; former members show nothing.
 * @param {string} place @param {any[]} log
 * @param {{ user: string, got: { seq: number, id: string, kind: string, way: string }[], entries: any[] }[]} readers
 * @param {Map<string, any[]>} fresh messages as a new reader gets them, by user
 * @param {import("./history.mjs").Violations} violations
 */
export function checkReaders(place, log, readers, fresh, violations) {
  const all = spans(log)
  for (const { user, got, entries } of readers) {
    const own = all.get(user) ?? []
    for (const { seq, id, kind, way } of got) {
      const what = `${user} got ${place}/${seq} (${kind}) by ${way}`
      const span = own.find(({ first, last }) => first <= seq && seq <= last)
      const entry = log[seq - 1]
      if (entry?.id !== id) violations.add("not committed", `${what}: ${id}, not ${entry?.id}`)
      else if (!span) violations.add("not a member", `${what}, in it ${JSON.stringify(own)}`)
      else if (seenFrom(entry, span.first).kind !== kind) {
        violations.add("past shown", `${what}, not ${seenFrom(entry, span.first).kind}`)
      }
    }
    const now = own.find(({ last }) => last === Number.POSITIVE_INFINITY)
    const truth = now
      ? log.filter((entry) => entry.seq >= now.first).map((one) => seenFrom(one, now.first))
      : []
    const shown = entries.map(({ seq }) => seq)
    const expected = truth.map(({ seq }) => seq)
    if (String(shown) !== String(expected)) {
      const parts = [shown, expected].map((seqs) => `${seqs.length} from ${seqs[0]} to ${seqs.at(-1)}`)
      violations.add("other part shown", `${user} of ${place}: ${parts[0]}, in truth ${parts[1]}`)
      continue
    }
    const messages = fold(truth, user)
    checkMessages(`${user} in ${place}`, fold(entries, user), messages, violations)
    if (now) checkMessages(`new reader ${user} in ${place}`, fresh.get(user) ?? [], messages, violations)
  }
}

/**
 * The roles that the server has are those of the log, and there is always an owner.
 * @param {string} place @param {any[]} log @param {Map<string, string>} shown
 */
export function checkRoles(place, log, shown, violations) {
  const roles = new Map()
  for (const { kind, seq, added = [], removed = [], roles: given = {} } of log) {
    if (kind !== "members") continue
    for (const user of removed) roles.delete(user)
    for (const user of added) roles.set(user, "member")
    for (const [user, role] of Object.entries(given)) roles.set(user, role)
    if (![...roles.values()].includes("owner")) violations.add("no owner", `${place} after ${seq}`)
  }
  const text = (of) => JSON.stringify([...of].toSorted(([one], [other]) => (one < other ? -1 : 1)))
  if (text(shown) !== text(roles)) {
    violations.add("other roles", `${place}: ${text(shown)}, in truth ${text(roles)}`)
  }
}

/**
 * A send that began after a block was answered, and ended before it was lifted, is not stored; one that no block can have
 * met is not refused for one.
 * @param {{ id: string, sends: { sender: string, beganAt: number, endedAt: number, isStored: boolean, code?: string }[],
 *   blocks: { beginsAt: number, begunAt?: number, endsAt?: number, endedAt?: number }[] }} pair
 */
export function checkBlocks({ id, sends, blocks }, violations) {
  for (const { sender, beganAt, endedAt, isStored, code } of sends) {
    const stands = ({ begunAt = Number.POSITIVE_INFINITY, endsAt = Number.POSITIVE_INFINITY }) =>
      begunAt <= beganAt && endedAt <= endsAt
    const mayStand = ({ beginsAt, endedAt: until = Number.POSITIVE_INFINITY }) =>
      beginsAt <= endedAt && beganAt <= until
    const what = `${sender} in ${id} at ${beganAt.toFixed(0)} ms`
    if (isStored && blocks.some(stands)) violations.add("passed a block", what)
    if (code === "forbidden" && !blocks.some(mayStand)) violations.add("blocked by nobody", what)
  }
}
