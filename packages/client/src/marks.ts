/** Read marks on their way to the server: gathered, repeated until they are there, kept over a reload. */
import { type Core, createNotes } from "./core.js"
import { toError } from "./errors.js"

export interface Marks {
  mark(conversationId: string, seq: number): void
  /** Another tab has moved a mark. Without a line it is kept here too, since both write down what they know under one name. */
  heard(conversationId: string, seq: number): void
  /** Sends what is not sent yet. */
  flush(): void
  /** Takes up what an earlier page left, telling each of `found`. */
  load(found: (conversationId: string, seq: number) => void): void
  reset(): void
}

const GATHER_MS = 200
const RETRY_MS = 5_000

export function createMarks(core: Core): Marks {
  const { notes: unsent, save, load } = createNotes<number>(core, "marks")
  let cancel: (() => void) | null = null
  let sending = false
  let flushedAt = Number.NEGATIVE_INFINITY

  function soon(ms: number): void {
    cancel ??= core.clock.after(ms, () => {
      cancel = null
      void flush()
    })
  }

  async function flush(): Promise<void> {
    const me = core.me()
    if (!me || sending || !core.isStill(me)) return
    sending = true
    flushedAt = core.clock.now()
    for (const [conversationId, seq] of [...unsent]) {
      const arrived = await send(conversationId, seq)
      if (!core.isStill(me)) break
      if (arrived && unsent.get(conversationId) === seq) {
        unsent.delete(conversationId)
        save()
      }
    }
    sending = false
    if (unsent.size) soon(RETRY_MS)
  }

  /** Whether there is nothing more to do about it. */
  async function send(conversationId: string, seq: number): Promise<boolean> {
    try {
      await (core.connection.joined()
        ? core.connection.ask("mark_read", { conversationId, seq })
        : core.http(`/api/privatechat/conversations/${encodeURIComponent(conversationId)}/read`, { seq }))
      return true
    } catch (thrown) {
      const { retryable, code } = toError(thrown)
      return !retryable && code !== "unauthenticated"
    }
  }

  /** Whether it is news. */
  function note(conversationId: string, seq: number): boolean {
    const isNew = (unsent.get(conversationId) ?? 0) < seq
    if (isNew) {
      unsent.set(conversationId, seq)
      save()
    }
    return isNew
  }

  return {
    heard(conversationId, seq) {
      if (!core.connection.joined() && note(conversationId, seq)) soon(RETRY_MS)
    },
    mark(conversationId, seq) {
      const userId = core.me()
      if (!userId || !note(conversationId, seq)) return
      core.post({ type: "read", userId, conversationId, seq })
      // The first leaves at once: a page that is loaded anew a moment later, in another tab, must not show a badge again.
      soon(core.clock.now() - flushedAt < GATHER_MS ? GATHER_MS : 0)
    },
    flush,
    load: (found) =>
      void load((conversationId, seq) => {
        unsent.set(conversationId, Math.max(seq, unsent.get(conversationId) ?? 0))
        found(conversationId, seq)
        soon(GATHER_MS)
      }),
    reset() {
      cancel?.()
      cancel = null
      unsent.clear()
    },
  }
}
