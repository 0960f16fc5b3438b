/** A user's actions in a conversation: sending messages and changing them. */
import { refusal } from "./content.js"
import { excerptOf } from "./fold.js"
import { findMessage, type Log } from "./log.js"
import type { MessageAction } from "./options.js"
import type { SendExtras, WriteTarget } from "./outbox/outbox.js"
import type { ConversationHandle, MessageRow, SendOptions, SendResult } from "./types.js"

interface ActionsOptions {
  log(): Log
  /** Whether the outbox has a message with this id. */
  isWaiting(clientMessageId: string): boolean
  rows(): readonly MessageRow[]
  send(content: string, extras: SendExtras): Promise<SendResult>
  write(target: WriteTarget, action: MessageAction): Promise<SendResult>
}

export type Actions = Pick<ConversationHandle, "edit" | "remove" | "react" | "pin"> & {
  send(content: string, options: SendOptions): Promise<SendResult>
}

export function createActions({ log, rows, isWaiting, send, write }: ActionsOptions): Actions {
  /** The row of a message with its unsent changes applied. */
  const rowOf = (id: string) =>
    rows().findLast(
      ({ message, mine, clientMessageId }) => message?.id === id || (mine && clientMessageId === id),
    )

  /** A message that has been sent meanwhile has a server id. */
  function targetOf(id: string): WriteTarget {
    const row = rowOf(id)
    const sent = row ? row.message : findMessage(log(), (message) => message.id === id)
    // Unsent rows are at the end of the log, which may not be shown.
    const isUnsent = row ? !sent : isWaiting(id)
    return isUnsent ? { clientMessageId: id } : { messageId: sent?.id ?? id }
  }

  /** `isMade`: the change already applies. */
  async function act(id: string, action: MessageAction, isMade: boolean): Promise<SendResult> {
    const content = action.kind === "edit" ? action.content : ""
    if (isMade) return { ok: true, clientMessageId: id }
    if (rowOf(id)?.deletedAt)
      return {
        ok: false,
        content,
        error: refusal("not_found", "That message is deleted.", "Write a new one."),
      }
    return write(targetOf(id), action)
  }

  return {
    send(content, { replyTo, mentions, uploads }) {
      const given = typeof replyTo === "object" ? replyTo : undefined
      const to = given?.id ?? replyTo
      // The loaded message is newer; the given one may have been dropped.
      const quoted = to === undefined ? undefined : (findMessage(log(), ({ id }) => id === to) ?? given)
      const quote = quoted
        ? { id: quoted.id, seq: quoted.seq, senderId: quoted.senderId, excerpt: excerptOf(quoted.content) }
        : { id: String(to), seq: 0, senderId: "", excerpt: "" }
      return send(content, {
        ...(replyTo === undefined ? {} : { replyTo: quote }),
        ...(mentions?.length ? { mentions: [...mentions] } : {}),
        ...(uploads?.length
          ? { files: uploads.map(({ id: uploadId, name, type, size }) => ({ uploadId, name, type, size })) }
          : {}),
      })
    },
    edit(id, content, { mentions } = {}) {
      const row = rowOf(id)
      const action = { kind: "edit" as const, content, ...(mentions ? { mentions: [...mentions] } : {}) }
      const isMade =
        row?.content === content && (!mentions || mentions.join("\n") === row.mentions.join("\n"))
      return act(id, action, isMade && row.state === "sent")
    },
    remove: (id) => act(id, { kind: "delete" }, !!rowOf(id)?.deletedAt),
    react(id, emoji, added) {
      const mine = rowOf(id)?.reactions.some((group) => group.emoji === emoji && group.mine)
      return act(
        id,
        { kind: "reaction", emoji, added: added ?? !mine },
        added !== undefined && added === mine,
      )
    },
    pin(id, pinned = true) {
      const row = rowOf(id)
      return act(id, { kind: "pin", pinned }, !!row && !!row.pinnedAt === pinned)
    },
  }
}
