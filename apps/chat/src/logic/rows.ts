import type { SystemRow } from "@lamplight/client"
import { dayKey } from "./days"
import { type Groupable, isSystem, type SystemItem } from "./item"

export type { Groupable } from "./item"

/**
 * One row of the thread. Days, group heads and the unread divider are rows of their own: the height of a
 * message then depends on the message alone, and older pages can be inserted above it without moving it by a
 * pixel.
 */
export type Row<M extends Groupable> =
  | { kind: "start"; key: "start" }
  | { kind: "day"; key: string; date: Date }
  | { kind: "unread"; key: "unread" }
  /** The heading over messages of one sender. Without `hasTime` it is empty space between two senders. */
  | { kind: "head"; key: string; message: M; hasTime: boolean }
  | { kind: "message"; key: string; message: M; first: boolean; last: boolean }
  /** A change of the group. */
  | { kind: "system"; key: string; system: SystemRow }
  /** The messages that follow are not loaded, after a jump into the past. */
  | { kind: "more"; key: "more" }

/** A pause that starts a new group, even by the same sender. */
const GROUP_GAP_MS = 5 * 60_000

export interface RowOptions {
  /** Whether older messages are not loaded. */
  hasOlder: boolean
  /** Whether newer messages are not loaded. */
  hasNewer?: boolean
  /** The divider stands after this `seq`; null if everything was read when the thread opened. */
  unreadAfter: number | null
  /** The user's own messages are never unread, so the divider never stands before them. */
  selfId: string
  /** Whether the sender is named over their messages. Where they are not, a time stands only after a pause. */
  isNamed?: boolean
}

/** Makes rows of messages, oldest first. */
export function buildRows<M extends Groupable>(
  messages: readonly (M | SystemItem)[],
  options: RowOptions,
): Row<M>[] {
  const rows: Row<M>[] = []
  extend(rows, messages, 0, options, { dividerPlaced: !firstUnreadIsKnown(messages, options) })
  return rows
}

/**
 * Whether the place of the divider is loaded. If the first unread message may be further up, no divider is
 * shown: it would move.
 */
export function firstUnreadIsKnown(messages: readonly Groupable[], options: RowOptions): boolean {
  if (options.unreadAfter === null) return false
  const first = messages[0]?.seq
  return !options.hasOlder || (first != null && first <= options.unreadAfter + 1)
}

/**
 * Like `buildRows`, but keeps the last result: when messages are only appended, the rows before them are
 * reused, so that a new message costs the same in a thread of a hundred thousand.
 */
export function createRowBuilder<M extends Groupable>() {
  let before: readonly (M | SystemItem)[] = []
  let rows: Row<M>[] = []
  let used: RowOptions | null = null

  return (messages: readonly (M | SystemItem)[], options: RowOptions): Row<M>[] => {
    const sameOptions =
      used !== null &&
      used.hasOlder === options.hasOlder &&
      used.hasNewer === options.hasNewer &&
      used.unreadAfter === options.unreadAfter &&
      used.isNamed === options.isNamed &&
      used.selfId === options.selfId
    const shared = sameOptions ? sharedPrefix(before, messages) : 0
    if (sameOptions && shared === before.length && shared === messages.length) return rows
    // The last shared message is laid out again, since the next one decides whether it ends its group.
    const keep = Math.max(0, shared - 1)
    const kept = keep > 0 ? cutBefore(rows, messages[keep] as M | SystemItem) : null
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

/** The rows before a message and its headings; null if it has no row. */
function cutBefore<M extends Groupable>(rows: Row<M>[], message: M | SystemItem): Row<M>[] | null {
  let end = rows.length - 1
  while (end >= 0) {
    const row = rows[end] as Row<M>
    if (row.kind === "message" && row.message === message) break
    if (row.kind === "system" && isSystem(message) && row.system === message.system) break
    end -= 1
  }
  if (end < 0) return null
  while (end > 0 && !isItem(rows[end - 1])) end -= 1
  return rows.slice(0, end)
}

/** Whether a row stands for an item, and is no heading of one. */
const isItem = (row: Row<Groupable> | undefined) => row?.kind === "message" || row?.kind === "system"

function extend<M extends Groupable>(
  rows: Row<M>[],
  messages: readonly (M | SystemItem)[],
  from: number,
  options: RowOptions,
  state: { dividerPlaced: boolean },
): void {
  if (from === 0 && !options.hasOlder && messages.length > 0) rows.push({ kind: "start", key: "start" })
  for (let i = from; i < messages.length; i += 1) {
    const message = messages[i] as M | SystemItem
    const previous = messages[i - 1]
    const next = messages[i + 1]
    // Nothing stands before the first loaded message while older ones exist: a day or a name would have to move when they are loaded.
    const known = previous !== undefined || !options.hasOlder
    const newDay = previous === undefined || dayOf(previous) !== dayOf(message)
    if (known && newDay) {
      rows.push({
        kind: "day",
        key: `day:${dayOf(message)}:${message.key}`,
        date: new Date(message.createdAt),
      })
    }
    if (isSystem(message)) {
      rows.push({ kind: "system", key: message.key, system: message.system })
      continue
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
    if (known && first) {
      const isPause =
        newDay || previous === undefined || isSystem(previous) || isAfterPause(previous, message)
      const hasTime = options.isNamed !== false || isPause
      rows.push({ kind: "head", key: `head:${message.key}`, message, hasTime })
    }
    const last = next === undefined || dayOf(next) !== dayOf(message) || breaksGroup(message, next)
    rows.push(rowOf(message, first, last))
  }
  if (options.hasNewer) rows.push({ kind: "more", key: "more" })
}

/** The rows of messages made last: the same message in the same place keeps its row, so that it is not drawn again. */
const made = new WeakMap<Groupable, Row<Groupable>>()

function rowOf<M extends Groupable>(message: M, first: boolean, last: boolean): Row<M> {
  const known = made.get(message) as Row<M> | undefined
  if (known?.kind === "message" && known.first === first && known.last === last) return known
  const row: Row<M> = { kind: "message", key: message.key, message, first, last }
  made.set(message, row as Row<Groupable>)
  return row
}

function breaksGroup(before: Groupable | undefined, after: Groupable): boolean {
  if (before === undefined || before.senderId !== after.senderId) return true
  return isAfterPause(before, after)
}

function isAfterPause(before: Groupable, after: Groupable): boolean {
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
