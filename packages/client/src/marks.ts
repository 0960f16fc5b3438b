/** Read marks on their way to the server: gathered, repeated until they are there, kept over a reload. */
import type { Core } from "./core.js"
import { toError } from "./errors.js"

export interface Marks {
  mark(conversationId: string, seq: number): void
  /** Sends what is not sent yet. */
  flush(): void
  /** Takes up what an earlier page left, telling each of `found`. */
  load(found: (conversationId: string, seq: number) => void): Promise<void>
  reset(): void
}

const GATHER_MS = 200
const RETRY_MS = 5_000

export function createMarks(core: Core): Marks {
  const unsent = new Map<string, number>()
  let cancel: (() => void) | null = null
  let sending = false

  const key = (userId: string) => `marks:${core.scope}:${userId}`

  function save(userId: string): void {
    void core.kept.set(key(userId), unsent.size ? Object.fromEntries(unsent) : undefined)
  }

  function soon(ms: number): void {
    cancel ??= core.clock.after(ms, () => {
      cancel = null
      void flush()
    })
  }

  async function flush(): Promise<void> {
    const me = core.me()
    if (!me || sending) return
    sending = true
    for (const [conversationId, seq] of [...unsent]) {
      const arrived = await send(conversationId, seq)
      if (!core.isStill(me)) break
      if (arrived && unsent.get(conversationId) === seq) {
        unsent.delete(conversationId)
        save(me)
      }
    }
    sending = false
    if (unsent.size && core.me()) soon(RETRY_MS)
  }

  /** Whether there is nothing more to do about it. */
  async function send(conversationId: string, seq: number): Promise<boolean> {
    try {
      if (core.connection.joined()) await core.connection.ask("mark_read", { conversationId, seq })
      else {
        const path = `/api/privatechat/conversations/${encodeURIComponent(conversationId)}/read`
        await core.http("POST", path, { body: { seq } })
      }
      return true
    } catch (thrown) {
      const error = toError(thrown)
      return !error.retryable && error.code !== "unauthenticated"
    }
  }

  return {
    mark(conversationId, seq) {
      const me = core.me()
      if (!me || (unsent.get(conversationId) ?? 0) >= seq) return
      unsent.set(conversationId, seq)
      save(me)
      core.post({ type: "read", userId: me, conversationId, seq })
      soon(GATHER_MS)
    },
    flush: () => void flush(),
    async load(found) {
      const me = core.me()
      if (!me) return
      const kept = ((await core.kept.get(key(me))) ?? {}) as Record<string, number>
      if (!core.isStill(me)) return
      for (const [conversationId, seq] of Object.entries(kept)) {
        unsent.set(conversationId, Math.max(seq, unsent.get(conversationId) ?? 0))
        found(conversationId, seq)
      }
      if (unsent.size) soon(GATHER_MS)
    },
    reset() {
      cancel?.()
      cancel = null
      unsent.clear()
    },
  }
}
