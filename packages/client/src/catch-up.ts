/** Fetches what was missed while no socket was connected, with `sync`. */
import type { Core } from "./core.js"
import { fromRefusal, type LamplightError, toError } from "./errors.js"
import type { List } from "./list.js"
import { lastEntry, lastSeq, nearby } from "./log.js"
import { isFar } from "./thread.js"
import type { Threads } from "./threads.js"
import type { SyncAnswer } from "./wire.js"

export interface CatchUp {
  /** Catches up all known conversations. Rejects if the connection fails. */
  everything(isCurrent: () => boolean): Promise<void>
  /** Catches up one conversation, for its receipts, which only `sync` returns. */
  one(id: string): Promise<void>
}

/** The limit of the server for one `sync`. */
const MAX_IDS = 100
/** An answer may have 400 KB and is queued behind the list of online users. */
const SYNC_LIMIT_MS = 30_000

/**
 * The position to continue from. With the id of the last entry the server notices if its log has another
 * entry there.
 */
type From = number | { seq: number; id: string }

/**
 * `restored` is called when a conversation went back in time: requests in flight must be dropped; `gone` when the user may not see it
 * any more.
 */
export function createCatchUp(
  core: Core,
  list: List,
  threads: Threads,
  restored: (id: string) => void,
  gone: (id: string, error: LamplightError) => void,
): CatchUp {
  async function ask(conversations: Record<string, From>): Promise<SyncAnswer> {
    const heads = Object.keys(conversations).map((id) => [id, list.get(id)?.headSeq ?? 0] as const)
    const answer = await core.connection.ask<SyncAnswer>("sync", { conversations }, SYNC_LIMIT_MS)
    for (const [id, head] of heads) {
      const synced = answer.conversations[id]
      if (!synced || "code" in synced || synced.reset || synced.headSeq >= head) continue
      // Entries that were known to exist are gone. The server cannot detect this, since the client asked from before
      // a gap.
      answer.conversations[id] = { ...synced, entries: [], hasMore: false, reset: true }
    }
    return answer
  }

  const from = (entry: { seq: number; id: string } | undefined, seq: number): From =>
    entry ? { seq: entry.seq, id: entry.id } : seq

  /** Applies an answer. Returns the conversations that have more, each with the position to continue from. */
  function take(answer: SyncAnswer): [string, From][] {
    const more: [string, From][] = []
    for (const conversation of answer.added) list.added(conversation)
    for (const [id, synced] of Object.entries(answer.conversations)) {
      if ("code" in synced) {
        if (synced.code === "not_found") {
          gone(id, fromRefusal(synced))
        }
        continue
      }
      const here = threads.find(id)
      if (synced.reset) {
        restored(id)
        list.restored(id, synced)
        here?.restored(synced)
        // The answer had no room for the whole conversation.
        const last = synced.entries.at(-1)
        if (synced.hasMore) more.push([id, from(last, last?.seq ?? 0)])
        continue
      }
      const known = list.get(id)
      if (here?.log().loaded) {
        here.synced(synced)
        // Fetching many pages would take longer than fetching the newest one.
        if (synced.hasMore && !isFar(here.log())) {
          const last = synced.entries.at(-1) ?? lastEntry(here.log())
          if (last) more.push([id, from(last, 0)])
        }
        continue
      }
      if (here) here.synced(synced)
      else {
        for (const entry of synced.entries) list.addEntry(entry)
        list.read(id, synced.readSeq)
      }
      // Only the list has the number of unread messages among those.
      if (synced.hasMore || !known) list.refreshSoon()
    }
    return more
  }

  return {
    async everything(isCurrent) {
      const known = new Map<string, From>()
      // From the last message on, if only a few entries of other kinds follow it: only the message's id is known.
      for (const { id, headSeq, lastMessage } of list.all())
        known.set(id, from(nearby(lastMessage, headSeq), headSeq))
      for (const here of threads)
        if (here.log().loaded) known.set(here.id, from(lastEntry(here.log()), lastSeq(here.log())))
      const left = [...known]
      do {
        const answer = await ask(Object.fromEntries(left.splice(0, MAX_IDS)))
        if (!isCurrent()) return
        left.push(...take(answer))
      } while (left.length)
    },
    async one(id) {
      if (!core.connection.joined()) return
      const epoch = core.epoch()
      const log = threads.get(id).log()
      const answer = await ask({ [id]: from(lastEntry(log), lastSeq(log)) }).catch(toError)
      if (core.isCurrent(epoch) && "conversations" in answer) take(answer)
    },
  }
}
