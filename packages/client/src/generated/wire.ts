// Made by `make generate` from crates/wire. Do not edit.

/** A stable code a program can act on. */
export type RefusalCode = "unauthenticated" | "forbidden" | "not_found" | "invalid" | "empty_message" | "too_long" | "conflict" | "rate_limited" | "unavailable" | "internal";

/**
 * A person.
 */
export type User = { 
/**
 * Their id.
 */
id: string, 
/**
 * Their display name.
 */
name: string, 
/**
 * Where their picture is, if there is one.
 */
avatarUrl: string | null, };

/**
 * What a person is doing.
 */
export type Activity = { 
/**
 * `in_call`, `sharing_file`, or a word of the application's.
 */
kind: string, 
/**
 * A line about it.
 */
label?: string, 
/**
 * Where.
 */
conversationId?: string, };

/**
 * Someone who is in.
 */
export type Presence = { 
/**
 * Who.
 */
userId: string, 
/**
 * Their profile.
 */
user: User, 
/**
 * How they are shown.
 */
status: "online" | "away" | "busy", 
/**
 * Their own line.
 */
text?: string, 
/**
 * When they were last active on any device.
 */
lastActiveAt: string, 
/**
 * What they are doing.
 */
activities?: Array<Activity>, 
/**
 * Grows with every change of this user.
 */
version: number, };

/**
 * `user_offline`.
 */
export type UserOffline = { 
/**
 * Who.
 */
userId: string, 
/**
 * When they were last seen.
 */
lastSeenAt: string | null, 
/**
 * Why.
 */
reason: "closed" | "timeout" | "node_lost" | "signed_out", 
/**
 * Newer than any version before.
 */
version: number, };

/**
 * One of `presence_changes`.
 */
export type PresenceChange = { "type": "online" } & Presence | { "type": "updated" } & Presence | { "type": "offline" } & UserOffline;

/**
 * `presence_changes`.
 */
export type PresenceChanges = { 
/**
 * In the order in which they happened.
 */
changes: Array<PresenceChange>, 
/**
 * The version of the newest change of the roster.
 */
version: number, 
/**
 * How many are in, where the list is shorter than that.
 */
count?: number, };

/**
 * `online_users`.
 */
export type OnlineUsers = { 
/**
 * Those in the list, in the order in which they came.
 */
users: Array<Presence>, 
/**
 * How many are in.
 */
count: number, 
/**
 * Whether the list is shorter than that.
 */
truncated: boolean, 
/**
 * The version of the newest change that the list holds.
 */
version: number, };

/**
 * Someone watched who is out.
 */
export type WatchedOffline = { 
/**
 * Who.
 */
userId: string, 
/**
 * Always `offline`.
 */
status: "offline", 
/**
 * When they were last seen.
 */
lastSeenAt: string | null, 
/**
 * The version that this holds at.
 */
version: number, };

/**
 * How someone watched is shown now.
 */
export type WatchedState = Presence | WatchedOffline;

/**
 * An entry of a log that is a message.
 */
export type Message = { 
/**
 * Unique over all conversations.
 */
id: string, 
/**
 * Always `message`.
 */
kind: "message", 
/**
 * The log it is in.
 */
conversationId: string, 
/**
 * Its place in the log.
 */
seq: number, 
/**
 * Who said it.
 */
senderId: string, 
/**
 * What was said.
 */
content: string, 
/**
 * The sender's own id for it.
 */
clientMessageId?: string, 
/**
 * When the server took it.
 */
createdAt: string, };

/**
 * An entry that takes a place in the log and shows nothing.
 */
export type Hidden = { 
/**
 * Unique over all conversations.
 */
id: string, 
/**
 * Always `hidden`.
 */
kind: "hidden", 
/**
 * The log it is in.
 */
conversationId: string, 
/**
 * Its place in the log.
 */
seq: number, 
/**
 * Who made it.
 */
senderId: string, 
/**
 * When the server accepted it.
 */
createdAt: string, };

/**
 * An entry of a log. A client that meets a `kind` that it does not know moves its position past
 * the entry and shows nothing.
 */
export type Entry = Message | Hidden;

/**
 * A conversation as its receiver sees it.
 */
export type Conversation = { 
/**
 * Its id.
 */
id: string, 
/**
 * Everyone in it.
 */
members: Array<User>, 
/**
 * The newest message.
 */
lastMessage: Message | null, 
/**
 * Messages by others past the read mark.
 */
unread: number, 
/**
 * The `seq` of the newest entry.
 */
headSeq: number, 
/**
 * The read mark.
 */
readSeq: number, 
/**
 * When it was made.
 */
createdAt: string, };

/**
 * How far someone has got, in a conversation that is named around it.
 */
export type Marks = { 
/**
 * Whose marks.
 */
userId: string, 
/**
 * Written to one socket of theirs, or fetched. Read implies delivered.
 */
deliveredSeq: number, 
/**
 * Read.
 */
readSeq: number, };

