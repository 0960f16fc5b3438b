/**
 * The unsent texts of the composers, by conversation. They survive a switch of conversation, a reload and
 * reach other tabs.
 */
import type { Core } from "./core.js"
import type { OutboxRecord } from "./options.js"
import { createSavedMap } from "./saved-map.js"

export interface Drafts {
  get(conversationId: string): string
  set(conversationId: string, text: string): void
  /** Saves unsaved drafts. */
  flush(): void
}

const SAVE_AFTER_MS = 150

export function createDrafts(core: Core): Drafts {
  const { events } = core
  // Empty drafts stay in the map, so that a stored one cannot replace them.
  const { map: drafts, save, load } = createSavedMap<string>(core, "drafts")
  let cancel: (() => void) | null = null
  const get = (id: string) => drafts.get(id) ?? ""

  function put(conversationId: string, text: string): void {
    drafts.set(conversationId, text)
    events.emit("draft", conversationId)
  }

  function saveSoon(): void {
    cancel ??= core.clock.after(SAVE_AFTER_MS, flush)
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
    let waiting: readonly OutboxRecord[] = []
    const unsent = core.storage("outbox", core.me() as string).then((stored) => {
      waiting = stored?.value ?? []
    })
    void load((id, text) => {
      if (drafts.has(id)) return
      // The page may have ended after it stored a message and before it cleared the draft.
      const isSent = waiting.some((one) => one.conversationId === id && one.content === text)
      if (isSent) saveSoon()
      else put(id, text)
    }, unsent)
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
      saveSoon()
      // At once, so that a reload right after sending does not bring the text back.
      if (!text) flush()
    },
    flush,
  }
}
