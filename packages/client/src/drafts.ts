/** What is written but not sent, by conversation: kept over switches, reloads and tabs. */
import type { Core } from "./core.js"
import { createSavedMap } from "./saved-map.js"

export interface Drafts {
  get(conversationId: string): string
  set(conversationId: string, text: string): void
  /** Another tab has set it. */
  heard(conversationId: string, text: string): void
  /** Writes down what is not written down yet. */
  flush(): void
  load(): void
  reset(): void
}

const SAVE_AFTER_MS = 150

export function createDrafts(core: Core, changed: (conversationId: string) => void): Drafts {
  // An empty one stays in the map, so that one from the storage does not come back over it.
  const { map: drafts, save, load } = createSavedMap<string>(core, "drafts")
  let cancel: (() => void) | null = null
  const get = (id: string) => drafts.get(id) ?? ""

  function heard(conversationId: string, text: string): void {
    drafts.set(conversationId, text)
    changed(conversationId)
  }

  function flush(): void {
    if (!cancel) return
    cancel()
    cancel = null
    save()
  }

  return {
    get,
    set(conversationId, text) {
      const userId = core.me()
      if (!userId || get(conversationId) === text) return
      heard(conversationId, text)
      core.post({ type: "draft", userId, conversationId, text })
      cancel ??= core.clock.after(SAVE_AFTER_MS, flush)
      // What was sent must not come back as a draft, however soon the page is reloaded.
      if (!text) flush()
    },
    heard,
    flush,
    load: () =>
      void load((id, text) => {
        if (!drafts.has(id)) heard(id, text)
      }),
    reset() {
      cancel?.()
      cancel = null
      drafts.clear()
    },
  }
}
