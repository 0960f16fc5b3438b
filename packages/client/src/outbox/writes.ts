/** Edits, deletions, reactions and pins in the queue: which of them replace each other, and what they wait for. */
import { refusal } from "../content.js"
import type { LamplightError } from "../errors.js"
import type { MessageAction, MessageWrite } from "../options.js"
import type { Message } from "../wire.js"
import type { OutboxEntry, OutboxQueue } from "./queue.js"
import type { OutboxStorage } from "./storage.js"

/** A message: by its id, or by its `clientMessageId` while it is not sent. */
export type Target = Pick<MessageWrite, "messageId" | "waitsFor">

export type OutboxWrites = ReturnType<typeof createWrites>

/** Whether an entry surely did not reach the server. */
export const isUnsent = ({ record, inFlight }: OutboxEntry): boolean =>
  !inFlight && (!record.dispatched || !!record.failed)

const isOf = ({ messageId, waitsFor }: Target, target: Target) =>
  (messageId !== undefined && messageId === target.messageId) ||
  (waitsFor !== undefined && waitsFor === target.waitsFor)

/** The property that an action sets. A later action with the same key replaces an earlier one. */
const aspectOf = (action: MessageAction) => action.kind + (action.kind === "reaction" ? action.emoji : "")

const isEqual = (one: MessageAction, other: MessageAction) => JSON.stringify(one) === JSON.stringify(other)

/** Finds a message that the user sent, if it is loaded. */
export type FindSent = (conversationId: string, clientMessageId: string) => Message | undefined

/** `remove` takes an entry out of the queue and the storage. */
export function createWrites(
  queue: OutboxQueue,
  storage: OutboxStorage,
  remove: (entry: OutboxEntry) => void,
  findSent: FindSent,
) {
  /** The actions on a message in the queue, in order. */
  const of = (target: Target) =>
    queue.sorted().flatMap((entry) => {
      const { write, failed } = entry.record
      return write && isOf(write, target) ? [{ entry, write, failed, action: write.action }] : []
    })

  /** A message was stored: what waits for it can be sent. */
  function resolve({ id, clientMessageId }: Message): void {
    if (clientMessageId === undefined) return
    for (const { entry, write } of of({ waitsFor: clientMessageId }))
      if (write.messageId === undefined) void storage.update(entry, { write: { ...write, messageId: id } })
  }

  return {
    /**
     * Removes actions that a new one replaces. Returns whether the new one is still to be written, or why it is refused.
     */
    prepare(target: Target, action: MessageAction): boolean | LamplightError {
      const all = of(target)
      const isDeletion = action.kind === "delete"
      if (all.some((one) => one.action.kind === "delete" && !one.failed))
        return !isDeletion && refusal("not_found", "That message is deleted.", "Write a new one.")
      const replaced = all.filter((one) => isDeletion || aspectOf(one.action) === aspectOf(action))
      const last = replaced.findLast(({ failed }) => !failed)
      for (const { entry, failed } of replaced) if (failed) remove(entry)
      if (last && (action.kind === "reaction" || action.kind === "pin")) {
        if (isEqual(last.action, action)) return false
        // It is as it was before that one, which is taken back before it was sent.
        if (isUnsent(last.entry)) remove(last.entry)
        return !isUnsent(last.entry)
      }
      for (const { entry } of replaced) if (isUnsent(entry)) remove(entry)
      return true
    },
    resolve,
    /** Changes that wait for a message can be sent once another tab has sent the message. */
    resolveLane(conversationId: string): void {
      for (const { record } of queue.lane(conversationId)) {
        const { messageId, waitsFor } = record.write ?? {}
        if (waitsFor === undefined || messageId !== undefined || queue.entries.has(waitsFor)) continue
        const sent = findSent(conversationId, waitsFor)
        if (sent) resolve(sent)
      }
    },
    /** A message will not be sent: neither will what waits for it. Returns the actions. */
    cancel(clientMessageId: string): MessageAction[] {
      const waiting = of({ waitsFor: clientMessageId })
      for (const { entry } of waiting) remove(entry)
      return waiting.map(({ action }) => action)
    },
  }
}
