/**
 * Days as people count them: by their own calendar, not by 24 hours. Where the clocks change, a day has 23 or
 * 25 hours, so nothing here divides the distance between two instants.
 */

/** `2026-3-29` in the reader's time zone: equal for two instants of the same local day. */
export function dayKey(date: Date): string {
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`
}

/** How many calendar days lie between two instants; 0 is the same day, 1 means `then` was yesterday. */
export function daysBetween(then: Date, now: Date): number {
  const from = Date.UTC(then.getFullYear(), then.getMonth(), then.getDate())
  const to = Date.UTC(now.getFullYear(), now.getMonth(), now.getDate())
  // Both are midnights of UTC, where every day has 24 hours.
  return Math.round((to - from) / 86_400_000)
}

/** The instant at which "today" turns into "yesterday". */
export function nextMidnight(now: Date): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1)
}
