/** The languages of the page, each under its own name. Their texts are in the file of their code. */
export const languages = [
  { code: "en", name: "English", dir: "ltr" },
  { code: "de", name: "Deutsch", dir: "ltr" },
  { code: "ar", name: "العربية", dir: "rtl" },
] as const satisfies readonly { code: string; name: string; dir: "ltr" | "rtl" }[]

export type Language = (typeof languages)[number]["code"]
export type LanguageChoice = "system" | Language

/** The same key as in styles/first-paint.js, which reads it before the first paint. */
export const KEY = "lamplight:language"

export const isLanguage = (code: unknown): code is Language => languages.some((one) => one.code === code)

export const dirOf = (language: Language): "ltr" | "rtl" =>
  languages.find(({ code }) => code === language)?.dir ?? "ltr"

/** The tags that are valid by BCP 47. WebKitGTK passes on the locale of the system, which may be "C". */
const valid = (tags: readonly string[]): Intl.Locale[] =>
  tags.flatMap((tag) => {
    try {
      return [new Intl.Locale(tag)]
    } catch {
      return []
    }
  })

/** The first of the user's languages that the page has. */
export function systemLanguage(wanted: readonly string[]): Language {
  return (
    valid(wanted)
      .map(({ language }) => language)
      .find(isLanguage) ?? "en"
  )
}

/**
 * How dates and numbers are written: as in the user's own locale of this language, or else as in their region. "en-FR" has the dates and
 * the clock of France, in English.
 */
export function localeOf(language: Language, wanted: readonly string[]): string {
  const locales = valid(wanted)
  const own = locales.find((locale) => locale.language === language)
  if (own) return own.toString()
  const region = locales[0]?.region
  return region ? `${language}-${region}` : language
}
