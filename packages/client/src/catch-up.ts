/** What came while nobody listened: asked for after each join, from what is known on. */
import type { Core } from "./core.js"
import { fromRefusal, toError } from "./errors.js"
import type { List } from "./list.js"
import { lastSeq } from "./log.js"
import { isFar, type Thread } from "./thread.js"
import type { SyncAnswer } from "./wire.js"

export interface CatchUp {
  /** Asks for everything that is known of. Rejects if the line does not give it. */
  everything(isCurrent: () => boolean): Promise<void>
  /** Asks for one conversation, for what only `sync` tells. */
  one(id: string): Promise<void>
}

/** The most conversations in one call. */
const MOST_IDS = 100
const SYNC_LIMIT_MS = 10_000

export function createCatchUp(
  core: Core,
  list: List,
  threads: ReadonlyMap<string, Thread>,
  thread: (id: string) => Thread,
): CatchUp {
  const ask = (conversations: Record<string, number>) =>
    core.connection.ask<SyncAnswer>("sync", { conversations }, SYNC_LIMIT_MS)

  /** Takes in an answer. Returns what there is more of, and from where. */
  function take(answer: SyncAnswer): [string, number][] {
    const more: [string, number][] = []
    for (const conversation of answer.added) list.added(conversation)
    for (const [id, synced] of Object.entries(answer.conversations)) {
      if ("code" in synced) {
        if (synced.code === "not_found") {
          list.remove(id)
          threads.get(id)?.gone(fromRefusal(synced))
        }
        continue
      }
      const here = threads.get(id)
      const known = list.get(id)
      if (here?.log().loaded) {
        here.synced(synced)
        // Walking too far would take longer than fetching the newest page.
        if (synced.hasMore && !isFar(here.log()))
          more.push([id, synced.entries.at(-1)?.seq ?? lastSeq(here.log())])
        continue
      }
      if (here) here.synced(synced)
      else {
        for (const entry of synced.entries) list.arrived(entry)
        list.read(id, synced.readSeq)
      }
      // How many of those are unread only the list can say.
      if (synced.hasMore || !known) list.refreshSoon()
    }
    return more
  }

  return {
    async everything(isCurrent) {
      const from = new Map<string, number>()
      for (const conversation of list.all()) from.set(conversation.id, conversation.headSeq)
      for (const [id, here] of threads) if (here.log().loaded) from.set(id, lastSeq(here.log()))
      const left = [...from]
      do {
        const answer = await ask(Object.fromEntries(left.splice(0, MOST_IDS)))
        if (!isCurrent()) return
        left.push(...take(answer))
      } while (left.length)
    },
    async one(id) {
      if (!core.connection.joined()) return
      const me = core.me()
      const here = thread(id)
      const answer = await ask({ [id]: lastSeq(here.log()) }).catch(toError)
      if (me && core.isStill(me) && "conversations" in answer) take(answer)
    },
  }
}
