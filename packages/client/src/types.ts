/** The types of the state that an application reads. */
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
  /** The current state. */
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
  /** The user's activity in this session. */
  activity: Activity | null
  /** How the server authenticates users; null until the session has been loaded. */
  auth: Auth | null
  /** Whether anyone may create an account (`AUTH=local`); `open` until the server has answered. */
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

/** A conversation and the other person in it. Settings include changes that are not sent yet. */
export interface ConversationInfo extends Conversation {
  /** Whether it is muted now. */
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
  /** How many messages failed: the user has to retry, edit or discard them. */
  failed: number
}

/** The list of conversations. */
export interface ConversationsState {
  /** `loading` before the first answer; `error` if there has been none and the last attempt failed. */
  status: "loading" | "ready" | "error"
  /**
   * The conversations that are not archived: pinned ones first, then the others, each group sorted by its newest
   * message.
   */
  items: readonly ConversationItem[]
  /** The archived conversations that are loaded, sorted by newest message. */
  archived: readonly ConversationItem[]
  hasMore: boolean
  loadingMore: boolean
  error: LamplightError | null
}

/** Unread messages. */
export interface UnreadState {
  /** The sum over all conversations that are neither muted nor archived, loaded or not. */
  total: number
  /** The unread messages of each loaded conversation, including muted and archived ones. */
  byConversation: Readonly<Record<string, number>>
}

/** The reason why an unsent message waits. */
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

/** Who is typing. */
export interface TypingState {
  userIds: readonly string[]
}

/** The delivered and read marks of the other members, by user id. */
export type ReadersState = Readonly<Record<string, Receipt>>

/**
 * The result of putting a message into the outbox. After an error, put `content` back into the composer.
 */
export type SendResult =
  | { ok: true; clientMessageId: string }
  | { ok: false; error: LamplightError; content: string }

/** The result of putting a change of a message into the outbox. */
export type WriteResult = { ok: true } | { ok: false; error: LamplightError }

