/** The state that an application reads. */
import type { LamplightError } from "./errors.js"
import type { OutboxFile, OutboxRecord } from "./options.js"
import type {
  Activity,
  Auth,
  Chosen,
  Conversation,
  ConversationFile,
  Member,
  Message,
  Quote,
  Reaction,
  Receipt,
  Registration,
  Role,
  SharedFile,
  User,
  VisibleStatus,
} from "./wire.js"

/**
 * State that can be read and watched. It fits `useSyncExternalStore(store.subscribe, store.get,
 * store.getServer)`: the functions need no `this`, and `get` returns the same object until something changes.
 */
export interface Store<T> {
  /** The present state. */
  get(): T
  /** The state for rendering on a server and for hydration: always the initial one. */
  getServer(): T
  /** Calls `listener` after each change until the returned function is called. */
  subscribe(listener: () => void): () => void
}

/**
 * - `idle`: the client is not retained.
 * - `connecting`: an attempt is under way.
 * - `catching-up`: the socket is connected; missed messages are being fetched.
 * - `connected`: everything shown is up to date.
 * - `offline`: no socket; the next attempt starts at `nextTryAt`. Sending and reading continue over HTTP if that works.
 * - `refused`: the server or `getToken` refused the user. There is no next attempt: sign in, or call `connect()`. With `getToken` or
 *   `userId` every request fails with the same error until then, and `getToken` is not called.
 * - `closed`: `close()` was called. This is final.
 */
export type ConnectionStatus =
  | "idle"
  | "connecting"
  | "catching-up"
  | "connected"
  | "offline"
  | "refused"
  | "closed"

/** The state of the connection. */
export interface ConnectionState {
  status: ConnectionStatus
  /** When this status began, in milliseconds since the epoch. */
  since: number
  /**
   * Since when there has been no complete connection, over all attempts; null while connected. A page that
   * does not show short losses compares this with the time.
   */
  downSince: number | null
  /** Whether the data may be outdated: the client was connected once and is not now. */
  stale: boolean
  /** When the next attempt starts, in milliseconds since the epoch; null if none is planned. */
  nextTryAt: number | null
  /** Attempts since the last complete connection. */
  attempt: number
  /** Whether HTTP answers while the socket is away, so that sending and reading continue. */
  overHttp: boolean
  /**
   * The last error; null once connected. A moment after a mistake in the set-up, `error` is replaced by one
   * with its own message, code and fix.
   */
  error: LamplightError | null
}

/** The user of this client. */
export interface MeState {
  /** `unknown` until the session or the token has been read. */
  status: "unknown" | "signed-out" | "signed-in"
  user: User | null
  /** The status that the user has set, as far as this client knows. */
  chosen: Chosen
  /** What the user is doing in this session. */
  activity: Activity | null
  /** How the server signs users in, once it was asked for the session; null before. */
  auth: Auth | null
  /** Whether anybody may create an account (`AUTH=local`), as far as the session told. */
  registration: Registration
}

/** A person, online or not. */
export interface PresenceView {
  userId: string
  /** The profile, if it is known. */
  user: User | null
  /** `unknown`: the feed is lost, or has not mentioned the person yet. */
  status: VisibleStatus | "offline" | "unknown"
  text: string | null
  lastActiveAt: string | null
  lastSeenAt: string | null
  activities: readonly Activity[]
}

/** Everybody who is online. */
export interface RosterState {
  /** `loading` until the first list; `unknown` when the feed has been lost for 5 s. */
  status: "loading" | "live" | "unknown"
  /**
   * The people who are online, by name. While the roster is `unknown` they stay listed, each with the status
   * `unknown`.
   */
  users: readonly PresenceView[]
  /** How many people are online, which may be more than are listed. */
  count: number
  truncated: boolean
}

/** A conversation and the other person in it, with the user's settings as they will be after what is not sent yet. */
export interface ConversationInfo extends Conversation {
  /** Whether it is muted now: until `mutedUntil`. */
  muted: boolean
  /** The other member of a conversation of two; null in a group. */
  other: User | null
}

