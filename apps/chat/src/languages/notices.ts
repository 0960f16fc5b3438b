import { isolate } from "../logic/isolate"
import { type Language, localeOf } from "./choice"
import { type Bound, bind } from "./format"
import texts from "./notices.json"

export const noticeArguments = {
  several: (who: string, n: number) => ({ who, n }),
  messages: (n: number) => ({ n }),
  by: (who: string, what: string) => ({ who: isolate(who), what }),
} as const

/** The texts of notifications. Apart from the others, so that the service worker has no more of them, but in all languages. */
export type NoticeWords = Bound<(typeof texts)["en"], typeof noticeArguments>

export function noticeWords(language: Language, wanted: readonly string[]): NoticeWords {
  const words = {} as NoticeWords
  bind(words, texts[language], noticeArguments, localeOf(language, wanted))
  return words
}