/**
 * `receipt`.
 */
export type Receipt = { 
/**
 * Where.
 */
conversationId: string, 
/**
 * Whose marks.
 */
userId: string, 
/**
 * Written to one socket of theirs, or fetched. Read implies delivered.
 */
deliveredSeq: number, 
/**
 * Read.
 */
readSeq: number, };

/**
 * `typing`.
 */
export type Typing = { 
/**
 * Where.
 */
conversationId: string, 
/**
 * Who.
 */
userId: string, 
/**
 * Began, or stopped.
 */
isTyping: boolean, 
/**
 * When it is over if nothing more is heard.
 */
expiresAt: string, };

/**
 * A manual status.
 */
export type ChosenStatus = { 
/**
 * The status.
 */
status: "online" | "away" | "busy" | "invisible", 
/**
 * The person's own line.
 */
text?: string, 
/**
 * When it is over.
 */
until?: string, };

/**
 * What is told to someone whose request was not done.
 */
export type Refusal = { 
/**
 * Always `false`.
 */
success: false, 
/**
 * A sentence a person can read.
 */
error: string, 
/**
 * A stable code.
 */
code: RefusalCode, 
/**
 * Whether the same request can succeed later.
 */
retryable: boolean, 
/**
 * How long to wait, where waiting helps.
 */
retryAfterMs?: number, };

/**
 * What `sync` answers for one conversation.
 */
export type SyncPage = { 
/**
 * The entries after what the client has, oldest first; with `reset` the newest ones.
 */
entries: Array<Message>, 
/**
 * The client's entry is not in this log, since the store went back in time: drop what is held
 * of it.
 */
reset?: boolean, 
/**
 * The newest `seq`.
 */
headSeq: number, 
/**
 * The read mark.
 */
readSeq: number, 
/**
 * How far everyone has got.
 */
receipts: Array<Marks>, 
/**
 * The oldest `seq` still kept.
 */
firstSeq: number, 
/**
 * There are more after these.
 */
hasMore: boolean, };

/**
 * `join_user`, where it is an object.
 */
export type JoinUser = { 
/**
 * The user. May be left out where a token or a cookie says it.
 */
userId?: string | number, 
/**
 * The roster mode.
 */
roster?: "full" | "diff" | "watch" | "none", 
/**
 * For `AUTH=open`.
 */
name?: string, 
/**
 * For `AUTH=open`.
 */
avatarUrl?: string, };

/**
 * `user_activity`, where it has a payload.
 */
export type UserActivity = { 
/**
 * `false` says that the person is idle.
 */
active?: boolean, };

/**
 * `set_status`.
 */
export type SetStatus = { 
/**
 * The manual status.
 */
status: "online" | "away" | "busy" | "invisible", 
/**
 * A line of the person's own.
 */
text?: string, 
/**
 * RFC 3339: when it is over.
 */
until?: string, };

/**
 * An activity, as a client tells it.
 */
export type ActivityBody = { 
/**
 * What.
 */
kind: string, 
/**
 * A line about it.
 */
label?: string, 
/**
 * Where.
 */
conversationId?: string | number, };

/**
 * `set_activity`. The field must be there, if only as `null`.
 */
export type SetActivity = { 
/**
 * What, or `null` for nothing.
 */
activity: ActivityBody | null, };

/**
 * `watch_presence` and `unwatch_presence`.
 */
export type WatchPresence = { 
/**
 * Whom.
 */
userIds: Array<string | number>, };

/**
 * `join_conversation` and `leave_conversation`, where it is an object.
 */
export type ConversationRef = { 
/**
 * Which.
 */
conversationId: string | number, };

/**
 * `send_private_message`, and `POST /api/privatechat/message`.
 */
export type SendMessage = { 
/**
 * Where.
 */
conversationId: string | number, 
/**
 * What: up to 8,000 characters, kept as typed.
 */
content: string, 
/**
 * Makes the send repeatable: a UUID by preference.
 */
clientMessageId?: string | number, 
/**
 * As the original pages send it.
 */
tempId?: string | number, };

/**
 * `typing`.
 */
export type TypingBody = { 
/**
 * Where.
 */
conversationId: string | number, 
/**
 * Began, or stopped.
 */
isTyping: boolean, };

/**
 * `mark_read`.
 */
export type MarkRead = { 
/**
 * Where.
 */
conversationId: string | number, 
/**
 * To where.
 */
seq: number, };

/**
 * `sync`.
 */
export type SyncBody = { 
/**
 * The newest entry that the client has of each conversation: its `seq`, or better its `seq`
 * and `id`.
 */
conversations: Record<string, number | { seq: number, id?: string }>, };

/**
 * `authenticate`.
 */
export type Authenticate = { 
/**
 * A fresh token for the same user.
 */
token: string, };
