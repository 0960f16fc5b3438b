/**
 * The data on the wire: the shapes generated from the server's types, under this package's names, and the
 * answers and tables of events made of them.
 */
import type {
  Authenticate,
  ChosenStatus as Chosen,
  Conversation,
  ConversationRef,
  JoinUser,
  MarkRead,
  Message,
  OnlineUsers,
  Presence,
  PresenceChanges,
  Receipt as ReceiptEvent,
  Refusal,
  SendMessage,
  SetActivity,
  SetStatus,
  SyncBody,
  SyncPage,
  TypingBody,
  Typing as TypingEvent,
  User,
  UserActivity,
  UserOffline,
  WatchPresence,
} from "./generated/wire.js"

export type {
  Activity,
  ChosenStatus as Chosen,
  Conversation,
  Marks as Receipt,
  Message,
  OnlineUsers,
  Presence,
  PresenceChange,
  PresenceChanges,
  Receipt as ReceiptEvent,
  Refusal,
  RefusalCode,
  Typing as TypingEvent,
  User,
  UserOffline,
  WatchedOffline as Absence,
} from "./generated/wire.js"

/**
 * An entry of a conversation's log whose `kind` this client does not know. It keeps its place in the log and shows nothing.
 */
export interface OtherEntry {
  id: string
  kind: string
  conversationId: string
  seq: number
  /** Null if the host application wrote it. */
  senderId: string | null
  createdAt: string
  clientMessageId?: string
  content?: undefined
}

/** An entry of a conversation's log. Servers from before there were kinds send messages without one. */
export type LogEntry = Message | OtherEntry

/** One conversation in the answer to `sync`. */
export interface SyncedConversation extends Omit<SyncPage, "entries"> {
  entries: LogEntry[]
}

/** The statuses of an online person that others may see. */
export type VisibleStatus = Presence["status"]

/** The statuses a person may choose. */
export type ChosenStatus = Chosen["status"]

/** How much of the roster a socket receives. */
export type RosterMode = NonNullable<JoinUser["roster"]>

/** Every answer has this shape. */
export type Answer<T> = ({ success: true } & T) | Refusal

/** The generation of the server's store: another one means that its data went back in time. */
export interface OfStore {
  store?: string
}

/** The answer to `join_user`. */
export interface JoinAnswer extends OfStore {
  user: User
  sessionId: string
  roster: RosterMode
  /** The manual status in force, which another device may have chosen. */
  status?: Chosen
}

/** The answer to a send, over socket and HTTP. */
export interface SendAnswer {
  message: Message
  duplicate: boolean
  tempId?: string
}

/** The answer to `sync`. */
export interface SyncAnswer extends OfStore {
  conversations: Record<string, SyncedConversation | Refusal>
  added: Conversation[]
}

/** A page of history. */
export interface HistoryAnswer extends OfStore {
  data: LogEntry[]
  hasMore: boolean
  /** For `around`: whether there are messages before and after the page. */
  hasBefore?: boolean
  hasAfter?: boolean
}

/** A page of a list. */
export interface PageAnswer<T> extends OfStore {
  data: T[]
  nextCursor?: string
}

/** The answer to `register`, `login` and `session`. */
export interface SessionAnswer {
  user: User
  registration?: Registration
  /** For clients that cannot use the cookie. */
  token?: string
}

/** Whether anyone may make an account (`AUTH=local`). */
export type Registration = "open" | "closed"

/** Events of the server, by name. */
export interface ServerEvents {
  online_users: OnlineUsers
  user_online: Presence
  user_updated: Presence
  user_offline: UserOffline
  presence_changes: PresenceChanges
  new_private_message: Message
  /** An entry that is not a message. */
  conversation_entry: LogEntry
  typing: TypingEvent
  receipt: ReceiptEvent
  conversation_updated: Conversation
  token_expired: { graceMs: number }
  /** The node is leaving and closes the connection. */
  reconnect: { afterMs: number }
  error_message: Refusal
}

/** Events of the client, by name, with their payloads. */
export interface ClientEvents {
  join_user: JoinUser
  user_activity: UserActivity
  set_status: SetStatus
  set_activity: SetActivity
  watch_presence: WatchPresence
  unwatch_presence: WatchPresence
  join_conversation: ConversationRef
  leave_conversation: ConversationRef
  send_private_message: SendMessage
  typing: TypingBody
  mark_read: MarkRead
  sync: SyncBody
  authenticate: Authenticate
}
