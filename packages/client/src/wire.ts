/**
 * The data on the wire: the shapes generated from the server's types, under this package's names, and the
 * answers and tables of events made of them.
 */
import type {
  AddMembers,
  Authenticate,
  ChosenStatus as Chosen,
  ConversationFile,
  ConversationRef,
  FileProgress,
  JoinUser,
  MarkRead,
  Member,
  OnlineUsers,
  OpenConversation,
  Presence,
  PresenceChanges,
  Receipt as ReceiptEvent,
  Refusal,
  RemoveMember,
  SendMessage as SendText,
  Conversation as SentConversation,
  DetailsEntry as SentDetailsEntry,
  MembersEntry as SentMembersEntry,
  Message as SentMessage,
  SetActivity,
  SetConversationSettings,
  SetMemberRole,
  SetStatus,
  SyncBody,
  SyncPage,
  TypingBody,
  Typing as TypingEvent,
  UpdateGroup,
  User,
  UserActivity,
  UserOffline,
  UserRef,
  WatchPresence,
} from "./generated/wire.js"

export type {
  AccountSettings,
  Activity,
  ChosenStatus as Chosen,
  ConversationFile,
  FileProgress,
  Marks as Receipt,
  Member,
  OnlineUsers,
  Presence,
  PresenceChange,
  PresenceChanges,
  Receipt as ReceiptEvent,
  Refusal,
  RefusalCode,
  SharedFile,
  Typing as TypingEvent,
  User,
  UserOffline,
  WatchedOffline as Absence,
} from "./generated/wire.js"

/** The reactions to a message with one emoji. */
export interface Reaction {
  emoji: string
  count: number
  /** Whether the user is among those who reacted. */
  mine: boolean
  /** The ids of the first 20 users who reacted, in the order of their reactions. */
  userIds: string[]
}

/** The message that another one answers. */
export interface Quote {
  id: string
  seq: number
  senderId: string
  /** The beginning of its text; empty once it is deleted. */
  excerpt: string
}

/** A message as it is now. */
export interface Message extends SentMessage {
  editedAt?: string
  /**
   * When it was deleted. A deleted message has an empty `content`, and no edits, reactions, pin or
   * files.
   */
  deletedAt?: string
  pinnedAt?: string
  reactions?: Reaction[]
  replyTo?: Quote
  /** The members who are mentioned. */
  mentions?: string[]
}

/** A message that a search found. */
export interface SearchHit {
  /** The message as it is now. */
  message: Message
  /** The parts of its `content` that match, in order: the first code unit (UTF-16) and the one after the last. */
  highlights: [start: number, end: number][]
}

/** The fields of every entry in a conversation's log. */
export interface EntryBase {
  id: string
  conversationId: string
  seq: number
  /** Null if the host application wrote it. */
  senderId: string | null
  createdAt: string
  clientMessageId?: string
}

/** An entry that changes an earlier message. */
export interface MessageChange extends EntryBase {
  messageId: string
  messageSeq: number
}

export interface EditEntry extends MessageChange {
  kind: "edit"
  /** Empty once the message is deleted. */
  content: string
  mentions?: string[]
}

export interface DeleteEntry extends MessageChange {
  kind: "delete"
  content?: undefined
}

export interface ReactionEntry extends MessageChange {
  kind: "reaction"
  content?: undefined
  emoji: string
  /** Whether the reaction is added or taken back. */
  added: boolean
}

export interface PinEntry extends MessageChange {
  kind: "pin"
  content?: undefined
  pinned: boolean
}

/**
 * An entry whose `kind` this client does not know, or that this user may not see (`hidden`). It keeps its place in the log and
 * shows nothing.
 */
export interface OtherEntry extends EntryBase {
  kind: string
  content?: undefined
}

/** An entry that changes what a message shows. */
export type ChangeEntry = EditEntry | DeleteEntry | ReactionEntry | PinEntry

/** Members join a group, leave it, or get other roles. */
export interface MembersEntry extends SentMembersEntry {
  content?: undefined
}

/** The name or picture of a group changes. */
export interface DetailsEntry extends SentDetailsEntry {
  content?: undefined
}

/** An entry that changes the members, name or picture of a group. */
export type GroupEntry = MembersEntry | DetailsEntry

/**
 * The role of a group member. Owners may do everything, admins everything except actions on owners, members may write
 * and leave.
 */
