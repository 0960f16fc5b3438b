import type { ClientStorage } from "./options.js"

/** Keeps things until the page is left. */
export function memoryStorage(): ClientStorage {
  throw new Error("Not built yet.")
}

/** Keeps things in the browser's IndexedDB. */
export function indexedDbStorage(_name = "lamplight"): ClientStorage {
  throw new Error("Not built yet.")
}
