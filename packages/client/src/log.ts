/**
 * The loaded parts of a conversation's log: segments that each cover a range of it, with holes between them. One
 * segment, the tail, receives new entries. One is shown: the tail or, after a jump into the past, another
 * one. A segment contains the messages of its range; the other entries are folded into them. Pure functions.
 */
import { type Folded, fold, foldIn, isChange, isMessage, merge } from "./fold.js"
import type { ChangeEntry, LogEntry, Message, User } from "./wire.js"

/** A part of the log without a gap. */
export interface Segment {
  /** The first and the last `seq` that it covers. */
  readonly from: number
  readonly to: number
  /** The id of the entry at `to`; undefined if that is unknown. */
  readonly lastId: string | undefined
  /** The messages of this range, in order. */
  readonly messages: readonly Folded[]
}

export interface Log {
  /** The user's id, to mark the user's own messages and reactions. */
  readonly me: string | null
  /** Whether the newest entries have been loaded. Before that there is no tail. */
  readonly loaded: boolean
  /**
   * In the order of `seq`, with at least one missing entry between two segments. Segments after the tail wait
   * for the missing entries.
   */
  readonly segments: readonly Segment[]
  /** A `seq` in the tail; 0 if there is none. */
  readonly tail: number
  /** A `seq` in the shown segment, unless that is the tail. */
  readonly view: number | null
  /** The highest `seq` that is known to exist. */
  readonly head: number
  /** The lowest `seq` that exists, as far as is known. */
  readonly start: number
  /** Grows when a loaded message changes. */
  readonly edits: number
  /**
   * The last entries that changed messages, by `seq`: a page in flight may contain those messages as
   * they were before.
   */
  readonly changes: readonly ChangeEntry[]
  /** Of entries up to this one, `changes` may lack some. */
  readonly forgotten: number
}

export const emptyLog: Log = {
  me: null,
  loaded: false,
  segments: [],
  tail: 0,
  view: null,
  head: 0,
  start: 1,
  edits: 0,
  changes: [],
  forgotten: 0,
}

/** The limit for `changes`. */
const MAX_CHANGES = 500

const none: Segment = { from: 0, to: 0, lastId: undefined, messages: [] }
export const seqOf = (one: Folded): number => one.base.seq
const find = (segments: readonly Segment[], seq: number): Segment | undefined =>
  segments.find(({ from, to }) => from <= seq && seq <= to)

/** The segment that receives new entries; an empty one from 0 to 0 if there is none. */
export const tailOf = (log: Log): Segment => find(log.segments, log.tail) ?? none
/** The shown segment; an empty one from 0 to 0 if there is none. */
export const shown = (log: Log): Segment =>
  (log.view === null ? tailOf(log) : find(log.segments, log.view)) ?? none
/** The last `seq` that the tail covers; 0 if there is none. */
export const lastSeq = (log: Log): number => tailOf(log).to
/** Whether entries are known to exist after the tail. */
export const hasGap = (log: Log): boolean => log.loaded && lastSeq(log) < log.head
/** Whether entries exist before the shown segment. */
export const hasOlder = (log: Log): boolean => shown(log).from > log.start
/** Whether an entry is loaded, or folded into a message. */
export const holds = (log: Log, seq: number): boolean => !!find(log.segments, seq)
/** The messages after the tail, which wait for missing entries. */
export const held = (log: Log): Message[] =>
  log.segments.filter(({ from }) => from > lastSeq(log)).flatMap(messagesOf)
const messagesOf = ({ messages }: Segment): Message[] => messages.map(({ message }) => message)

/** The entry after which the tail ends: by its id, where that is known, or that of a message shortly before it. */
export function lastEntry(log: Log): { seq: number; id: string } | undefined {
  const { to, lastId, messages } = tailOf(log)
  return lastId === undefined ? nearby(messages.at(-1)?.base, to) : { seq: to, id: lastId }
}

/** At most so many entries are fetched once more, to have an entry with an id to begin from. */
const NEARBY = 20
/** A message, unless it is far before `seq`. */
export const nearby = (message: Message | null | undefined, seq: number) =>
  message && message.seq >= seq - NEARBY ? { seq: message.seq, id: message.id } : undefined

/** A loaded message. */
export function findMessage(log: Log, matches: (message: Message) => boolean): Message | undefined {
  for (const { messages } of log.segments)
    for (const { message } of messages) if (matches(message)) return message
}

/**
 * A page of history with its position, and whether there is more on either side, if the answer says so.
 */
