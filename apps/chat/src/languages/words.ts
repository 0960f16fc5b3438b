import { messageArguments } from "./arguments"
import { isLanguage, type Language, localeOf } from "./choice"
import type en from "./en.json"
import { type Bound, bind } from "./format"
import { setLocale } from "./locale"

/** All texts of the page in the chosen language: texts, and functions for those with arguments. */
export type Words = Bound<typeof en, typeof messageArguments>

type Catalogue = { default: typeof en }

/** Each language is a file of its own, loaded on first use. */
const files: Record<Language, () => Promise<Catalogue>> = {
  en: () => import("./en.json"),
  de: () => import("./de.json"),
  ar: () => import("./ar.json"),
}

type Groups = { [key: string]: Groups }

/** The groups of texts, without any. */
const groupsOf = (node: object): Groups =>
  Object.fromEntries(
    Object.entries(node).flatMap(([key, value]) =>
      typeof value === "object" ? [[key, groupsOf(value)]] : [],
    ),
  )

/**
 * Has its groups from the start, and their texts once a language is loaded. When the language changes the groups stay the same objects.
 * So a component may hold a group, such as `words.thread`, outside of its function, but no single text.
 */
export const words = groupsOf(messageArguments) as unknown as Words

/** The languages that the user has set, the preferred one first. A service worker has them too. */
export const wanted = (): readonly string[] => globalThis.navigator?.languages ?? []

let last: Language | null = null

/** Loads a language, and makes it that of the page. False: another one was chosen meanwhile. */
export async function loadWords(language: Language): Promise<boolean> {
  last = language
  const { default: catalogue } = await files[language]()
  if (last !== language) return false
  const locale = localeOf(language, wanted())
  setLocale(locale)
  bind(words, catalogue, messageArguments, locale)
  return true
}

/** The language of the document, which styles/first-paint.js has chosen. */
export function documentLanguage(): Language {
  const code = globalThis.document?.documentElement.lang
  return isLanguage(code) ? code : "en"
}
