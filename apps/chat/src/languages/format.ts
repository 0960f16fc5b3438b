import type { CompiledMessage } from "icu-minify/format"
import formatMessage from "icu-minify/format"
import { locale as chosen } from "./locale"

/** The arguments of an ICU message by their names. A boolean is for `select` with `true` and `other`. */
export type Values = Record<string, string | number | boolean>

/** Texts as they are written: ICU messages by their keys. */
export interface Texts {
  readonly [key: string]: string | Texts
}

/** For messages with arguments: makes the ICU arguments of what the page passes. */
export type Arguments<C> = {
  readonly [K in keyof C]?: C[K] extends string ? (...args: never[]) => Values : Arguments<C[K]>
}

/** A catalogue as the page uses it: texts, and functions that return texts. */
export type Bound<C, A> = {
  readonly [K in keyof C]: C[K] extends string
    ? K extends keyof A
      ? A[K] extends (...args: infer P) => Values
        ? (...args: P) => string
        : never
      : string
    : Bound<C[K], K extends keyof A ? A[K] : unknown>
}

/** A formatter costs more to make than a thousand uses of it. */
function cached<O extends object, F>(Formatter: new (locale?: string | string[], options?: O) => F) {
  const made = new Map<string, F>()
  return (locale?: Intl.LocalesArgument, options?: O): F => {
    const key = `${locale}|${options ? JSON.stringify(options) : ""}`
    let formatter = made.get(key)
    if (!formatter) {
      formatter = new Formatter(locale as string, options)
      made.set(key, formatter)
    }
    return formatter
  }
}

export const formatters = {
  getDateTimeFormat: cached<Intl.DateTimeFormatOptions, Intl.DateTimeFormat>(Intl.DateTimeFormat),
  getNumberFormat: cached<Intl.NumberFormatOptions, Intl.NumberFormat>(Intl.NumberFormat),
  getPluralRules: cached<Intl.PluralRulesOptions, Intl.PluralRules>(Intl.PluralRules),
}
const collators = cached<Intl.CollatorOptions, Intl.Collator>(Intl.Collator)
export const listFormat = cached<Intl.ListFormatOptions, Intl.ListFormat>(Intl.ListFormat)
export const relativeTimeFormat = cached<Intl.RelativeTimeFormatOptions, Intl.RelativeTimeFormat>(
  Intl.RelativeTimeFormat,
)

/** A number as the user's locale writes it. */
export const number = (value: number, options?: Intl.NumberFormatOptions): string =>
  formatters.getNumberFormat(chosen(), options).format(value)

/** Compares names for a list in the order of the user's language. */
export const compareText = (one: string, other: string): number => collators(chosen()).compare(one, other)

/** A compiled catalogue: see build/messages.ts. */
interface Compiled {
  readonly [key: string]: CompiledMessage | Compiled
}

const isMessage = (value: CompiledMessage | Compiled): value is CompiledMessage =>
  typeof value === "string" || Array.isArray(value)

type Make = (...args: unknown[]) => Values
type Makers = { readonly [key: string]: Make | Makers }

/** Writes the texts of a catalogue into `target`, whose objects stay the same, so that a part of it may be held. */
function fill(target: Record<string, unknown>, compiled: Compiled, makers: Makers, locale: string): void {
  for (const [key, value] of Object.entries(compiled)) {
    const make = makers[key]
    if (!isMessage(value)) {
      target[key] ??= {}
      fill(target[key] as Record<string, unknown>, value, typeof make === "object" ? make : {}, locale)
    } else if (typeof make === "function") {
      target[key] = (...args: unknown[]) =>
        String(formatMessage<string>(value, locale, make(...args), { formatters }))
    } else target[key] = String(formatMessage<string>(value, locale, {}, { formatters }))
  }
}

/** Binds the texts of a language: `catalogue` is what an import of its file gives, which the build has compiled. */
export function bind<const C, const A extends Arguments<C>>(
  target: Bound<C, A>,
  catalogue: C,
  args: A,
  locale: string,
): void {
  fill(target as Record<string, unknown>, catalogue as unknown as Compiled, args as unknown as Makers, locale)
}
