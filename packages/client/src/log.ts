/**
 * The loaded parts of a conversation's log: segments of consecutive entries, with holes between them. One
 * segment, the tail, receives new entries. One is shown: the tail or, after a jump into the past, another
 * one. Pure functions.
 */
import type { LogEntry, Message } from "./wire.js"

/** Whether an entry is a message. Older servers send no `kind`, and messages only. */
export const isMessage = (entry: LogEntry): entry is Message => (entry.kind ?? "message") === "message"

/** Entries with consecutive `seq`s. Never empty. */
export type Segment = readonly LogEntry[]

export interface Log {
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
  /** Grows when a loaded entry changes. */
  readonly edits: number
}

export const emptyLog: Log = {
  loaded: false,
  segments: [],
  tail: 0,
  view: null,
  head: 0,
  start: 1,
  edits: 0,
}

/** The limit for one segment. */
export const MAX_ENTRIES = 5_000
/** The length of the tail when it is cut off from the shown segment. */
const SHORT_TAIL = 50

const none: Segment = []
const first = (segment: Segment): number => segment[0]?.seq ?? 0
const last = (segment: Segment): number => segment.at(-1)?.seq ?? 0
const find = (segments: readonly Segment[], seq: number): Segment | undefined =>
  segments.find((segment) => first(segment) <= seq && seq <= last(segment))

const tailOf = (log: Log): Segment => find(log.segments, log.tail) ?? none
export const shown = (log: Log): Segment =>
  (log.view === null ? tailOf(log) : find(log.segments, log.view)) ?? none
/** The `seq` of the tail's last entry; 0 if there is none. */
export const lastSeq = (log: Log): number => last(tailOf(log))
export const lastEntry = (log: Log): LogEntry | undefined => tailOf(log).at(-1)
/** Whether entries are known to exist after the tail. */
export const hasGap = (log: Log): boolean => log.loaded && lastSeq(log) < log.head
/** Whether entries exist before the shown segment. */
export const hasOlder = (log: Log): boolean => first(shown(log)) > log.start
/** Whether an entry is loaded. */
export const holds = (log: Log, seq: number): boolean => !!find(log.segments, seq)
/** The entries after the tail, which wait for missing ones. */
export const held = (log: Log): LogEntry[] =>
  log.segments.filter((segment) => first(segment) > lastSeq(log)).flat()

/**
 * A page of history with its position, and whether there is more on either side, as far as the answer tells.
 */
export interface Page {
  /** `newest` has no position. */
  direction: "newest" | "before" | "after" | "around"
  /** The `seq` of the request. */
  at?: number | undefined
  entries: readonly LogEntry[]
  hasBefore?: boolean | undefined
  hasAfter?: boolean | undefined
}

/** Adds entries in the order of `seq`, from any source. */
export function addEntries(log: Log, entries: readonly LogEntry[]): Log {
  let next = log
  let run: LogEntry[] = []
  for (const [at, entry] of entries.entries()) {
    run.push(entry)
    if (entries[at + 1]?.seq === entry.seq + 1) continue
    next = put(next, run)
    run = []
  }
  return knowHead(next, entries.at(-1)?.seq ?? 0)
}

/** Adds a page of history. */
export function addPage(log: Log, page: Page): Log {
  const { direction, at = 0, entries } = page
  const from = first(entries)
  let next = addEntries(log, entries)
  if (direction === "newest")
    next = settle({ ...next, loaded: true, tail: Math.max(log.tail, last(entries)) })
  // The page starts the log, or it starts later than it should: the server has dropped the entries before it.
  if (page.hasBefore === false || (direction === "after" && from > at + 1)) next = startAt(next, from || at)
  // Entries that were thought to follow do not exist any more, or never did.
  if (direction === "after" && !from && page.hasAfter === false && at === lastSeq(next))
    next = { ...next, head: last(next.segments.at(-1) ?? none) }
  return next
}

/** Notes that entries up to `seq` exist. */
export function knowHead(log: Log, seq: number): Log {
  return seq > log.head ? { ...log, head: seq } : log
}

/** Shows the segment of an entry; null: the tail. */
export const look = (log: Log, seq: number | null): Log => settle({ ...log, view: seq })

