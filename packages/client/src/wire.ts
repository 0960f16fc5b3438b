/**
 * What travels between the server and its clients, as the wire contract has it.
 *
 * This file is the one place where the packages take wire types from. It is written by hand until they are generated
 * from the server's own types; then it becomes a list of re-exports and nothing else changes.
 */

/** A person, as others see them. */
export interface User {
  id: string
  name: string
  avatarUrl: string | null
}

/** What somebody is doing: a word of the application's, or one of the two that the page knows. */
export interface Activity {
  kind: "in_call" | "sharing_file" | (string & {})
  label?: string
  conversationId?: string
}

/** The statuses others may see of a person who is there. */
export type VisibleStatus = "online" | "away" | "busy"

/** The statuses a person may choose. */
export type ChosenStatus = VisibleStatus | "invisible"

/** A status chosen by hand, with the person's own line and when it is over. */
export interface Chosen {
  status: ChosenStatus
  text?: string
  until?: string
}

/** Somebody who is there. */
export interface Presence {
  userId: string
  user: User
  status: VisibleStatus
  text?: string
  lastActiveAt: string
  activities?: Activity[]
  version: number
}

/** Somebody who is not there, as `watch_presence` answers it. */
export interface Absence {
  userId: string
  status: "offline"
  lastSeenAt: string | null
  version: number
}

/** `user_offline`. */
export interface UserOffline {
  userId: string
  lastSeenAt: string | null
  reason: "closed" | "timeout" | "node_lost" | "signed_out"
  version: number
}

/** `online_users`: the list as it is now. */
export interface OnlineUsers {
  users: Presence[]
  count: number
  truncated: boolean
  version: number
}

/** One change of `presence_changes`. */
export type PresenceChange = ({ type: "online" | "updated" } & Presence) | ({ type: "offline" } & UserOffline)

/** `presence_changes`: what `diff` and `watch` get in place of the three single events. */
export interface PresenceChanges {
  changes: PresenceChange[]
  version: number
  /** How many are in, where the list is shorter than that. */
  count?: number
}

/** One entry of a conversation's log. Every entry is a message today. */
export interface Message {
  id: string
  kind: "message"
  conversationId: string
  seq: number
  senderId: string
  content: string
  clientMessageId?: string
  createdAt: string
}

/** A conversation, as the one who asks sees it. */
export interface Conversation {
  id: string
  members: User[]
  lastMessage: Message | null
  unread: number
  headSeq: number
  readSeq: number
  createdAt: string
}

/** How far one member got. */
export interface Receipt {
  userId: string
  deliveredSeq: number
  readSeq: number
}

/** `receipt`. */
export interface ReceiptEvent extends Receipt {
  conversationId: string
}

/** `typing`, as the server tells it. */
export interface TypingEvent {
  conversationId: string
  userId: string
  isTyping: boolean
  expiresAt: string
}

/** The stable codes of refusals. */
export type RefusalCode =
  | "unauthenticated"
  | "forbidden"
  | "not_found"
  | "invalid"
  | "empty_message"
  | "too_long"
  | "conflict"
  | "rate_limited"
  | "unavailable"
  | "internal"

/** The one shape of a refusal, over a socket and over HTTP. */
export interface Refusal {
  success: false
  error: string
  code: RefusalCode
  retryable: boolean
  retryAfterMs?: number
}

/** The one shape of an answer. */
export type Answer<T> = ({ success: true } & T) | Refusal

/** The answer to `join_user`. */
export interface JoinAnswer {
  user: User
  sessionId: string
  roster: RosterMode
  /** The manual status in force, which another device may have chosen. */
  status?: Chosen
}

/** The answer to a send, over either wire. */
export interface SendAnswer {
  message: Message
  duplicate: boolean
  tempId?: string
}

/** One conversation of the answer to `sync`. */
export interface SyncedConversation {
  entries: Message[]
  headSeq: number
  readSeq: number
  receipts: Receipt[]
  firstSeq: number
  hasMore: boolean
}

/** The answer to `sync`. */
export interface SyncAnswer {
  conversations: Record<string, SyncedConversation | Refusal>
  added: Conversation[]
}

/** A page of history. */
export interface HistoryAnswer {
  data: Message[]
  hasMore: boolean
}

/** A page of a list. */
export interface PageAnswer<T> {
  data: T[]
  nextCursor?: string
}

/** The answer to `register`, `login` and `session`. */
export interface SessionAnswer {
  user: User
  /** For those who cannot use the cookie. */
  token?: string
}

/** How much of the roster a socket asks for. */
export type RosterMode = "full" | "diff" | "watch" | "none"

/** Events the server sends, by name. */
export interface ServerEvents {
  online_users: OnlineUsers
  user_online: Presence
  user_updated: Presence
  user_offline: UserOffline
  presence_changes: PresenceChanges
  new_private_message: Message
  typing: TypingEvent
  receipt: ReceiptEvent
  conversation_updated: Conversation
  token_expired: { graceMs: number }
  error_message: Refusal
}

/** Events a client sends, by name, with what each carries. */
export interface ClientEvents {
  join_user: { userId: string; roster?: RosterMode; name?: string; avatarUrl?: string }
  user_activity: { active: boolean }
  set_status: Chosen
  set_activity: { activity: Activity | null }
  watch_presence: { userIds: string[] }
  unwatch_presence: { userIds: string[] }
  join_conversation: { conversationId: string }
  leave_conversation: { conversationId: string }
  send_private_message: { conversationId: string; content: string; clientMessageId: string }
  typing: { conversationId: string; isTyping: boolean }
  mark_read: { conversationId: string; seq: number }
  sync: { conversations: Record<string, number> }
  authenticate: { token: string }
}