/** A conversation in the list. */
export interface ConversationItem extends ConversationInfo {
  /** The unsent text in its composer. */
  draft: string
  /** How many messages wait to be sent. Changes of messages do not count. */
  waiting: number
  /** How many messages failed and need an action of the user. */
  failed: number
}

/** The list of conversations. */
export interface ConversationsState {
  /** `loading` before the first answer; `error` if there has been none and the last attempt failed. */
  status: "loading" | "ready" | "error"
  /** Those that are not archived: first the pinned ones, then the others, each with the newest message first. */
  items: readonly ConversationItem[]
  /** Those that are archived, newest message first, as far as they are loaded. */
  archived: readonly ConversationItem[]
  hasMore: boolean
  loadingMore: boolean
  error: LamplightError | null
}

/** Unread messages. */
export interface UnreadState {
  /** The sum over all conversations that are neither muted nor archived, loaded or not. */
  total: number
  /** Of each conversation that is loaded, muted and archived ones too. */
  byConversation: Readonly<Record<string, number>>
}

/** What an unsent message waits for. */
export type WaitingFor =
  /** The server: the message is being sent. */
  | "server"
  /** A connection, or the next attempt, which starts at `nextTryAt`. */
  | "connection"
  /** An earlier message of the same conversation that is being sent. */
  | "earlier"
  /** An earlier message of the same conversation that failed: retry, edit or discard that one. */
  | "earlier-failed"
  /** Its files, which are being uploaded. */
  | "upload"
  /** A new sign-in. */
  | "sign-in"

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
  /** While `sending`: what it waits for. */
  waitingFor: WaitingFor | null
  /** While waiting: when the next try comes. */
  nextTryAt: number | null
  /** While `failed`: the reason. */
  error: LamplightError | null
  /** When it was edited last; null: never. */
  editedAt: string | null
  /** When it was deleted. Then `content` is empty: say that a message was here. */
  deletedAt: string | null
  pinnedAt: string | null
  reactions: readonly Reaction[]
  /** The message that this one answers. */
  replyTo: Quote | null
  /** The members who are mentioned. */
  mentions: readonly string[]
  /** The files of a stored message. */
  attachments: readonly SharedFile[]
  /** The files of a message that is not stored: `uploads` tells how far each is. */
  files: readonly OutboxFile[]
  /**
   * Changes of this message in the outbox. Those that are `sending` are shown by the row as if they were sent; those that
   * `failed` are not: retry or discard them there.
   */
  writes: readonly OutboxItem[]
}

/** What a change of a group did: one of the sentences that a thread shows for it. */
export type SystemChange =
  /** The group was made, with these besides its maker. */
  | { kind: "created"; userIds: readonly string[] }
  | { kind: "added"; userIds: readonly string[] }
  | { kind: "removed"; userIds: readonly string[] }
  /** The one who made the change left. */
  | { kind: "left" }
  /** Somebody has this role now. */
  | { kind: "role"; userId: string; role: Role }
  /** The group has this name now; null: none. */
  | { kind: "renamed"; name: string | null }
  /** The group has this picture now; null: none. */
  | { kind: "picture"; avatarUrl: string | null }

/** A change of a group in its thread. The same entry is the same object. */
export interface SystemRow {
  key: string
  conversationId: string
  /** Its place among the messages. */
  seq: number
  createdAt: string
  /** Who made the change; null: the host application. */
  senderId: string | null
  /** What it did, in the order in which to tell it. */
  changes: readonly SystemChange[]
}

