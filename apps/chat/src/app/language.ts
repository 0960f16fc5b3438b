import { useSyncExternalStore } from "react"
import { postToWorker, workerRegistration } from "../device/worker"
import {
  dirOf,
  isLanguage,
  KEY,
  type Language,
  type LanguageChoice,
  languages,
  systemLanguage,
} from "../languages/choice"
import { documentLanguage, loadWords, wanted, words } from "../languages/words"

const listeners = new Set<() => void>()

function read(): LanguageChoice {
  try {
    const stored = localStorage.getItem(KEY)
    return isLanguage(stored) ? stored : "system"
  } catch {
    return "system"
  }
}

let choice: LanguageChoice = "system"
let shown: Language = documentLanguage()

function show(language: Language): void {
  shown = language
  document.documentElement.lang = language
  document.documentElement.dir = dirOf(language)
  // The server chose by what the browser accepts, and the user may have chosen another language here.
  const manifest = document.querySelector<HTMLLinkElement>("link[rel=manifest]")
  const path = `/chat/manifest${language === "en" ? "" : `.${language}`}.webmanifest`
  if (manifest && manifest.getAttribute("href") !== path) manifest.href = path
}

/**
 * Loads the texts of the language that the first paint chose. The page cannot render without texts: a language that fails to load is replaced by
 * English, which the service worker may have stored.
 */
export async function firstWords(): Promise<void> {
  try {
    await loadWords(shown)
    show(shown)
  } catch {
    await loadWords("en")
    show("en")
  }
}

async function apply(): Promise<void> {
  const language = choice === "system" ? systemLanguage(wanted()) : choice
  if (!(await loadWords(language))) return
  show(language)
  postLanguage()
  for (const listener of listeners) listener()
}

/** The service worker shows notifications in the same language. */
export function postLanguage(): void {
  postToWorker({ type: "language", language: choice === "system" ? null : choice })
}

/** Follows the system and other tabs from now on. Called once at the start, after the service worker is. */
export function startLanguage(): void {
  choice = read()
  // Once the worker is active: a worker that is still being installed gets no message.
  void Promise.all([workerRegistration(), navigator.serviceWorker?.ready]).then(postLanguage)
  // A language that cannot be loaded leaves the page as it is.
  const follow = () => void apply().catch(() => {})
  addEventListener("languagechange", follow)
  addEventListener("storage", (event) => {
    if (event.key === KEY || event.key === null) {
      choice = read()
      follow()
    }
  })
}

/** Shows the page in another language, without a reload. Rejects where its texts cannot be loaded: then nothing changes. */
export async function setLanguage(next: LanguageChoice): Promise<void> {
  const before = choice
  choice = next
  try {
    await apply()
  } catch (error) {
    if (choice === next) {
      choice = before
      // That language may have been loading, and have been dropped for this one.
      void apply().catch(() => {})
    }
    throw error
  }
  try {
    if (choice === "system") localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, choice)
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

/** The choices: the system's language, or one of the page's languages, each by its own name. */
export function languageChoices(): { value: LanguageChoice; label: string; lang: string | undefined }[] {
  return [
    { value: "system", label: words.language.system, lang: undefined },
    ...languages.map(({ code, name }) => ({ value: code, label: name, lang: code })),
  ]
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function useLanguageChoice(): LanguageChoice {
  return useSyncExternalStore(subscribe, () => choice)
}

/** The language on the screen now. A component with this as its key has no text of another language left. */
export function useLanguage(): Language {
  return useSyncExternalStore(subscribe, () => shown)
}
