/**
 * Calendar days in the user's time zone. A day has 23 or 25 hours where the clocks change, so nothing here
 * divides the distance between two moments.
 */

/** `2026-3-29` in the user's time zone: equal for two moments of the same local day. */
export function dayKey(date: Date): string {
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`
}

/** How many calendar days lie between two moments: 0 is the same day, 1 means that `then` was yesterday. */
export function daysBetween(then: Date, now: Date): number {
  const from = Date.UTC(then.getFullYear(), then.getMonth(), then.getDate())
  const to = Date.UTC(now.getFullYear(), now.getMonth(), now.getDate())
  // Both are midnights in UTC, where every day has 24 hours.
  return Math.round((to - from) / 86_400_000)
}

/** The moment at which "today" becomes "yesterday". */
export function nextMidnight(now: Date): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1)
}
