import { formatters, relativeTimeFormat } from "../languages/format"
import { locale as chosen } from "../languages/locale"
import { daysBetween } from "./days"

/** The texts that `Intl` has not: see `time` of the catalogue. */
export interface TimeWords {
  today: string
  yesterday: string
  justNow: string
  yesterdayAt: (time: string) => string
  dayAt: (day: string, time: string) => string
}

/** A list of messages needs times for each row, so the key of the formatter is not computed anew each time. */
function once(options: Intl.DateTimeFormatOptions) {
  const made = new Map<string, Intl.DateTimeFormat>()
  return (locale: string): Intl.DateTimeFormat => {
    let formatter = made.get(locale)
    if (!formatter) {
      formatter = new Intl.DateTimeFormat(locale, options)
      made.set(locale, formatter)
    }
    return formatter
  }
}

const clockFormat = once({ hour: "numeric", minute: "2-digit" })
const momentFormat = once({ dateStyle: "full", timeStyle: "short" })

const format = (date: Date, options: Intl.DateTimeFormatOptions, locale: string): string =>
  formatters.getDateTimeFormat(locale, options).format(date)

/** `14:32` or `2:32 PM`, as the user's locale writes it. */
export function clock(date: Date, locale = chosen()): string {
  return clockFormat(locale).format(date)
}

/** The full date and time, for tooltips and screen readers. */
export function moment(date: Date, locale = chosen()): string {
  return momentFormat(locale).format(date)
}

function weekday(date: Date, locale = chosen()): string {
  return format(date, { weekday: "long" }, locale)
}

function monthDay(date: Date, now: Date, locale = chosen()): string {
  return date.getFullYear() === now.getFullYear()
    ? format(date, { day: "numeric", month: "short" }, locale)
    : format(date, { day: "numeric", month: "short", year: "numeric" }, locale)
}

/** The heading of a day: "Today", "Yesterday", "Tuesday", "Tuesday, 3 March". */
export function dayTitle(date: Date, now: Date, words: TimeWords, locale = chosen()): string {
  const days = daysBetween(date, now)
  if (days === 0) return words.today
  if (days === 1) return words.yesterday
  if (days > 1 && days < 7) return weekday(date, locale)
  const options: Intl.DateTimeFormatOptions = { weekday: "long", day: "numeric", month: "long" }
  return date.getFullYear() === now.getFullYear()
    ? format(date, options, locale)
    : format(date, { ...options, year: "numeric" }, locale)
}

/** The short time in the conversation list: a time for today, then a weekday, then a date. */
export function listTime(date: Date, now: Date, words: TimeWords, locale = chosen()): string {
  const days = daysBetween(date, now)
  if (days <= 0) return clock(date, locale)
  if (days === 1) return words.yesterday
  if (days < 7) return format(date, { weekday: "short" }, locale)
  return monthDay(date, now, locale)
}

/** When something ends: "14:32", "Tuesday at 14:32", "3 Mar at 14:02". */
export function untilTime(date: Date, now: Date, words: TimeWords, locale = chosen()): string {
  const days = daysBetween(now, date)
  if (days <= 0) return clock(date, locale)
  const day = days < 7 ? weekday(date, locale) : monthDay(date, now, locale)
  return words.dayAt(day, clock(date, locale))
}

/** "just now", "5 min ago", "3 hr ago", "yesterday at 14:02", "3 Mar at 14:02". */
export function ago(date: Date, now: Date, words: TimeWords, locale = chosen()): string {
  const minutes = Math.floor((now.getTime() - date.getTime()) / 60_000)
  // A clock behind the server's would give a time in the future: show it as now.
  if (minutes < 1) return words.justNow
  const since = relativeTimeFormat(locale, { style: "short" })
  if (minutes < 60) return since.format(-minutes, "minute")
  const days = daysBetween(date, now)
  if (days === 0 || minutes < 6 * 60) return since.format(-Math.floor(minutes / 60), "hour")
  if (days === 1) return words.yesterdayAt(clock(date, locale))
  if (days < 7) return words.dayAt(weekday(date, locale), clock(date, locale))
  return words.dayAt(monthDay(date, now, locale), clock(date, locale))
}
