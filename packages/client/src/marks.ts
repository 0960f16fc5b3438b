/**
 * Read marks that are sent to the server: collected, repeated until acknowledged, and saved over a reload. A
 * mark belongs to the generation of the server's store: in another one its `seq` may be another message's.
 */
import type { Core } from "./core.js"
import { toError } from "./errors.js"
import type { List } from "./list.js"
import { createSavedMap } from "./saved-map.js"

interface Mark {
  seq: number
  store?: string | undefined
}

export interface Marks {
  mark(conversationId: string, seq: number): void
  /** Whether a mark of another generation than this one waits to be sent. */
  isOther(store: string): boolean
  /** Drops the marks of other generations than the current one, or those of one conversation. */
  drop(conversationId?: string): void
  /** Sends unacknowledged marks. */
  flush(): void
}

/** An unknown generation matches every other. */
const isOther = (mark: Mark, store: string | undefined) => !!mark.store && !!store && mark.store !== store

const GATHER_MS = 200
const RETRY_MS = 5_000

/** The generation in a list answer is used up to this age. */
const FRESH_MS = 10_000

export function createMarks(core: Core, list: List): Marks {
  const { events } = core
  const { map: unsent, save, load } = createSavedMap<Mark>(core, "marks")
  let cancel: (() => void) | null = null
  let sending = false
  let flushedAt = Number.NEGATIVE_INFINITY
  /** How long the server asked to wait, in milliseconds. */
  let pause = 0

  function soon(ms: number): void {
    cancel ??= core.clock.after(ms, () => {
      cancel = null
      void flush()
    })
  }

  /** Resolves when an answer of the server has shown that the generation is still the same. */
  async function check(): Promise<null> {
    const { downSince } = core.connection.state.get()
    const age = core.clock.now() - list.takenAt()
    // The age is negative if the clock was set back since.
    if (age < 0 || age >= FRESH_MS || list.takenAt() <= (downSince ?? 0)) await list.refresh()
    return null
  }

  async function flush(): Promise<void> {
    const me = core.me()
    if (!me || sending || !core.isUser(me)) return
    sending = true
    flushedAt = core.clock.now()
    // A socket's join returns the generation. Without a socket, an HTTP request fetches it first.
    const failure = core.connection.joined() ? null : await check().catch(toError)
    pause = failure?.retryAfterMs ?? 0
    for (const [conversationId, mark] of failure ? [] : [...unsent]) {
      if (pause) break
      const arrived = await send(conversationId, mark.seq)
      if (!core.isUser(me)) break
      if (arrived && unsent.get(conversationId) === mark) {
        unsent.delete(conversationId)
        save()
      }
    }
    sending = false
    if (unsent.size && core.connection.state.get().status !== "refused") soon(Math.max(RETRY_MS, pause))
  }

  /** Whether the mark needs no further attempt. */
  async function send(conversationId: string, seq: number): Promise<boolean> {
    try {
      await (core.connection.joined()
        ? core.connection.ask("mark_read", { conversationId, seq })
        : core.http(`/api/privatechat/conversations/${encodeURIComponent(conversationId)}/read`, { seq }))
      return true
    } catch (thrown) {
      const { retryable, code, retryAfterMs } = toError(thrown)
      pause = retryAfterMs ?? 0
      return !retryable && code !== "unauthenticated"
    }
  }

  /** Stores a mark. Returns whether it is new. */
  function note(conversationId: string, seq: number): boolean {
    const isNew = (unsent.get(conversationId)?.seq ?? 0) < seq
    if (isNew) {
      unsent.set(conversationId, { seq, store: core.store() })
      save()
    }
    return isNew
  }

  function drop(id?: string): void {
    for (const [conversationId, mark] of [...unsent])
      if (id ? conversationId === id : isOther(mark, core.store())) unsent.delete(conversationId)
    save()
  }

  events.on("reset", () => {
    cancel?.()
    cancel = null
    unsent.clear()
  })
  events.on("signedIn", () => {
    void load((conversationId, note) => {
      // Earlier versions stored a number.
      const mark: Mark = typeof note === "number" ? { seq: note } : note
      if (isOther(mark, core.store()) || mark.seq <= (unsent.get(conversationId)?.seq ?? 0)) return
      unsent.set(conversationId, mark)
      list.read(conversationId, mark.seq)
      soon(GATHER_MS)
    })
  })
  events.on("restored", () => drop())
  events.on("tab", (message) => {
    // The other tab may close before it has sent its mark: unless the server reports it, this tab sends it. Both save all their marks
    // under one key.
    if (message.type === "read" && note(message.conversationId, message.seq)) soon(RETRY_MS)
  })
  core.connection.on("conversation_updated", ({ id, readSeq }) => {
    if ((unsent.get(id)?.seq ?? Number.POSITIVE_INFINITY) > readSeq) return
    unsent.delete(id)
    save()
  })

  return {
    mark(conversationId, seq) {
      const userId = core.me()
      if (!userId || !note(conversationId, seq)) return
      core.post({ type: "read", userId, conversationId, seq, store: core.store() })
      // The first mark is sent at once: a reload a moment later, in another tab, must not show the badge
      // again.
      soon(core.clock.now() - flushedAt < GATHER_MS ? GATHER_MS : 0)
    },
    flush,
    isOther: (store) => [...unsent.values()].some((mark) => isOther(mark, store)),
    drop,
  }
}
