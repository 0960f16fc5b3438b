import { daysBetween } from "./days"

/** The words of relative times; the page's own are in strings.ts. */
export interface TimeWords {
  today: string
  yesterday: string
  yesterdayAt: (time: string) => string
  justNow: string
  minutesAgo: (minutes: number) => string
  hoursAgo: (hours: number) => string
  dayAt: (day: string, time: string) => string
}

// A formatter costs more to make than a thousand uses of it, and a list of messages needs one for each row.
const formatters = new Map<string, Intl.DateTimeFormat>()

function format(date: Date, name: string, options: Intl.DateTimeFormatOptions, locale?: string): string {
  const key = `${locale ?? ""}|${name}`
  let formatter = formatters.get(key)
  if (!formatter) {
    formatter = new Intl.DateTimeFormat(locale, options)
    formatters.set(key, formatter)
  }
  return formatter.format(date)
}

/** `14:32` or `2:32 PM`, as the user's locale writes it. */
export function clock(date: Date, locale?: string): string {
  return format(date, "clock", { hour: "numeric", minute: "2-digit" }, locale)
}

/** The full date and time, for tooltips and screen readers. */
export function moment(date: Date, locale?: string): string {
  return format(date, "moment", { dateStyle: "full", timeStyle: "short" }, locale)
}

function weekday(date: Date, locale?: string): string {
  return format(date, "weekday", { weekday: "long" }, locale)
}

function monthDay(date: Date, now: Date, locale?: string): string {
  return date.getFullYear() === now.getFullYear()
    ? format(date, "day", { day: "numeric", month: "short" }, locale)
    : format(date, "dayYear", { day: "numeric", month: "short", year: "numeric" }, locale)
}

/** The heading of a day: "Today", "Yesterday", "Tuesday", "Tuesday, 3 March". */
export function dayTitle(date: Date, now: Date, words: TimeWords, locale?: string): string {
  const days = daysBetween(date, now)
  if (days === 0) return words.today
  if (days === 1) return words.yesterday
  if (days > 1 && days < 7) return weekday(date, locale)
  const options: Intl.DateTimeFormatOptions = { weekday: "long", day: "numeric", month: "long" }
  return date.getFullYear() === now.getFullYear()
    ? format(date, "title", options, locale)
    : format(date, "titleYear", { ...options, year: "numeric" }, locale)
}

/** The short time in the conversation list: a time for today, then a weekday, then a date. */
export function listTime(date: Date, now: Date, words: TimeWords, locale?: string): string {
  const days = daysBetween(date, now)
  if (days <= 0) return clock(date, locale)
  if (days === 1) return words.yesterday
  if (days < 7) return format(date, "weekdayShort", { weekday: "short" }, locale)
  return monthDay(date, now, locale)
}

/** When something ends: "14:32", "Tuesday at 14:32", "3 Mar at 14:02". */
export function untilTime(date: Date, now: Date, words: TimeWords, locale?: string): string {
  const days = daysBetween(now, date)
  if (days <= 0) return clock(date, locale)
  const day = days < 7 ? weekday(date, locale) : monthDay(date, now, locale)
  return words.dayAt(day, clock(date, locale))
}

/** "just now", "5 min ago", "3 h ago", "yesterday at 14:02", "3 Mar at 14:02". */
export function ago(date: Date, now: Date, words: TimeWords, locale?: string): string {
  const minutes = Math.floor((now.getTime() - date.getTime()) / 60_000)
  // A clock behind the server's would give a time in the future: show it as now.
  if (minutes < 1) return words.justNow
  if (minutes < 60) return words.minutesAgo(minutes)
  const days = daysBetween(date, now)
  if (days === 0 || minutes < 6 * 60) return words.hoursAgo(Math.floor(minutes / 60))
  if (days === 1) return words.yesterdayAt(clock(date, locale))
  if (days < 7) return words.dayAt(weekday(date, locale), clock(date, locale))
  return words.dayAt(monthDay(date, now, locale), clock(date, locale))
}
