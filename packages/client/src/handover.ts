/**
 * Messages that are written while it is not certain who the user is: from the release of the client, when one person may sign out and
 * another in, until the next token tells. They are sent in the name of the user of that token, and never in a former user's.
 */
import type { Core } from "./core.js"
import type { Drafts } from "./drafts.js"
import type { OutboxController } from "./outbox/outbox.js"
import type { SendResult } from "./types.js"

interface Written {
  conversationId: string
  content: string
}

/** `isUncertain`: whether a release makes the user uncertain. `settle` resolves when the user is known as well as possible. */
export function createHandover(
  core: Core,
  { outbox, add, of }: OutboxController,
  drafts: Drafts,
  isUncertain: boolean,
  settle: () => Promise<void>,
) {
  const { events } = core
  /** What was written since the release, by id; null while the user is certain. */
  let uncertain: Map<string, Written> | null = null
  /** What waits for a user whose id is not known yet. */
  const unassigned: Written[] = []

  /** Takes messages out of the former user's outbox. */
  function takeBack(written: Map<string, Written>): void {
    for (const [id, { conversationId, content }] of written) {
      const item = of(conversationId).find(({ clientMessageId }) => clientMessageId === id)
      void outbox.discard(id)
      void core.storage("deleteOutbox", id)
      unassigned.push({ conversationId, content: item?.content ?? content })
    }
    written.clear()
  }

  /** Puts them into the present user's outbox. */
  function assign(): void {
    for (const { conversationId, content } of unassigned.splice(0)) void add(conversationId, content)
  }

  events.on("released", () => {
    if (isUncertain) uncertain ??= new Map()
  })
  events.on("token", (isOther) => {
    const written = uncertain
    uncertain = null
    if (isOther && core.me() && written) takeBack(written)
  })
  events.on("signedIn", assign)

  /** Puts a message into the outbox, and clears the draft that it was. */
  return async (conversationId: string, content: string): Promise<SendResult> => {
    const written = uncertain
    await settle()
    const author = core.me()
    const result = await add(conversationId, content)
    if (!result.ok) return result
    if (written) {
      written.set(result.clientMessageId, { conversationId, content })
      // The token came while the message was being stored.
      if (uncertain !== written && core.me() !== author) {
        takeBack(written)
        if (core.me()) assign()
      }
    }
    // Only now, and only if nothing newer has been written since.
    if (drafts.get(conversationId) === content) drafts.set(conversationId, "")
    return result
  }
}
