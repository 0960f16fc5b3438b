import { useSyncExternalStore } from "react"

export type ThemeChoice = "system" | "light" | "dark"

// The same key as in styles/first-paint.js, which reads it before the first paint.
const KEY = "lamplight:theme"
const listeners = new Set<() => void>()

function read(): ThemeChoice {
  try {
    const stored = localStorage.getItem(KEY)
    return stored === "light" || stored === "dark" ? stored : "system"
  } catch {
    return "system"
  }
}

let choice: ThemeChoice = "system"

function apply(): void {
  const dark =
    choice === "dark" || (choice === "system" && matchMedia("(prefers-color-scheme: dark)").matches)
  document.documentElement.dataset.theme = dark ? "dark" : "light"
  // The bars of a phone's browser follow the theme that is shown, not only the system's.
  const ground = getComputedStyle(document.documentElement).getPropertyValue("--ground").trim()
  for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]'))
    meta.content = ground
  for (const listener of listeners) listener()
}

/** Follows the system and other tabs from now on. Called once at the start. */
export function startTheme(): void {
  choice = read()
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply)
  addEventListener("storage", (event) => {
    if (event.key === KEY || event.key === null) {
      choice = read()
      apply()
    }
  })
  apply()
}

export function setTheme(next: ThemeChoice): void {
  choice = next
  try {
    if (next === "system") localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, next)
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  apply()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function useThemeChoice(): ThemeChoice {
  return useSyncExternalStore(subscribe, () => choice)
}

/** The theme on the screen now. */
export function useShownTheme(): "light" | "dark" {
  return useSyncExternalStore(subscribe, () =>
    document.documentElement.dataset.theme === "dark" ? "dark" : "light",
  )
}