/** Changes of the user's settings of a conversation. Omitted fields stay unchanged. */
export interface SettingsChange {
  /** RFC 3339. A muted conversation makes no sound and does not count in `unread.total`. Null ends the mute. */
  mutedUntil?: string | null
  /** A new message unarchives the conversation, unless it is muted. */
  archived?: boolean
  pinned?: boolean
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

/** A file on its way to the server. */
export interface Upload {
  id: string
  conversationId: string
  name: string
  /** The media type that the browser reported; empty if unknown. */
  type: string
  /** In bytes. */
  size: number
  /** How many bytes the server is known to have. */
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
  /** The unsent message that it belongs to; null while no message has it. */
  clientMessageId: string | null
}

/**
 * The user's uploads, in the order in which they were added, and the actions on them. An upload is removed once its
 * message is sent. This part of the client is loaded on first use.
 */
export interface Uploads extends Store<readonly Upload[]> {
  /**
   * Starts to upload a file. Resolves when the browser has stored it, or cannot store it (`durable` is false). Rejects
   * with a `LamplightError` if no user is signed in or this part of the client cannot be loaded.
   */
  add(conversationId: string, file: Blob & { name?: string }): Promise<Upload>
  /** Pauses the upload. The server keeps the received bytes for 24 hours. */
  pause(id: string): void
  /** Continues a paused upload, or retries a failed one. */
  resume(id: string): void
  /**
   * Cancels the upload, here and on the server. If a message has it, discard the message instead.
   */
  cancel(id: string): void
  /** Loads this part of the client now, so that files can be added later without a network. */
  load(): Promise<void>
}

/**
 * Whether the server lost data while this client was running, for example because a backup was restored.
 * Messages newer than the backup are lost. The client fetches everything again; it keeps and sends unsent
 * messages.
 */
export interface RestoredState {
  /** When the client last noticed a loss, in milliseconds since the epoch; null if never. */
  since: number | null
  /**
   * The conversations that are known to have lost messages; null if every conversation may have.
   */
  conversationIds: readonly string[] | null
  /** Whether the notice is dismissed: `dismissRestored()` was called, or there was no loss. */
  dismissed: boolean
}

/** One conversation. The same id returns the same object. */
export interface ConversationHandle {
  readonly id: string
  readonly messages: Store<MessagesState>
  readonly typing: Store<TypingState>
  readonly draft: Store<string>
  readonly readers: Store<ReadersState>
  /** The conversation's item in the list; null if it is not loaded. Typing does not change it. */
  readonly item: Store<ConversationInfo | null>
  /**
   * Opens the conversation: loads the newest messages, joins it on the server, and keeps it up to date, over
   * HTTP while there is no socket. Calls are counted; call the returned function when the conversation is no
   * longer visible.
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
   * Reports where the user reads. With `isAbove`, the user has scrolled up: the rows around `seq`, a message in view,
   * stay even if many messages arrive (without `seq`, the rows that were loaded last). Otherwise new messages may
   * replace the rows if they would leave a gap. The client holds about 2,000 rows; `loadOlder` and `loadNewer` load
   * dropped ones again.
   */
  stay(isAbove: boolean, seq?: number): void
  /** Shows the newest messages again. */
  jumpToNewest(): Promise<void>
  /** Loads again after an `error`. */
  reload(): Promise<void>
  /**
   * Puts a message into the outbox. Resolves when the message is stored and shown; the `state` of its row
   * shows when it is sent. Clears the draft if it still has the same text.
   */
  send(content: string, options?: SendOptions): Promise<SendResult>
  /**
   * Changes the text of one of the user's messages. This and the following changes are shown at once, sent in order
   * after the message, and survive a reload. A refused change is undone and stays in the outbox as `failed`. `id` is
   * the message's id, or the `clientMessageId` of an unsent message.
   */
  edit(id: string, content: string, options?: Pick<SendOptions, "mentions">): Promise<SendResult>
  /** Deletes a message for everyone. An unsent one is not sent. */
  remove(id: string): Promise<WriteResult>
  /** Adds or removes a reaction; without `added`, toggles it. */
  react(id: string, emoji: string, added?: boolean): Promise<WriteResult>
  /** Pins a message, or unpins it. */
  pin(id: string, pinned?: boolean): Promise<WriteResult>
  /**
   * Sends a typing event, throttled. Call it with each keystroke, and with `false` when the user leaves the
   * composer.
   */
  setTyping(isTyping: boolean): void
  /**
   * Saves the composer's text; it survives switching conversations and reloads, and is shared
   * between tabs.
   */
  setDraft(text: string): void
  /**
   * Mutes, archives or pins the conversation on all of the user's devices. The change is shown at once, repeated until
   * the server has answered, and survives a reload. Resolves with the answer; a refusal undoes the change. The code
   * that sends changes is loaded with the first one: pass an empty change to load it early, for example when a menu
   * opens, so that later changes work offline.
   */
  setSettings(change: SettingsChange): Promise<WriteResult>
  /** Moves the read mark, never back; without a `seq`, to the newest entry shown. */
  markRead(seq?: number): void
}

/** The members of a conversation. */
export interface MembersState {
  /** `loading` until the first page. */
  status: "loading" | "ready" | "error"
  /** The loaded members, in the order of their ids. */
  members: readonly Member[]
  /** The number of members, which may exceed the loaded ones. */
  count: number
  /** The user's own role; null while it is unknown, and in a conversation with one other person. */
  role: Role | null
  hasMore: boolean
  loadingMore: boolean
  error: LamplightError | null
}

/**
 * The members of a conversation, up to date while the store has a subscriber, and the actions on them. A change without
 * an answer is repeated under the same id before it throws a `LamplightError`.
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
  /** The loaded files: those of the newest message first, and those of one message in its order. */
  files: readonly ConversationFile[]
  /** Senders who are not in the conversation's `members`, by id. */
  users: Readonly<Record<string, User>>
  hasMore: boolean
  loadingMore: boolean
  /** The error of the last requested page; null if it was loaded. */
  error: LamplightError | null
}

/**
 * The files of a conversation's messages. While the store has a subscriber, new files appear, and files of deleted
 * messages disappear.
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
  /** Sorted by name. */
  users: readonly User[]
  error: LamplightError | null
}

/**
 * The users whom the user has blocked, loaded with the first subscriber, and the actions to block and unblock. Blocked
 * users are not notified.
 */
export interface Blocks extends Store<BlocksState> {
  /**
   * Blocks a user: neither of the two can send to the other or start a conversation with the other. Idempotent.
   */
  block(userId: string): Promise<void>
  /** Unblocks a user. Idempotent. */
  unblock(userId: string): Promise<void>
  /** Loads the list again, for example after an `error`. */
  reload(): Promise<void>
}

/**
 * A message in the outbox or, with `write`, a change of a message. An item that is not `dispatched` can be edited and
 * discarded safely; a dispatched item without an answer may have reached the server.
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
  /** Whether the items survive a reload; false if the browser has no storage. */
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
  /** Removes a message, or a change of one, from the outbox. Resolves to its text. */
  discard(clientMessageId: string): Promise<string | null>
}