export type Role = Member["role"]

/** An entry of a conversation's log. Servers from before there were kinds send messages without one. */
export type LogEntry = Message | ChangeEntry | GroupEntry | OtherEntry

/** A conversation as its receiver sees it. */
export interface Conversation
  extends Omit<SentConversation, "lastMessage" | "kind" | "mutedUntil" | "archived" | "pinned"> {
  /** The user's settings. */
  mutedUntil?: string | undefined
  archived?: boolean | undefined
  pinned?: boolean | undefined
  /** Servers from before there were groups send none. */
  kind?: SentConversation["kind"]
  /** The newest message that is not deleted. */
  lastMessage: Message | null
}

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

/** The answer to a write, over socket and HTTP. */
export interface WriteAnswer {
  /** The entry that was appended or, if nothing changed, the one that made the state. */
  entry: LogEntry
  duplicate: boolean
}

/** The answer to a change of a group. `entry` is null if nothing changed, and no entry made the state. */
export interface GroupAnswer {
  entry: GroupEntry | null
  duplicate: boolean
}

/** The answer to a send. Servers from before there were kinds send no `entry`. */
export interface SendAnswer extends Omit<WriteAnswer, "entry"> {
  message: Message
  entry?: LogEntry
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
  /**
   * The part of the log that the page covers: its messages are all that there are from `fromSeq` to `toSeq`. Servers from before
   * there were kinds send neither, and entries of all kinds.
   */
  fromSeq?: number
  toSeq?: number
  /** The `seq` of the entry as of which the messages are shown. */
  asOfSeq?: number
  /** Senders who are not among the `members` of the conversation. */
  users?: User[]
}

/** The kind of a file: picture or video, audio, or anything else. */
export type FileKind = "media" | "audio" | "document"

/** A part of the files of a conversation. */
export interface FilesAnswer extends PageAnswer<ConversationFile> {
  /** Senders who are not in the list of members. */
  users: User[]
  /** The `seq` of the entry as of which the list is complete. */
  asOfSeq: number
}

/** A page of a list. */
export interface PageAnswer<T> extends OfStore {
  data: T[]
  nextCursor?: string
}

/** A page of the list of conversations. */
export interface ListAnswer extends PageAnswer<Conversation> {
  /**
   * The unread messages in all conversations that are neither muted nor archived. Older servers do not
   * send it.
   */
  totalUnread?: number
}

/**
 * How the server authenticates users: with its own accounts, with tokens of an application, or not at
 * all.
 */
export type Auth = "local" | "jwt" | "open"

/** The answer to `GET /api/auth`. */
export interface AuthAnswer {
  auth: Auth
  /** With `local` only. */
  registration?: Registration
  /** Null without a session, and if the server has no accounts. */
  user: User | null
}

/** The answer to `register`, `login` and `session`. */
export interface SessionAnswer {
  user: User
  registration?: Registration
  /** For clients that cannot use the cookie. */
  token?: string
}

/** Whether anyone may create an account (`AUTH=local`). */
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
  file_progress: FileProgress
  conversation_updated: Conversation
  token_expired: { graceMs: number }
  /** The node is leaving and closes the connection. */
  reconnect: { afterMs: number }
  error_message: Refusal
}

/** `send_private_message`, and `POST /api/privatechat/message`. */
export interface SendMessage extends SendText {
  /** The id of the message that this one answers. */
  replyTo?: string
  mentions?: string[]
  /** The ids of uploaded files. */
  attachments?: string[]
}

/** The fields of all events that change a message. */
export interface WriteRef {
  conversationId: string
  messageId: string
  clientMessageId: string
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
  edit_message: WriteRef & { content: string; mentions?: string[] }
  delete_message: WriteRef
  react: WriteRef & { emoji: string; added: boolean }
  pin_message: WriteRef & { pinned: boolean }
  typing: TypingBody
  mark_read: MarkRead
  set_conversation_settings: SetConversationSettings
  open_conversation: OpenConversation
  update_group: ConversationRef & UpdateGroup
  add_members: ConversationRef & AddMembers
  remove_member: ConversationRef & RemoveMember
  set_member_role: ConversationRef & SetMemberRole
  block_user: UserRef
  unblock_user: UserRef
  sync: SyncBody
  authenticate: Authenticate
}
