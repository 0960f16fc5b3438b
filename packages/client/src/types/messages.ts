/** The rows of a thread, and the optional parts of a message. */
import type { LamplightError } from "../errors.js"
import type { OutboxFile } from "../options.js"
import type { Message, Quote, Reaction, Role, SharedFile, User } from "../wire.js"
import type { Upload } from "./files.js"
import type { OutboxItem, WaitingFor } from "./outbox.js"

/** A row of a thread. The same message is the same object until it changes. */
export interface MessageRow {
  /** Stays the same while the optimistic row becomes the stored message: use it as the key of the row. */
  key: string
  conversationId: string
  senderId: string
  content: string
  createdAt: string
  mine: boolean
  state: "sending" | "sent" | "failed"
  /** The stored message; null until the server has acknowledged it. */
  message: Message | null
  seq: number | null
  clientMessageId: string | null
  /** While `sending`: the reason why it waits. */
  waitingFor: WaitingFor | null
  /** While waiting: when the next attempt starts, in milliseconds since the epoch. */
  nextTryAt: number | null
  /** While `failed`: the reason. */
  error: LamplightError | null
  /** When it was last edited; null if never. */
  editedAt: string | null
  /**
   * When it was deleted; null if it was not. A deleted message has an empty `content`: show a
   * placeholder.
   */
  deletedAt: string | null
  pinnedAt: string | null
  reactions: readonly Reaction[]
  /** The message that this one answers. */
  replyTo: Quote | null
  /** The members who are mentioned. */
  mentions: readonly string[]
  /** The files of a stored message. */
  attachments: readonly SharedFile[]
  /** The files of an unsent message. `uploads` has the progress of each. */
  files: readonly OutboxFile[]
  /**
   * Changes of this message in the outbox. The row already shows changes that are `sending`, but not those that
   * `failed`: retry or discard them in the outbox.
   */
  writes: readonly OutboxItem[]
}

/** One effect of a change of a group. A thread shows one sentence for each. */
export type SystemChange =
  /** The group was created with these members and its creator. */
  | { kind: "created"; userIds: readonly string[] }
  | { kind: "added"; userIds: readonly string[] }
  | { kind: "removed"; userIds: readonly string[] }
  /** The sender of the change left. */
  | { kind: "left" }
  /** The member has this role now. */
  | { kind: "role"; userId: string; role: Role }
  /** The new name of the group; null if it was removed. */
  | { kind: "renamed"; name: string | null }
  /** The new picture of the group; null if it was removed. */
  | { kind: "picture"; avatarUrl: string | null }

/** A change of a group in its thread. The same entry is the same object. */
export interface SystemRow {
  key: string
  conversationId: string
  /** Its position among the messages. */
  seq: number
  createdAt: string
  /** The id of the user who made the change; null for the host application. */
  senderId: string | null
  /** Its effects, in the order in which to show them. */
  changes: readonly SystemChange[]
}

/** The messages of a conversation. */
export interface MessagesState {
  /**
   * `loading` until something has been loaded. Do not show "no messages" while `loading` or `catchingUp`.
   */
  status: "loading" | "ready" | "error"
  /**
   * Stored messages in the order of `seq`, without gaps, then unsent ones. After `jumpTo` these are the
   * messages around the target: while `hasNewer` is true, the newest messages and the unsent ones are not
   * included.
   */
  rows: readonly MessageRow[]
  /** The changes of the group among these rows, in the order of `seq`: put each before the first row with a greater one. */
  systemRows: readonly SystemRow[]
  /** The known profiles of users in the rows who are not in the `members` of the conversation, by id. */
  users: Readonly<Record<string, User>>
  /** Whether the user is no longer a member. The rows are then only the unsent messages, which failed. */
  isRemoved: boolean
  /** Whether the conversation is known to have no messages. */
  isEmpty: boolean
  /** Whether there are messages before the rows: `loadOlder()` loads some. */
  hasOlder: boolean
  loadingOlder: boolean
  /** Whether there are messages after the rows, after a jump into the past: `loadNewer()` loads some. */
  hasNewer: boolean
  loadingNewer: boolean
  /** Whether messages are known to exist and are being fetched. */
  catchingUp: boolean
  /** Whether the server supports edits, deletions, reactions and pins; old servers do not. */
  canChange: boolean
  headSeq: number
  /** The user's own read mark. */
  readSeq: number
  error: LamplightError | null
}

/** The pinned messages of a conversation. */
export interface PinnedPage {
  /** Oldest first. */
  messages: Message[]
  /** Whether there are older ones. */
  hasMore: boolean
}

/** Optional parts of a message. */
export interface SendOptions {
  /**
   * The message that this one answers, or its id. With an id, the row shows the quote at once only if that message
   * is loaded.
   */
  replyTo?: string | Message | undefined
  /** The ids of the members who are mentioned. */
  mentions?: readonly string[] | undefined
  /**
   * Uploads to attach, at most 10 of this conversation. They need not be ready: the message waits for them in the
   * outbox. With uploads the text may be empty.
   */
  uploads?: readonly Pick<Upload, "id" | "name" | "type" | "size">[] | undefined
}
