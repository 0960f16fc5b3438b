/** The interface between a thread and the rest of the client. */
import type { LamplightError } from "./errors.js"
import type { GroupsLoader } from "./groups-loader.js"
import type { List } from "./list.js"
import type { Log } from "./log.js"
import type { MessageAction } from "./options.js"
import type { SendExtras, WriteTarget } from "./outbox/outbox.js"
import type { ConversationHandle, OutboxItem, SendResult, SettingsChange, WriteResult } from "./types.js"
import type { LogEntry, Message, Receipt, SyncedConversation, TypingEvent } from "./wire.js"

/** The parts of other modules that a thread uses. */
export interface ThreadOptions {
  list: List
  items(id: string): readonly OutboxItem[]
  groups: Pick<GroupsLoader, "complete" | "extras">
  /** The user is not a member any more. */
  gone(id: string, error: LamplightError): void
  draft(id: string): string
  setDraft(id: string, text: string): void
  send(id: string, content: string, extras: SendExtras): Promise<SendResult>
  write(id: string, target: WriteTarget, action: MessageAction): Promise<SendResult>
  mark(id: string, seq: number): void
  setSettings(id: string, change: SettingsChange): Promise<WriteResult>
  /** Requests the marks of the other members, which only `sync` returns. */
  sync(id: string): void
}

/** A conversation, for the rest of the client. */
export interface Thread extends ConversationHandle {
  log(): Log
  /** How many messages past the mark are by others; null if the loaded log does not reach far enough. */
  count(readSeq: number): number | null
  /** The newest message that is not deleted; undefined if the loaded log does not reach far enough. */
  newest(): Message | null | undefined
  /** A loaded message of the user, by the id that the client gave it. */
  findSent(clientMessageId: string): Message | undefined
  isOpen(): boolean
  /** Applies an entry from any source. */
  accept(entry: LogEntry): void
  synced(answer: SyncedConversation): void
  /** The log went back in time on the server: the answer replaces what was here. */
  restored(answer: SyncedConversation): void
  receipt(receipt: Receipt): void
  onTyping(event: TypingEvent): void
  /** The user is announced on a new socket: reports to the server again that the conversation is open. */
  rejoin(): void
  /** Loads the entries after the tail, if there are any, or `always`. */
  follow(always?: boolean): Promise<void>
  /** The list, the connection or the outbox changed. */
  touch(): void
  touchDraft(): void
  /** The reason why nothing may be sent; null if it may. */
  sendError(): LamplightError | null
  /** The conversation does not exist, or not for this user, or not any more. */
  fail(error: LamplightError, isRemoved: boolean): void
  reset(): void
}