export interface Page {
  /** `newest` has no position. */
  direction: "newest" | "before" | "after" | "around"
  /** The `seq` of the request. */
  at?: number | undefined
  entries: readonly LogEntry[]
  hasBefore?: boolean | undefined
  hasAfter?: boolean | undefined
  /** The range that the page covers, and the entry as of which its messages are; undefined: entries of all kinds. */
  range?: { from: number; to: number; asOf: number } | undefined
  /** Those of its senders who are not among the conversation's members. */
  users?: readonly User[] | undefined
}

/** Adds entries of all kinds in the order of `seq`, from any source. */
export function addEntries(log: Log, entries: readonly LogEntry[]): Log {
  let next = learn(log, entries.filter(isChange))
  let run: LogEntry[] = []
  for (const [at, entry] of entries.entries()) {
    run.push(entry)
    if (entries[at + 1]?.seq === entry.seq + 1) continue
    const messages = run.filter(isMessage).map((one) => fold(one, one.seq, next.changes, log.me))
    next = put(next, { from: run[0]?.seq ?? 0, to: entry.seq, lastId: entry.id, messages })
    run = []
  }
  return knowHead(next, entries.at(-1)?.seq ?? 0)
}

/** Adds a page of history. */
export function addPage(log: Log, page: Page): Log {
  const { direction, at = 0, entries, range } = page
  const from = range ? (range.from <= range.to ? range.from : 0) : (entries[0]?.seq ?? 0)
  const to = range?.to ?? entries.at(-1)?.seq ?? 0
  let next = range ? addMessages(log, entries.filter(isMessage), range) : addEntries(log, entries)
  if (direction === "newest") {
    // The entries that changed messages before this page are not known individually.
    const forgotten = Math.max(log.forgotten, range?.asOf ?? 0)
    next = settle({ ...next, loaded: true, tail: Math.max(log.tail, to), forgotten })
  }
  // The page starts the log, or it starts later than it should: the server has dropped the entries before it.
  if (page.hasBefore === false || (direction === "after" && from > at + 1)) next = startAt(next, from || at)
  // Entries that were thought to follow do not exist any more, or never did.
  if (direction === "after" && !from && page.hasAfter === false && at === lastSeq(next))
    next = { ...next, head: next.segments.at(-1)?.to ?? 0 }
  return next
}

/** Adds messages as they are after an entry: all that there are in a range. */
function addMessages(log: Log, messages: readonly Message[], range: NonNullable<Page["range"]>): Log {
  const { from, to, asOf } = range
  const last = messages.at(-1)
  const folded = messages.map((message) => fold(message, asOf, log.changes, log.me))
  const lastId = last?.seq === to ? last.id : undefined
  return knowHead(from <= to ? put(log, { from, to, lastId, messages: folded }) : log, Math.max(to, asOf))
}

/** Folds changes into the loaded messages, and notes them for those that are not loaded yet. */
function learn(log: Log, entries: readonly ChangeEntry[]): Log {
  const fresh = entries.filter(({ seq }) => !log.changes.some((known) => known.seq === seq))
  if (!fresh.length) return log
  const ids = new Set(fresh.map(({ messageId }) => messageId))
  let { edits, forgotten } = log
  const segments = log.segments.map((segment) => {
    let isTouched = false
    const messages = segment.messages.map((known) => {
      const { id, replyTo } = known.base
      if (!ids.has(id) && !(replyTo && ids.has(replyTo.id))) return known
      const next = foldIn(known, fresh, log.me)
      if (next !== known) isTouched = true
      return next
    })
    if (!isTouched) return segment
    edits++
    return { ...segment, messages }
  })
  const deleted = new Set(fresh.filter(({ kind }) => kind === "delete").map(({ messageId }) => messageId))
  const changes = [...log.changes, ...fresh]
    // The former texts of a deleted message are not kept.
    .filter(({ kind, messageId }) => kind !== "edit" || !deleted.has(messageId))
    .sort((one, other) => one.seq - other.seq)
  const dropped = changes.splice(0, Math.max(0, changes.length - MAX_CHANGES))
  forgotten = Math.max(forgotten, dropped.at(-1)?.seq ?? 0)
  return { ...log, segments, edits, changes, forgotten }
}

/** Notes that entries up to `seq` exist. */
export function knowHead(log: Log, seq: number): Log {
  return seq > log.head ? { ...log, head: seq } : log
}

