/**
 * A conversation's log, as far as it is here: segments of entries without a gap, with holes between them. One segment, the
 * tail, grows with what is new; one is shown, which is the tail or, after a jump into the past, another. Pure.
 */
import type { LogEntry, Message } from "./wire.js"

/** Whether an entry is a message. Older servers send no `kind`, and messages only. */
export const isMessage = (entry: LogEntry): entry is Message => (entry.kind ?? "message") === "message"

/** Entries whose `seq`s follow each other. Never empty. */
export type Segment = readonly LogEntry[]

/** The log of one conversation. */
export interface Log {
  /** Whether the newest entries have been fetched. Until then there is no tail. */
  readonly loaded: boolean
  /** In the order of `seq`; at least one entry is missing between two of them. Those after the tail wait for what is missing. */
  readonly segments: readonly Segment[]
  /** A `seq` in the tail; 0 while there is none. */
  readonly tail: number
  /** A `seq` in the segment that is shown, if that is not the tail. */
  readonly view: number | null
  /** The highest `seq` known to exist. */
  readonly head: number
  /** The lowest `seq` that exists, as far as is known. */
  readonly start: number
  /** Grows when an entry that was here already changes. */
  readonly edits: number
}

/** Nothing is here. */
export const emptyLog: Log = {
  loaded: false,
  segments: [],
  tail: 0,
  view: null,
  head: 0,
  start: 1,
  edits: 0,
}

/** More entries than this are not kept in one segment. */
export const MAX_ENTRIES = 5_000
/** What is left of the tail when it is cut off from what is shown. */
const SHORT_TAIL = 50

const none: Segment = []
const first = (segment: Segment): number => segment[0]?.seq ?? 0
const last = (segment: Segment): number => segment.at(-1)?.seq ?? 0
const find = (segments: readonly Segment[], seq: number): Segment | undefined =>
  segments.find((segment) => first(segment) <= seq && seq <= last(segment))

const tailOf = (log: Log): Segment => find(log.segments, log.tail) ?? none
/** The entries that are shown. */
export const shown = (log: Log): Segment =>
  (log.view === null ? tailOf(log) : find(log.segments, log.view)) ?? none
/** The `seq` of the tail's last entry; 0 if there is none. */
export const lastSeq = (log: Log): number => last(tailOf(log))
/** The tail's last entry. */
export const lastEntry = (log: Log): LogEntry | undefined => tailOf(log).at(-1)
/** Whether entries are known to exist after the tail. */
export const hasGap = (log: Log): boolean => log.loaded && lastSeq(log) < log.head
/** Whether entries exist before those that are shown. */
export const hasOlder = (log: Log): boolean => first(shown(log)) > log.start
/** Whether an entry is here. */
export const holds = (log: Log, seq: number): boolean => !!find(log.segments, seq)
/** The entries after the tail: something before them is missing. */
export const held = (log: Log): LogEntry[] =>
  log.segments.filter((segment) => first(segment) > lastSeq(log)).flat()

/** A page of history, where it was asked for and whether there is more on either side, as far as it says so. */
export interface Page {
  /** `newest`: no place was given. */
  direction: "newest" | "before" | "after" | "around"
  /** The `seq` that was asked from. */
  at?: number | undefined
  entries: readonly LogEntry[]
  hasBefore?: boolean | undefined
  hasAfter?: boolean | undefined
}

/** The log with more entries, in the order of `seq`, from wherever they came. */
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

/** The log with a page of history. */
export function addPage(log: Log, page: Page): Log {
  const { direction, at = 0, entries } = page
  const from = first(entries)
  let next = addEntries(log, entries)
  if (direction === "newest")
    next = settle({ ...next, loaded: true, tail: Math.max(log.tail, last(entries)) })
  // Nothing is before the page, or it does not begin where it should: the past is gone on the server.
  if (page.hasBefore === false || (direction === "after" && from > at + 1)) next = startAt(next, from || at)
  // Nothing follows, although something was thought to: it is not there any more, or never was.
  if (direction === "after" && !from && page.hasAfter === false && at === lastSeq(next))
    next = { ...next, head: last(next.segments.at(-1) ?? none) }
  return next
}

/** The log knowing that entries up to `seq` exist. */
export function knowHead(log: Log, seq: number): Log {
  return seq > log.head ? { ...log, head: seq } : log
}

/** The log showing the segment of an entry; null: the tail. */
export const look = (log: Log, seq: number | null): Log => settle({ ...log, view: seq })

/**
 * The log without what is neither shown nor new, and at most `most` entries in one piece. `grown` says on which side it has
 * grown: the other one is cut.
 */
export function trim(log: Log, grown: "older" | "newer", most = MAX_ENTRIES): Log {
  const seen = shown(log)
  const tail = tailOf(log)
  // Not for each entry anew.
  const isLong = seen.length > most * 1.1
  const part = !isLong ? seen : grown === "older" ? seen.slice(0, most) : seen.slice(-most)
  // What is shown then ends before what is new.
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

/** Puts in entries whose `seq`s follow each other. What they touch becomes one segment with them. */
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
    // Kept as the same object unless it says something else.
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

/** A view that has grown together with the tail is of what is new; one whose segment is gone is, too. */
function settle(log: Log): Log {
  let { view, tail } = log
  // The first entries of a conversation that was empty.
  if (log.loaded && !tail && first(log.segments[0] ?? none) === log.start) tail = log.start
  const segment = view === null ? undefined : find(log.segments, view)
  if (!segment || segment === find(log.segments, tail)) view = null
  return view === log.view && tail === log.tail ? log : { ...log, view, tail }
}

/** The log whose first entry is this one. */
function startAt(log: Log, start: number): Log {
  if (!start) return log
  const segments = log.segments.filter((segment) => first(segment) >= start)
  const tail = log.tail && log.tail < start ? first(segments[0] ?? none) : log.tail
  return settle({ ...log, start, segments, tail })
}
