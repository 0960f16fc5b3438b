/**
 * Messages that are written while the user is uncertain: from the release of the client, when one person may sign out and
 * another in, until the next token. They are sent as the user of that token, and never as a former user.
 */
import type { Core } from "./core.js"
import type { Drafts } from "./drafts.js"
import type { MessageAction } from "./options.js"
import type { OutboxController, SendExtras, WriteTarget } from "./outbox/outbox.js"
import type { SendResult } from "./types.js"

interface Written {
  conversationId: string
  content: string
  extras?: SendExtras | undefined
}

/** `isUncertain`: whether a release makes the user uncertain. `settle` resolves when the user is known as well as possible. */
export function createHandover(
  core: Core,
  { outbox, add, write, of, certain }: OutboxController,
  drafts: Drafts,
  isUncertain: boolean,
  settle: () => Promise<void>,
) {
  const { events } = core
  /**
   * The messages written since the release, by id; null for a change of a message. The map itself is null while the
   * user is known.
   */
  let uncertain: Map<string, Written | null> | null = null
  /** Unsent items whose user is not known yet. */
  const unassigned: Written[] = []

  /** Takes such messages out of the former user's outbox. Changes of messages are dropped, because they apply to that user's data. */
  function takeBack(written: Map<string, Written | null>): void {
    for (const [id, mine] of written) {
      const item = mine && of(mine.conversationId).find(({ clientMessageId }) => clientMessageId === id)
      void outbox.discard(id)
      void core.storage("deleteOutbox", id)
      if (mine) unassigned.push({ ...mine, content: item?.content ?? mine.content })
    }
    written.clear()
  }

  /** Puts them into the current user's outbox. */
  function assign(): void {
    for (const { conversationId, content, extras } of unassigned.splice(0))
      void add(conversationId, content, extras)
  }

  events.on("released", () => {
    if (isUncertain) uncertain ??= new Map()
  })
  events.on("token", (isOther) => {
    const written = uncertain
    uncertain = null
    if (!written) return
    if (!isOther) for (const id of written.keys()) certain(id)
    else if (core.me()) takeBack(written)
  })
  events.on("signedIn", assign)

  /** Records what `put` adds to the outbox while the user is uncertain. */
  async function noted(
    mine: Written | null,
    put: (mark: Pick<SendExtras, "uncertain">) => Promise<SendResult>,
  ): Promise<SendResult> {
    const written = uncertain
    await settle()
    const author = core.me()
    const result = await put(uncertain ? { uncertain: true } : {})
    if (result.ok && written) {
      written.set(result.clientMessageId, mine)
      // The token arrived while the message was being stored.
      if (uncertain === written) return result
      if (core.me() === author) certain(result.clientMessageId)
      else {
        takeBack(written)
        if (core.me()) assign()
      }
    }
    return result
  }

  return {
    /** Puts a message into the outbox, and clears its draft. */
    async send(conversationId: string, content: string, extras?: SendExtras): Promise<SendResult> {
      const result = await noted({ conversationId, content, extras }, (mark) =>
        add(conversationId, content, { ...extras, ...mark }),
      )
      // Only after it is stored, and only if the draft has no newer text.
      if (result.ok && drafts.get(conversationId) === content) drafts.set(conversationId, "")
      return result
    },
    /** Puts a change of a message into the outbox. */
    write: (conversationId: string, target: WriteTarget, action: MessageAction): Promise<SendResult> =>
      noted(null, (mark) => write(conversationId, target, action, mark)),
  }
}
