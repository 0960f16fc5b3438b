/** What is written but not sent, by conversation: kept over switches, reloads and tabs. */
import type { Core } from "./core.js"

export interface Drafts {
  get(conversationId: string): string
  set(conversationId: string, text: string): void
  /** Another tab has set it. */
  heard(conversationId: string, text: string): void
  /** Writes down what is not written down yet. */
  flush(): void
  load(): Promise<void>
  reset(): void
}

const SAVE_AFTER_MS = 150

export function createDrafts(core: Core, changed: (conversationId: string) => void): Drafts {
  const drafts = new Map<string, string>()
  let cancel: (() => void) | null = null

  const key = (userId: string) => `drafts:${core.scope}:${userId}`

  function hold(conversationId: string, text: string): boolean {
    if ((drafts.get(conversationId) ?? "") === text) return false
    // An empty one is remembered, so that one from the storage does not come back over it.
    drafts.set(conversationId, text)
    changed(conversationId)
    return true
  }

  function flush(): void {
    if (!cancel) return
    cancel()
    cancel = null
    const me = core.me()
    if (!me) return
    const written = [...drafts].filter(([, text]) => text)
    void core.kept.set(key(me), written.length ? Object.fromEntries(written) : undefined)
  }

  return {
    get: (id) => drafts.get(id) ?? "",
    set(conversationId, text) {
      const me = core.me()
      if (!me || !hold(conversationId, text)) return
      core.post({ type: "draft", userId: me, conversationId, text })
      cancel ??= core.clock.after(SAVE_AFTER_MS, flush)
    },
    heard: hold,
    flush,
    async load() {
      const me = core.me()
      if (!me) return
      const kept = ((await core.kept.get(key(me))) ?? {}) as Record<string, string>
      if (!core.isStill(me)) return
      for (const [id, text] of Object.entries(kept)) if (!drafts.has(id)) hold(id, text)
    },
    reset() {
      cancel?.()
      cancel = null
      const ids = [...drafts.keys()]
      drafts.clear()
      for (const id of ids) changed(id)
    },
  }
}