/** Shows the segment of an entry; null: the tail. */
export const look = (log: Log, seq: number | null): Log => settle({ ...log, view: seq })

/** The `seq` itself if it is loaded, or else that of the nearest loaded message. */
export function nearest(log: Log, seq: number): number {
  if (holds(log, seq)) return seq
  const distance = (one: Folded) => Math.abs(seqOf(one) - seq)
  return log.segments
    .flatMap(({ messages }) => messages)
    .reduce(
      (best, one) => (distance(one) < Math.abs(best - seq) ? seqOf(one) : best),
      Number.POSITIVE_INFINITY,
    )
}

/** How many messages past `readSeq` are by others; null if the tail does not reach back to the mark. */
export function countUnread(log: Log, readSeq: number, me: string): number | null {
  const { from, messages } = tailOf(log)
  if (!log.loaded || hasGap(log) || from > Math.max(readSeq + 1, log.start)) return null
  let count = 0
  for (let at = messages.length - 1; at >= 0; at--) {
    const { message } = messages[at] as Folded
    if (message.seq <= readSeq) break
    if (message.senderId !== me && !message.deletedAt) count++
  }
  return count
}

/** The newest message that is not deleted; null: there is none; undefined: the loaded log does not reach far enough. */
export function newestMessage(log: Log): Message | null | undefined {
  const { from, messages } = tailOf(log)
  if (!log.loaded || hasGap(log)) return undefined
  const last = messages.findLast(({ message }) => !message.deletedAt)
  return last?.message ?? (from <= log.start ? null : undefined)
}

/** Adds a range. It and the segments that it touches become one segment. */
function put(log: Log, run: Segment): Log {
  const { segments } = log
  const at = segments.findIndex(({ to }) => to >= run.from - 1)
  const begin = at < 0 ? segments.length : at
  let end = begin
  while (end < segments.length && (segments[end] as Segment).from <= run.to + 1) end++
  const touched = segments.slice(begin, end)
  const [only] = touched
  const known = touched.length === 1 && only ? only.messages : touched.flatMap((one) => one.messages)
  const { messages, edits, fresh } = mergeAll(known, run.messages, log.me)
  if (!fresh && touched.length === 1 && only && only.from <= run.from && run.to <= only.to) return log
  const from = Math.min(run.from, ...touched.map((segment) => segment.from))
  const last = [...touched, run].reduce((one, other) =>
    other.to > one.to || (other.to === one.to && one.lastId === undefined) ? other : one,
  )
  const joined = { from, to: last.to, lastId: last.lastId, messages }
  const next = [...segments.slice(0, begin), joined, ...segments.slice(end)]
  return settle({ ...log, segments: next, edits: log.edits + edits })
}

/** Both in the order of `seq`. */
function mergeAll(known: readonly Folded[], given: readonly Folded[], me: string | null) {
  const [last, first] = [known.at(-1), given[0]]
  // Most often one message is appended to thousands.
  if (!first || !last || seqOf(last) < seqOf(first))
    return { messages: given.length ? [...known, ...given] : known, edits: 0, fresh: given.length > 0 }
  const messages: Folded[] = []
  let at = 0
  let edits = 0
  let fresh = false
  for (const one of given) {
    while (at < known.length && seqOf(known[at] as Folded) < seqOf(one)) messages.push(known[at++] as Folded)
    const before = known[at]
    const isKnown = before && seqOf(before) === seqOf(one)
    const next = isKnown ? merge(before, one, me) : one
    if (isKnown) at++
    if (isKnown && next.message !== before.message) edits++
    if (next !== before) fresh = true
    messages.push(next)
  }
  for (; at < known.length; at++) messages.push(known[at] as Folded)
  return { messages, edits, fresh }
}

/** Shows the tail if the shown segment has grown together with it, or is gone. */
export function settle(log: Log): Log {
  let { view, tail } = log
  // The first entries of a conversation that was empty.
  if (log.loaded && !tail && log.segments[0]?.from === log.start) tail = log.start
  const segment = view === null ? undefined : find(log.segments, view)
  if (!segment || segment === find(log.segments, tail)) view = null
  return view === log.view && tail === log.tail ? log : { ...log, view, tail }
}

/** Drops everything before the log's first entry. */
function startAt(log: Log, start: number): Log {
  if (!start) return log
  const segments = log.segments.filter(({ from }) => from >= start)
  const tail = log.tail && log.tail < start ? (segments[0]?.from ?? 0) : log.tail
  return settle({ ...log, start, segments, tail })
}
