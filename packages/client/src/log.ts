/**
 * A conversation's log, as far as it is here: one contiguous stretch of entries, and what is known of but cannot be shown
 * yet because something before it is missing. Pure.
 */
import type { Message } from "./wire.js"

/** The log of one conversation. */
export interface Log {
  /** Whether anything has been fetched. Until then everything that comes is held. */
  readonly loaded: boolean
  /** Contiguous, in the order of `seq`. */
  readonly entries: readonly Message[]
  /** Entries after a gap, by `seq`. */
  readonly held: ReadonlyMap<number, Message>
  /** The highest `seq` known to exist. */
  readonly head: number
  /** Whether there are entries before the first one here. */
  readonly hasOlder: boolean
  /** Grows when an entry that was here already changes. */
  readonly edits: number
}

/** Nothing is here. */
export const emptyLog: Log = {
  loaded: false,
  entries: [],
  held: new Map(),
  head: 0,
  hasOlder: true,
  edits: 0,
}

/** The `seq` of the last entry of the contiguous stretch; 0 if there is none. */
export const lastSeq = (log: Log): number => log.entries.at(-1)?.seq ?? 0
/** The `seq` of the first entry of the contiguous stretch; 0 if there is none. */
export const firstSeq = (log: Log): number => log.entries[0]?.seq ?? 0
/** Whether entries are known to exist after the contiguous stretch. */
export const hasGap = (log: Log): boolean => log.loaded && lastSeq(log) < log.head

/** A page of history and where it was asked for. */
export interface Page {
  /** `newest`: neither `before` nor `after` was given. */
  direction: "newest" | "before" | "after"
  entries: readonly Message[]
  /** Whether there is more in that direction. */
  hasMore: boolean
}

/** The log with one more entry, from wherever it came. */
export function addEntry(log: Log, entry: Message): Log {
  const last = lastSeq(log)
  const head = Math.max(log.head, entry.seq)
  if (log.loaded && entry.seq === last + 1) {
    return absorb({ ...log, head, entries: [...log.entries, entry] })
  }
  if (log.loaded && entry.seq <= last) return replace(log, entry)
  if (log.held.get(entry.seq)?.id === entry.id) return log
  return { ...log, head, held: new Map(log.held).set(entry.seq, entry) }
}

/** The log with a page of history. A page that does not join on is dropped: it was asked for before something changed. */
export function addPage(log: Log, page: Page): Log {
  const { entries, hasMore } = page
  const first = entries[0]
  const newest = entries.at(-1)
  const head = Math.max(log.head, newest?.seq ?? 0)
  switch (page.direction) {
    case "newest": {
      // Joins on to what is here, or takes its place: what is far back can be fetched again.
      if (log.loaded && first && first.seq <= lastSeq(log) + 1 && log.entries.length) {
        return entries.reduce(addEntry, log)
      }
      if (log.loaded && !first) return log
      return absorb({ ...log, loaded: true, entries: [...entries], head, hasOlder: hasMore })
    }
    case "before": {
      if (!log.loaded) return log
      const joined = entries.filter((entry) => entry.seq < firstSeq(log))
      if (joined.length && joined.at(-1)?.seq !== firstSeq(log) - 1) return log
      return { ...log, entries: [...joined, ...log.entries], hasOlder: hasMore }
    }
    case "after": {
      if (!log.loaded || !first) {
        // Nothing follows, although something was thought to: it is not there any more, or never was.
        return log.loaded && !hasMore ? { ...log, head: Math.max(lastSeq(log), ...log.held.keys()) } : log
      }
      // What should follow is gone on the server: start afresh from what there is, and say that there is no older.
      if (first.seq > lastSeq(log) + 1) {
        return absorb({ ...log, entries: [...entries], head, hasOlder: false })
      }
      return entries.reduce(addEntry, { ...log, head })
    }
  }
}

/** The log knowing that entries up to `seq` exist. */
export function knowHead(log: Log, seq: number): Log {
  return seq > log.head ? { ...log, head: seq } : log
}

/** The entries that the second log has and the first had not. */
export function freshIn(before: Log, after: Log): Message[] {
  const { entries } = after
  const first = firstSeq(before)
  const last = lastSeq(before)
  const apart = !before.entries.length || firstSeq(after) > last
  const settled = apart
    ? entries
    : [...entries.slice(0, first - firstSeq(after)), ...entries.slice(last + 1 - firstSeq(after))]
  return [...settled, ...[...after.held.values()].filter((entry) => !before.held.has(entry.seq))]
}

/** How many entries past `readSeq` are by others; null if the stretch here does not say. */
export function countUnread(log: Log, readSeq: number, me: string): number | null {
  if (!log.loaded || hasGap(log)) return null
  if (log.hasOlder && firstSeq(log) > readSeq + 1) return null
  let count = 0
  for (let at = log.entries.length - 1; at >= 0; at--) {
    const entry = log.entries[at] as Message
    if (entry.seq <= readSeq) break
    if (entry.senderId !== me) count++
  }
  return count
}

/** Takes in what was held and follows now. */
function absorb(log: Log): Log {
  if (!log.held.size) return log
  const entries = [...log.entries]
  const held = new Map(log.held)
  let next = (entries.at(-1)?.seq ?? 0) + 1
  for (const seq of [...held.keys()].sort((one, other) => one - other)) {
    if (seq > next) break
    const entry = held.get(seq) as Message
    held.delete(seq)
    if (seq === next) {
      entries.push(entry)
      next++
    }
  }
  return { ...log, entries, held }
}

/** An entry that is here already: kept as the same object unless it says something else. */
function replace(log: Log, entry: Message): Log {
  const at = entry.seq - firstSeq(log)
  const known = log.entries[at]
  if (!known || (known.id === entry.id && known.content === entry.content)) return log
  const entries = [...log.entries]
  entries[at] = entry
  return { ...log, entries, edits: log.edits + 1 }
}
