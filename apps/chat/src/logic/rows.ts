import { dayKey } from "./days"

/** What grouping needs to know of a message; the client's own type has all of it and more. */
export interface Groupable {
  /** Stays the same from "sending" to "sent", so that a row is never mounted anew. */
  key: string
  senderId: string
  createdAt: string
  /** Null until the server has numbered it. */
  seq: number | null
}

/**
 * One line of the thread. Days, group heads and the unread divider are rows of their own, never part of a
 * message's row: a message's height then depends on the message alone, and older pages can be put above it
 * without moving it by a pixel.
 */
export type Row<M extends Groupable> =
  | { kind: "start"; key: "start" }
  | { kind: "day"; key: string; date: Date }
  | { kind: "unread"; key: "unread" }
  | { kind: "head"; key: string; message: M }
  | { kind: "message"; key: string; message: M; first: boolean; last: boolean }
  /** What follows has not been fetched: one has jumped into the past. */
  | { kind: "more"; key: "more" }

/** A silence this long starts a new group even of the same sender. */
const GROUP_GAP_MS = 5 * 60_000

export interface RowOptions {
  /** There are older messages that have not been fetched. */
  hasOlder: boolean
  /** There are newer messages that have not been fetched. */
  hasNewer?: boolean
  /** The divider stands after this `seq`; null when all was read on opening. */
  unreadAfter: number | null
  /** One's own messages are never unread, so the divider never stands before them. */
  selfId: string
}

/** Lays messages (oldest first) out in rows. */
export function buildRows<M extends Groupable>(messages: readonly M[], options: RowOptions): Row<M>[] {
  const rows: Row<M>[] = []
  extend(rows, messages, 0, options, { dividerPlaced: !firstUnreadIsKnown(messages, options) })
  return rows
}

/**
 * Whether the place of the divider is among what has been fetched. If the first unread message may be further up, no
 * divider is better than one that moves.
 */
export function firstUnreadIsKnown(messages: readonly Groupable[], options: RowOptions): boolean {
  if (options.unreadAfter === null) return false
  const first = messages[0]?.seq
  return !options.hasOlder || (first != null && first <= options.unreadAfter + 1)
}

/**
 * The same, remembering its last answer: when messages were only added at the end, the rows before them are
 * kept as they are, so that a hundred thousand messages cost nothing when the next one comes.
 */
export function createRowBuilder<M extends Groupable>() {
  let before: readonly M[] = []
  let rows: Row<M>[] = []
  let used: RowOptions | null = null

  return (messages: readonly M[], options: RowOptions): Row<M>[] => {
    const sameOptions =
      used !== null &&
      used.hasOlder === options.hasOlder &&
      used.hasNewer === options.hasNewer &&
      used.unreadAfter === options.unreadAfter &&
      used.selfId === options.selfId
    const shared = sameOptions ? sharedPrefix(before, messages) : 0
    if (sameOptions && shared === before.length && shared === messages.length) return rows
    // The last shared message is laid out again: what follows decides whether it ends its group.
    const keep = Math.max(0, shared - 1)
    const kept = keep > 0 ? cutBefore(rows, messages[keep] as M) : null
    const next = kept ?? []
    const dividerPlaced = !firstUnreadIsKnown(messages, options) || next.some((row) => row.kind === "unread")
    extend(next, messages, kept ? keep : 0, options, { dividerPlaced })
    before = messages
    rows = next
    used = options
    return next
  }
}

function sharedPrefix<M>(a: readonly M[], b: readonly M[]): number {
  const end = Math.min(a.length, b.length)
  let i = 0
  while (i < end && a[i] === b[i]) i += 1
  return i
}

/** The rows that stand before a message and what introduces it, or null if it has no row. */
function cutBefore<M extends Groupable>(rows: Row<M>[], message: M): Row<M>[] | null {
  let end = rows.length - 1
  while (end >= 0) {
    const row = rows[end] as Row<M>
    if (row.kind === "message" && row.message === message) break
    end -= 1
  }
  if (end < 0) return null
  while (end > 0 && rows[end - 1]?.kind !== "message") end -= 1
  return rows.slice(0, end)
}

function extend<M extends Groupable>(
  rows: Row<M>[],
  messages: readonly M[],
  from: number,
  options: RowOptions,
  state: { dividerPlaced: boolean },
): void {
  if (from === 0 && !options.hasOlder && messages.length > 0) rows.push({ kind: "start", key: "start" })
  for (let i = from; i < messages.length; i += 1) {
    const message = messages[i] as M
    const previous = messages[i - 1]
    const next = messages[i + 1]
    // What comes before the first fetched message is not known yet, so nothing is said about it: a day or a
    // name that is put there now would have to move when the older page arrives.
    const known = previous !== undefined || !options.hasOlder
    const newDay = previous === undefined || dayOf(previous) !== dayOf(message)
    if (known && newDay) {
      rows.push({
        kind: "day",
        key: `day:${dayOf(message)}:${message.key}`,
        date: new Date(message.createdAt),
      })
    }
    const divider =
      !state.dividerPlaced &&
      options.unreadAfter !== null &&
      message.seq !== null &&
      message.seq > options.unreadAfter &&
      message.senderId !== options.selfId
    if (divider) {
      rows.push({ kind: "unread", key: "unread" })
      state.dividerPlaced = true
    }
    const first = newDay || divider || breaksGroup(previous, message)
    if (known && first) rows.push({ kind: "head", key: `head:${message.key}`, message })
    const last = next === undefined || dayOf(next) !== dayOf(message) || breaksGroup(message, next)
    rows.push({ kind: "message", key: message.key, message, first, last })
  }
  if (options.hasNewer) rows.push({ kind: "more", key: "more" })
}

function breaksGroup(before: Groupable | undefined, after: Groupable): boolean {
  if (before === undefined || before.senderId !== after.senderId) return true
  return Date.parse(after.createdAt) - Date.parse(before.createdAt) > GROUP_GAP_MS
}

const days = new WeakMap<Groupable, string>()

function dayOf(message: Groupable): string {
  let day = days.get(message)
  if (day === undefined) {
    day = dayKey(new Date(message.createdAt))
    days.set(message, day)
  }
  return day
}
