import { formatters } from "../languages/format"
import { locale as chosen } from "../languages/locale"

/** Files in groups of a month, as lists of them show it. */

interface Dated {
  createdAt: string
}

export interface Month<T> {
  /** "2026-11": the same for all days of a month, in the time zone of this device. */
  key: string
  title: string
  items: T[]
}

/** Groups what is in the order of its time; a month that comes twice is two groups. "November", or "November 2025" of another year. */
export function byMonth<T extends Dated>(items: readonly T[], now: Date, locale = chosen()): Month<T>[] {
  const months: Month<T>[] = []
  for (const item of items) {
    const date = new Date(item.createdAt)
    const key = `${date.getFullYear()}-${date.getMonth() + 1}`
    const last = months.at(-1)
    if (last?.key === key) last.items.push(item)
    else months.push({ key, title: titleOf(date, now, locale), items: [item] })
  }
  return months
}

function titleOf(date: Date, now: Date, locale: string): string {
  const isThisYear = date.getFullYear() === now.getFullYear()
  return formatters
    .getDateTimeFormat(locale, { month: "long", ...(isThisYear ? {} : { year: "numeric" }) })
    .format(date)
}