/**
 * Drops segments that are neither shown nor the tail, and cuts segments to `most` entries. `grown` is the
 * side that has just grown: the other side is cut.
 */
export function trim(log: Log, grown: "older" | "newer", most = MAX_ENTRIES): Log {
  const seen = shown(log)
  const tail = tailOf(log)
  // With a margin, so that not every entry cuts again.
  const isLong = seen.length > most * 1.1
  const part = !isLong ? seen : grown === "older" ? seen.slice(0, most) : seen.slice(-most)
  // The shown segment then ends before the tail begins.
  const isApart = seen !== tail || (grown === "older" && isLong)
  const newest =
    seen !== tail ? tail : isApart ? tail.slice(Math.max(most + 1, tail.length - SHORT_TAIL)) : part
  const kept = log.segments.flatMap((segment) => {
    if (segment === seen && seen === tail) return isApart ? [part, newest] : [newest]
    if (segment === seen) return [part]
    return segment === tail || first(segment) > lastSeq(log) ? [segment] : []
  })
  if (!isLong && kept.length === log.segments.length) return log
  const view = isApart && log.segments.includes(seen) ? first(part) : null
  return { ...log, segments: kept, view, tail: log.tail && last(newest) }
}

/** The loaded `seq` that is nearest to this one. */
export function nearest(log: Log, seq: number): number {
  const distance = (one: LogEntry) => Math.abs(one.seq - seq)
  return log.segments
    .flat()
    .reduce((best, one) => (distance(one) < Math.abs(best - seq) ? one.seq : best), Number.POSITIVE_INFINITY)
}

/** How many messages past `readSeq` are by others; null if the tail does not reach back to the mark. */
export function countUnread(log: Log, readSeq: number, me: string): number | null {
  const tail = tailOf(log)
  if (!log.loaded || hasGap(log) || first(tail) > Math.max(readSeq + 1, log.start)) return null
  let count = 0
  for (let at = tail.length - 1; at >= 0; at--) {
    const entry = tail[at] as LogEntry
    if (entry.seq <= readSeq) break
    if (entry.senderId !== me && isMessage(entry)) count++
  }
  return count
}

/** Adds consecutive entries. They and the segments that they touch become one segment. */
function put(log: Log, run: Segment): Log {
  const { segments } = log
  const from = segments.findIndex((segment) => last(segment) >= first(run) - 1)
  const begin = from < 0 ? segments.length : from
  let end = begin
  while (end < segments.length && first(segments[end] as Segment) <= last(run) + 1) end++
  const touched = segments.slice(begin, end)
  let { edits } = log
  let fresh = touched.length !== 1
  const middle = run.map((entry) => {
    const segment = find(touched, entry.seq)
    const known = segment?.[entry.seq - first(segment)]
    // The same object, unless its content changed.
    if (known?.id === entry.id && known.content === entry.content) return known
    if (known) edits++
    fresh = true
    return entry
  })
  if (!fresh) return log
  const before = touched[0]?.slice(0, Math.max(0, first(run) - first(touched[0]))) ?? []
  const after = touched.at(-1)?.filter((entry) => entry.seq > last(run)) ?? []
  const joined = [...before, ...middle, ...after]
  return settle({ ...log, segments: [...segments.slice(0, begin), joined, ...segments.slice(end)], edits })
}

/** Shows the tail if the shown segment has grown together with it, or is gone. */
function settle(log: Log): Log {
  let { view, tail } = log
  // The first entries of a conversation that was empty.
  if (log.loaded && !tail && first(log.segments[0] ?? none) === log.start) tail = log.start
  const segment = view === null ? undefined : find(log.segments, view)
  if (!segment || segment === find(log.segments, tail)) view = null
  return view === log.view && tail === log.tail ? log : { ...log, view, tail }
}

/** Drops everything before the log's first entry. */
function startAt(log: Log, start: number): Log {
  if (!start) return log
  const segments = log.segments.filter((segment) => first(segment) >= start)
  const tail = log.tail && log.tail < start ? first(segments[0] ?? none) : log.tail
  return settle({ ...log, start, segments, tail })
}
