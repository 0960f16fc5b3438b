/**
 * Limits the log in memory to its end and the shown segment, of which it keeps the rows around the reader's position.
 * Dropped messages are fetched again by their `seq`. Pure functions.
 */
import { type Log, lastSeq, type Segment, seqOf, settle, shown, tailOf } from "./log.js"

/** The limit for the shown segment, in messages. */
export const MAX_ENTRIES = 2_000
/** The length of the tail when it is cut off from the shown segment, or has grown while another one is shown. */
const SHORT_TAIL = 50
const MAX_TAIL = 200

/** A side of the shown segment. */
export type Side = "older" | "newer"

/** With a margin, so that not every entry cuts again. */
const isLong = ({ messages }: Segment, most: number): boolean => messages.length > most * 1.1

/**
 * Drops segments that are neither shown nor the tail, and cuts those that are too long. `grown` is the side that has just grown: the
 * other one is cut. Where that would come near to `place`, a `seq` at which the person reads, the shown segment is cut around it.
 */
export function trim(log: Log, grown: Side, most = MAX_ENTRIES, place?: number): Log {
  const seen = shown(log)
  const tail = tailOf(log)
  const isTail = seen === tail
  const part = isLong(seen, most) ? cut(seen, grown, most, place) : seen
  // The shown segment then ends before the tail begins.
  const isApart = isTail && part.to < seen.to
  const rest = isApart
    ? after(tail, part.to)
    : !isTail && isLong(tail, MAX_TAIL)
      ? lasts(tail, SHORT_TAIL)
      : tail
  const segments = log.segments.flatMap((segment) => {
    if (segment === seen) return isApart ? [part, rest] : [part]
    if (segment === tail) return [rest]
    // Entries that wait for missing ones are fetched with them.
    if (segment.from > lastSeq(log)) return [isLong(segment, most) ? lasts(segment, most) : segment]
    return []
  })
  if (segments.length === log.segments.length && segments.every((one, at) => one === log.segments[at]))
    return log
  const view = (isApart || !isTail) && segments.includes(part) ? part.from : null
  return { ...log, segments, view, tail: log.tail && (isTail && !isApart ? part : rest).to }
}

/** Cuts the shown segment to `most` messages around a place, or to its last ones. */
export function cutShown(log: Log, most: number, place?: number): Log {
  const seen = shown(log)
  if (seen.messages.length <= most) return log
  // The tail ends where the log does.
  const part = cut(seen, "newer", most, log.view === null ? undefined : place)
  const segments = log.segments.map((segment) => (segment === seen ? part : segment))
  return settle({ ...log, segments, view: log.view === null ? null : part.to })
}

/** `most` messages of a longer segment. */
function cut(segment: Segment, grown: Side, most: number, place?: number): Segment {
  const { messages, from, to } = segment
  const { length } = messages
  const latest = length - most
  let begin = grown === "older" ? 0 : latest
  if (place !== undefined && from <= place && place <= to) {
    const found = messages.findIndex((one) => seqOf(one) >= place)
    const at = found < 0 ? length - 1 : found
    const margin = most >> 2
    const isNear = (begin > 0 && at < begin + margin) || (begin < latest && at >= begin + most - margin)
    if (isNear) begin = Math.max(0, Math.min(at - (most >> 1), latest))
  }
  // The rest is at least two messages: one that is dropped, and one for the tail.
  if (begin === latest - 1) begin = latest
  const kept = messages.slice(begin, begin + most)
  const last = kept.at(-1)?.base
  return {
    from: begin ? seqOf(kept[0] as (typeof kept)[0]) : from,
    ...(begin < latest && last ? { to: last.seq, lastId: last.id } : { to, lastId: segment.lastId }),
    messages: kept,
  }
}

/** The last messages of a segment. */
function lasts(segment: Segment, count: number): Segment {
  const messages = segment.messages.slice(-count)
  return messages[0] ? { ...segment, from: seqOf(messages[0]), messages } : segment
}

/** A short end of a segment that omits a message after `seq`. */
function after(segment: Segment, seq: number): Segment {
  const first = segment.messages.findIndex((one) => seqOf(one) > seq)
  return lasts(segment, Math.max(1, Math.min(SHORT_TAIL, segment.messages.length - first - 1)))
}