/** The messages of a conversation. */
export interface MessagesState {
  /** `loading` until something has been loaded. Never show "no messages" then, nor while `catchingUp`. */
  status: "loading" | "ready" | "error"
  /**
   * Stored messages in the order of `seq`, without a hole between them, then unsent ones. After `jumpTo`
   * these are the messages around that place: until `hasNewer` is false again, the newest messages and the
   * unsent ones are not included.
   */
  rows: readonly MessageRow[]
  /** The changes of the group among these rows, in the order of `seq`: put each before the first row with a greater one. */
  systemRows: readonly SystemRow[]
  /** Those whom rows name and who are not among the `members` of the conversation, as far as they are known. */
  users: Readonly<Record<string, User>>
  /** Whether the user was a member and is not any more. There are only rows of unsent messages then, which failed. */
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
  /** Whether the server can change messages, and react to and pin them: servers from before there were kinds cannot. */
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

/** Who is typing. */
export interface TypingState {
  userIds: readonly string[]
}

/** How far the others have received and read, by user. */
export type ReadersState = Readonly<Record<string, Receipt>>

/**
 * The result of putting a message into the outbox. After a refusal `content` belongs back in the composer.
 */
export type SendResult =
  | { ok: true; clientMessageId: string }
  | { ok: false; error: LamplightError; content: string }

/** The result of putting a change of a message into the outbox. */
export type WriteResult = { ok: true } | { ok: false; error: LamplightError }

/** What the user sets for a conversation. What is left out stays as it is. */
export interface SettingsChange {
  /** RFC 3339. A muted conversation makes no sound and does not count in `unread.total`. Null ends the mute. */
  mutedUntil?: string | null
  /** A new message ends it, unless the conversation is muted. */
  archived?: boolean
  pinned?: boolean
}

/** What a message may have besides its text. */
export interface SendOptions {
  /** The message that this one answers, or its id. By its id its excerpt is shown at once only if it is loaded. */
  replyTo?: string | Message | undefined
  /** The ids of the members who are mentioned. */
  mentions?: readonly string[] | undefined
  /**
   * The uploads whose files go with the message, at most 10 of this conversation. They need not be ready: the message waits for them
   * in the outbox. The text may be empty then.
   */
  uploads?: readonly Pick<Upload, "id" | "name" | "type" | "size">[] | undefined
}

/** A file on its way to the server. */
export interface Upload {
  id: string
  conversationId: string
  name: string
  /** A media type, as the file's giver said; empty if unknown. */
  type: string
  /** In bytes. */
  size: number
  /** How many bytes the server has, as far as is known. */
  sent: number
  /**
   * - `waiting`: for another upload, another tab, a connection or the next attempt.
   * - `uploading`: bytes are being sent.
   * - `processing`: all bytes are sent; the server examines the file.
   * - `paused`: until `resume`.
   * - `ready`: the server has it.
   * - `failed`: the server refused it for good, or its bytes are gone; `error` tells why.
   */
  state: "waiting" | "uploading" | "processing" | "paused" | "ready" | "failed"
  error: LamplightError | null
  /** The bytes, for a preview; null in a tab that does not have them. */
  bytes: Blob | null
  /** Whether it continues after a reload; false if there is no storage, or no room in it. */
  durable: boolean
  /** The unsent message that it belongs to; null while it belongs to the composer. */
  clientMessageId: string | null
}

/**
 * The user's uploads, in the order in which they were added, and the actions on them. An upload leaves once its message is sent. A
 * part of the client that loads when it is used first.
 */
export interface Uploads extends Store<readonly Upload[]> {
  /**
   * Begins to upload a file. Resolves when it is stored in the browser, as far as it can be. Rejects with a `LamplightError` if nobody
   * is signed in, or if this part of the client cannot be loaded.
   */
  add(conversationId: string, file: Blob & { name?: string }): Promise<Upload>
  /** Interrupts it; the server keeps what it has for 24 hours. */
  pause(id: string): void
  /** Continues it, or tries again what failed. */
  resume(id: string): void
  /** Ends it, here and on the server. If a message has it, discard that one instead. */
  cancel(id: string): void
  /** Loads this part now, so that files can be chosen without a network later. */
  load(): Promise<void>
}

/**
 * Whether the server's data went back in time while this client used it, for example by a restored backup.
 * Messages that are newer than the backup are lost. The client fetches everything again, and keeps and sends
 * what is unsent.
 */
export interface RestoredState {
  /** When this was last noticed, in milliseconds since the epoch; null: never. */
  since: number | null
  /** The conversations that are known to have lost messages; null: it may be any. */
  conversationIds: readonly string[] | null
  /** Whether the user knows: `dismissRestored()` was called, or nothing happened. */
  dismissed: boolean
}

/** One conversation. The same id gives the same object. */
export interface ConversationHandle {
  readonly id: string
  readonly messages: Store<MessagesState>
  readonly typing: Store<TypingState>
  readonly draft: Store<string>
  readonly readers: Store<ReadersState>
  /** The conversation as the list knows it; null while it does not. Typing does not change it. */
  readonly item: Store<ConversationInfo | null>
  /**
   * Opens the conversation on the screen: loads the newest messages, tells the server, keeps it live and,
   * while the socket is away, reads it over HTTP. Counted; call the returned function when it is not visible
   * any more.
   */
  open(): () => void
  /** Loads an older page. Safe to call twice. */
  loadOlder(): Promise<void>
  /** Loads a newer page, after a jump into the past. Safe to call twice. */
  loadNewer(): Promise<void>
  /**
   * Shows the messages around a `seq`, in one request, however far away it is. Resolves when they are in
   * `messages.rows`. Messages that arrive meanwhile do not move them. `loadOlder` and `loadNewer` continue
   * from there; sending leads back to the newest messages.
   */
  jumpTo(seq: number): Promise<void>
  /**
   * The `seq` of the first entry that is not older than a time, or else of the newest one, for `jumpTo`; 0 if there is none.
   * Throws `LamplightError`.
   */
  seqAt(time: Date | string): Promise<number>
  /**
   * The pinned messages as they are now, wherever they are in the log, oldest first; with `before` only those with a smaller
   * `seq`. Rows that are loaded know better, since they change with the log. Throws `LamplightError`.
   */
  pinned(before?: number): Promise<PinnedPage>
  /**
   * Whether the user reads above the end of the rows, and the `seq` of a message in view then. If so, the rows around it stay, however
   * much arrives; otherwise so many new messages that they leave a hole replace the rows. About 2,000 rows stay in memory: those that
   * are farther away are let go, and `loadOlder` and `loadNewer` load them again. Without a `seq` those stay that were loaded last.
   */
  stay(isAbove: boolean, seq?: number): void
  /** Shows the newest messages again. */
  jumpToNewest(): Promise<void>
  /** Loads again after an `error`. */
  reload(): Promise<void>
  /**
   * Puts a message into the outbox. Resolves when it is stored and shown, not when it is delivered: its row
   * tells that. Clears the draft if it still holds the same text.
   */
  send(content: string, options?: SendOptions): Promise<SendResult>
  /**
   * Changes the text of one of the user's messages. Like the following it is shown at once, is sent in order behind the message,
   * and survives a reload; a refusal takes it back and stays in the outbox as `failed`. `id` is the message's, or the
   * `clientMessageId` of an unsent one.
   */
  edit(id: string, content: string, options?: Pick<SendOptions, "mentions">): Promise<SendResult>
  /** Deletes a message for everyone. An unsent one is not sent. */
  remove(id: string): Promise<WriteResult>
  /** Adds a reaction or takes it back; without `added`, whichever changes something. */
  react(id: string, emoji: string, added?: boolean): Promise<WriteResult>
  /** Pins a message, or unpins it. */
  pin(id: string, pinned?: boolean): Promise<WriteResult>
  /**
   * Tells the others that the user types; throttled. Call it with each keystroke, and with `false` when the
   * user leaves the composer.
   */
  setTyping(isTyping: boolean): void
  /** Saves the composer's text over switches, reloads and tabs. */
  setDraft(text: string): void
  /**
   * Mutes, archives or pins the conversation on all of the user's devices. It is shown at once, sent again until the server has
   * answered, and survives a reload. Resolves with the answer; a refusal takes it back. What sends changes is loaded with the first
   * one: an empty change only does that, for example when a menu opens, so that later ones work without a network.
   */
  setSettings(change: SettingsChange): Promise<WriteResult>
  /** Moves the read mark, never back; without a `seq`, to the newest entry shown. */
  markRead(seq?: number): void
}

/** The members of a conversation. */
export interface MembersState {
  /** `loading` until the first page. */
  status: "loading" | "ready" | "error"
  /** Those who are loaded, in the order of their ids. */
  members: readonly Member[]
  /** How many there are, which may be more than are loaded. */
  count: number
  /** The user's own role; null while it is unknown, and in a conversation of two. */
  role: Role | null
  hasMore: boolean
  loadingMore: boolean
  error: LamplightError | null
}

/**
 * The members of a conversation, kept true while the store has a subscriber, and the changes of them. A change that had no answer is
 * repeated under the same id; then it throws `LamplightError`.
 */
export interface Members extends Store<MembersState> {
  /** Loads the next page. Safe to call twice. */
  loadMore(): Promise<void>
  /** Loads again after an `error`. */
  reload(): Promise<void>
  /** Adds people to the group, as one of its admins. */
  add(userIds: readonly string[]): Promise<void>
  /** Removes a member, as one of the admins. */
  remove(userId: string): Promise<void>
  /** Gives a member another role, as one of the owners. */
  setRole(userId: string, role: Role): Promise<void>
  /** Leaves the group. The last owner hands over to the admin, or else the member, who has been there longest. */
  leave(): Promise<void>
}

/** The files of a conversation's messages. */
export interface ConversationFilesState {
  /** `loading` until the first page. */
  status: "loading" | "ready" | "error"
  /** Those that are loaded: the newest message first, and the files of a message in its order. */
  files: readonly ConversationFile[]
  /** Senders whom the conversation's list of members does not show, by id. */
  users: Readonly<Record<string, User>>
  hasMore: boolean
  loadingMore: boolean
  /** Of the last page that was asked for, the first or a further one. */
  error: LamplightError | null
}

/**
 * The files of a conversation's messages, kept true while the store has a subscriber: new ones appear, and those of deleted messages
 * disappear.
 */
export interface ConversationFiles extends Store<ConversationFilesState> {
  /** Loads the next page. Safe to call twice. */
  loadMore(): Promise<void>
  /** Loads again after an `error`. */
  reload(): Promise<void>
}

/** Those whom the user has blocked. */
export interface BlocksState {
  /** `loading` until the list is complete. */
  status: "loading" | "ready" | "error"
  /** By name. */
  users: readonly User[]
  error: LamplightError | null
}

/** Those whom the user has blocked, loaded with the first subscriber, and the way to block. Other people never learn of it. */
export interface Blocks extends Store<BlocksState> {
  /** Neither can write to the other in their conversation from then on, nor start a new one. Safe to repeat. */
  block(userId: string): Promise<void>
  /** Safe to repeat. */
  unblock(userId: string): Promise<void>
  /** Loads the list again, for example after an `error`. */
  reload(): Promise<void>
}

/**
 * A message in the outbox or, with `write`, a change of a message. One that is not `dispatched` can be edited and discarded without a trace; one that
 * was dispatched without an answer may have arrived.
 */
export interface OutboxItem extends OutboxRecord {
  state: "sending" | "failed"
  attempts: number
  waitingFor: WaitingFor | null
  nextTryAt: number | null
  error: LamplightError | null
}

/** The unsent messages and changes of messages. */
export interface OutboxState {
  items: readonly OutboxItem[]
  waiting: number
  failed: number
  /** Whether they survive a reload; false if the browser offers no storage. */
  durable: boolean
}

/** The unsent messages and the actions on them. */
export interface Outbox extends Store<OutboxState> {
  /** Sends a message again now; without an id, all of them. */
  retry(clientMessageId?: string): void
  /**
   * Changes the text of a message, or of an edit, that failed or was never sent, and queues it again. Refused
   * with `conflict` if it may have arrived.
   */
  edit(clientMessageId: string, content: string): Promise<SendResult>
  /** Takes a message, or a change of one, out. Resolves to its text. */
  discard(clientMessageId: string): Promise<string | null>
}
