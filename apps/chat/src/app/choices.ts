import { useSyncExternalStore } from "react"

/** A user's choice for this device: it applies at once, in every tab, and after a reload. */
export interface Choice<T extends string> {
  get(): T
  set(value: T): void
  subscribe(listener: () => void): () => void
}

/** `key` is the name in local storage, where the usual value has no entry. */
function choice<T extends string>(key: string, values: readonly T[], usual: T): Choice<T> {
  /** Without storage the choice lasts as long as the page. */
  let unstored: T | null = null
  const listeners = new Set<() => void>()
  const onStorage = (event: StorageEvent) => {
    if (event.key !== key && event.key !== null) return
    for (const listener of listeners) listener()
  }
  return {
    get() {
      try {
        const stored = localStorage.getItem(key)
        return unstored ?? values.find((value) => value === stored) ?? usual
      } catch {
        return unstored ?? usual
      }
    },
    set(value) {
      try {
        if (value === usual) localStorage.removeItem(key)
        else localStorage.setItem(key, value)
        unstored = null
      } catch {
        unstored = value
      }
      for (const listener of listeners) listener()
    },
    subscribe(listener) {
      if (listeners.size === 0) addEventListener("storage", onStorage)
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) removeEventListener("storage", onStorage)
      }
    },
  }
}

export function useChoice<T extends string>(one: Choice<T>): T {
  return useSyncExternalStore(one.subscribe, one.get)
}

/** The sound of new messages. */
export const sound = choice("lamplight:sound", ["on", "off"], "on")
/** The effect of Enter in the message field, on devices with a keyboard. */
export const enterKey = choice("lamplight:enter", ["send", "newline"], "send")
/** Whether a character by itself can be a shortcut (WCAG 2.1.4): voice control and trembling hands press them by accident. */
export const singleKeys = choice("lamplight:single-keys", ["on", "off"], "on")
