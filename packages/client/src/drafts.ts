/** What is written but not sent, by conversation: kept over switches, reloads and tabs. */
import type { Core } from "./core.js"
import { createSavedMap } from "./saved-map.js"

export interface Drafts {
  get(conversationId: string): string
  set(conversationId: string, text: string): void
  /** Writes down what is not written down yet. */
  flush(): void
}

const SAVE_AFTER_MS = 150

export function createDrafts(core: Core): Drafts {
  const { events } = core
  // An empty one stays in the map, so that one from the storage does not come back over it.
  const { map: drafts, save, load } = createSavedMap<string>(core, "drafts")
  let cancel: (() => void) | null = null
  const get = (id: string) => drafts.get(id) ?? ""

  function put(conversationId: string, text: string): void {
    drafts.set(conversationId, text)
    events.emit("draft", conversationId)
  }

  function flush(): void {
    if (!cancel) return
    cancel()
    cancel = null
    save()
  }

  events.on("reset", () => {
    cancel?.()
    cancel = null
    drafts.clear()
  })
  events.on("signedIn", () => {
    void load((id, text) => {
      if (!drafts.has(id)) put(id, text)
    })
  })
  events.on("tab", (message) => {
    if (message.type === "draft") put(message.conversationId, message.text)
  })
  events.on("environment", (what) => {
    if (what === "hide") flush()
  })

  return {
    get,
    set(conversationId, text) {
      const userId = core.me()
      if (!userId || get(conversationId) === text) return
      put(conversationId, text)
      core.post({ type: "draft", userId, conversationId, text })
      cancel ??= core.clock.after(SAVE_AFTER_MS, flush)
      // What was sent must not come back as a draft, however soon the page is reloaded.
      if (!text) flush()
    },
    flush,
  }
}
