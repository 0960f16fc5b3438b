/** The public surface of `@lamplight/client`: what an application holds and reads. */
import type { LamplightError, Unauthorized } from "./errors.js"
import type { LamplightOptions, OutboxRecord } from "./options.js"
import type {
  Activity,
  Chosen,
  ChosenStatus,
  Conversation,
  Message,
  PageAnswer,
  Receipt,
  Registration,
  User,
  VisibleStatus,
} from "./wire.js"

/**
 * A piece of state that can be read and watched. It fits `useSyncExternalStore(store.subscribe, store.get,
 * store.getServer)`: the functions need no `this`, and `get` gives the same object until something changed.
 */
export interface Store<T> {
  /** The state now. */
  get(): T
  /** The state to render on a server and to hydrate with: always the initial one. */
  getServer(): T
  /** Calls `listener` after each change until the returned function is called. */
  subscribe(listener: () => void): () => void
}

/**
 * - `idle`: nobody retains the client.
 * - `connecting`: a try is under way.
 * - `catching-up`: the socket is there; what was missed is being fetched.
 * - `connected`: what is shown is what is.
 * - `offline`: no socket; the next try comes at `nextTryAt`. Sending and reading go on over HTTP where that is alive.
 * - `refused`: the server, or `getToken`, said no. There is no next try: sign in, or call `connect()`. With `getToken` or `userId` every
 *   request fails with the same error until then, and no token is asked for.
 * - `closed`: `close()` was called. For good.
 */
export type ConnectionStatus =
  | "idle"
  | "connecting"
  | "catching-up"
  | "connected"
  | "offline"
  | "refused"
  | "closed"

/** The state of the line. */
export interface ConnectionState {
  status: ConnectionStatus
  /** When this status began, in milliseconds since the epoch. */
  since: number
  /**
   * Since when there has been no settled connection, over all tries; null while connected. A page that wants to be silent
   * about short losses compares this with the time.
   */
  downSince: number | null
  /** Whether what is shown may be old: it was connected once and is not now. */
  stale: boolean
  /** When the next try comes, in milliseconds since the epoch; null when none is planned. */
  nextTryAt: number | null
  /** Tries since the last settled connection. */
  attempt: number
  /** Whether HTTP answered while the socket was away, so that sending and reading go on. */
  overHttp: boolean
  /**
   * What went wrong last; null once connected. A mistake in the set-up is found out a moment later, and then `error` has its own sentence,
   * code and fix.
   */
  error: LamplightError | null
}

/** Who is using this client. */
export interface MeState {
  /** `unknown` until the session or token has been looked at. */
  status: "unknown" | "signed-out" | "signed-in"
  user: User | null
  /** The status chosen by hand, as far as this client knows. */
  chosen: Chosen
  /** What this session says the person is doing. */
  activity: Activity | null
  /** Whether anyone may make an account (`AUTH=local`), as far as the session was looked at. */
  registration: Registration
}

/** Somebody, there or not. */
export interface PresenceView {
  userId: string
  /** The profile, where it is known. */
  user: User | null
  /** `unknown` means that the feed is lost or has not said anything yet. */
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
  /** Those who are there, by name. While `unknown` they are still listed, each with the status `unknown`. */
  users: readonly PresenceView[]
  /** How many are online, which may be more than are listed. */
  count: number
  truncated: boolean
}

/** A conversation, and who it is with. */
export interface ConversationInfo extends Conversation {
  /** The other member of a conversation of two; null if it cannot be told. */
  other: User | null
}

/** A conversation in the list. */
export interface ConversationItem extends ConversationInfo {
  /** The unsent text in its composer. */
  draft: string
  /** How many messages wait to be sent. */
  waiting: number
  /** How many messages failed and wait for the person. */
  failed: number
}

/** The list of conversations, newest entry first. */
export interface ConversationsState {
  /** `loading` before the first answer; `error` if there has never been one and the last try failed. */
  status: "loading" | "ready" | "error"
  items: readonly ConversationItem[]
  hasMore: boolean
  loadingMore: boolean
  error: LamplightError | null
}

/** Unread messages. The total is the sum of the rows. */
export interface UnreadState {
  total: number
  byConversation: Readonly<Record<string, number>>
}

/** What an unsent message waits for. */
export type WaitingFor =
  /** It is on its way now. */
  | "server"
  /** A connection, or the next try, which comes at `nextTryAt`. */
  | "connection"
  /** An earlier message of the same conversation that is still on its way. */
  | "earlier"
  /** An earlier message of the same conversation that failed: retry, edit or discard that one. */
  | "earlier-failed"
  /** Signing in again. */
  | "sign-in"

/** A row of a thread. The same message is the same object until it changes. */
export interface MessageRow {
  /** Stays the same while the optimistic row becomes the real message: use it as the key of the row. */
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
  /** While `failed`: why. */
  error: LamplightError | null
}

/** The messages of a conversation. */
export interface MessagesState {
  /** `loading` until something has been fetched: never show "no messages" then, nor while `catchingUp`. */
  status: "loading" | "ready" | "error"
  /**
   * Settled messages in the order of `seq`, without a hole between them, then what is on its way. After `jumpTo` these are the
   * messages around that place: until `hasNewer` is false again, the newest ones and what is on its way are not among them.
   */
  rows: readonly MessageRow[]
  /** True only when it is known that there is nothing. */
  isEmpty: boolean
  /** Whether there are messages before the rows: `loadOlder()` fetches some. */
  hasOlder: boolean
  loadingOlder: boolean
  /** Whether there are messages after the rows, since one has jumped into the past: `loadNewer()` fetches some. */
  hasNewer: boolean
  loadingNewer: boolean
  /** Messages that have just come are known of and being fetched. */
  catchingUp: boolean
  headSeq: number
  /** The reader's own mark. */
  readSeq: number
  error: LamplightError | null
}

/** Who is typing. */
export interface TypingState {
  userIds: readonly string[]
}

/** How far the others got, by user. */
export type ReadersState = Readonly<Record<string, Receipt>>

/** The outcome of putting a message into the outbox. On a refusal `content` goes back into the composer. */
export type SendResult =
  | { ok: true; clientMessageId: string }
  | { ok: false; error: LamplightError; content: string }

/**
 * Whether the server's data went back in time while it was used from here, as a restored backup does. Messages that are newer
 * than the backup are gone then. What was shown is fetched anew, and what has not been sent yet is kept and sent.
 */
export interface RestoredState {
  /** When this was noticed last, in milliseconds since the epoch; null: never. */
  since: number | null
  /** The conversations that are known to have lost something; null: it may be any. */
  conversationIds: readonly string[] | null
  /** Whether the person has been told: `dismissRestored()` was called, or there is nothing to tell. */
  dismissed: boolean
}

/** One conversation. The same id gives the same object. */
export interface ConversationHandle {
  readonly id: string
  readonly messages: Store<MessagesState>
  readonly typing: Store<TypingState>
  readonly draft: Store<string>
  readonly readers: Store<ReadersState>
  /** What the list knows of it; null while it knows nothing. Typing does not change it. */
  readonly item: Store<ConversationInfo | null>
  /**
   * The person is looking at it: loads the newest messages, tells the server, keeps it live and, while the socket is
   * away, fetched over HTTP. Counted; call what it returns when they look away.
   */
  open(): () => void
  /** Fetches an older page. Safe to call twice. */
  loadOlder(): Promise<void>
  /** Fetches a newer page, after a jump into the past. Safe to call twice. */
  loadNewer(): Promise<void>
  /**
   * Shows the messages around a `seq` in place of those that are shown: one request, however far away it is. Resolves when
   * they are in `messages.rows`. What arrives meanwhile does not move them. `loadOlder` and `loadNewer` lead on from there;
   * sending leads back to the newest.
   */
  jumpTo(seq: number): Promise<void>
  /**
   * Whether the person reads above the end of the rows. Then they are left there, however much arrives; else so many new messages that
   * they do not join on take the place of those that are shown.
   */
  stay(isAbove: boolean): void
  /** Shows the newest messages again. */
  jumpToNewest(): Promise<void>
  /** Fetches again after an `error`. */
  reload(): Promise<void>
  /**
   * Puts a message into the outbox. Resolves when it is safely written down and shown, not when it is delivered: watch
   * its row for that. Clears the draft if it still holds the same text.
   */
  send(content: string): Promise<SendResult>
  /** Tells the others; throttled. Call it on each keystroke, and with `false` when the composer is left. */
  setTyping(isTyping: boolean): void
  /** Keeps the composer's text over switches, reloads and tabs. */
  setDraft(text: string): void
  /** Moves the read mark, never back; without a `seq`, to the newest message shown. */
  markRead(seq?: number): void
}

/**
 * A message in the outbox. A prepared one can be edited and discarded without a trace; one that was `dispatched` without
 * an answer may have arrived.
 */
export interface OutboxItem extends OutboxRecord {
  state: "sending" | "failed"
  attempts: number
  waitingFor: WaitingFor | null
  nextTryAt: number | null
  error: LamplightError | null
}

/** What is unsent. */
export interface OutboxState {
  items: readonly OutboxItem[]
  waiting: number
  failed: number
  /** Whether it survives a reload; false where the browser gives no storage. */
  durable: boolean
}

/** The outbox and what can be done to what is in it. */
export interface Outbox extends Store<OutboxState> {
  /** Tries a message again, or, without an id, everything, now. */
  retry(clientMessageId?: string): void
  /**
   * Changes the text of a message that has failed or never left. Refused (`conflict`) if it may have arrived.
   * Puts it back in line.
   */
  edit(clientMessageId: string, content: string): Promise<SendResult>
  /** Forgets a message. Resolves to its text. */
  discard(clientMessageId: string): Promise<string | null>
}

/** One thing that `doctor()` found. */
export interface Finding {
  code: string
  saw: string
  expected: string
  fix: string
}

/** What `doctor()` answers. */
export interface Diagnosis {
  ok: boolean
  findings: Finding[]
  /** What was looked at, in words, for a bug report. Never a token. */
  facts: Record<string, string>
}

/** A client: one person, one socket, their conversations and the people around them. */
export interface Lamplight {
  readonly connection: Store<ConnectionState>
  readonly me: Store<MeState>
  readonly conversations: Store<ConversationsState>
  readonly unread: Store<UnreadState>
  readonly outbox: Outbox
  /** Whether the server's data went back in time. */
  readonly restored: Store<RestoredState>
  /** Everybody who is online. */
  roster(): Store<RosterState>
  /** Chosen people, there or not; they are watched while the store is subscribed to. Same ids, same store. */
  roster(ids: readonly string[]): Store<Readonly<Record<string, PresenceView>>>
  /** One person. */
  presence(userId: string): Store<PresenceView>
  /** One conversation. */
  conversation(id: string): ConversationHandle

  /**
   * Connects while at least one holder retains it; call what it returns to release. The release is delayed, so that an
   * unmount followed by a mount (StrictMode, navigation) keeps the one socket.
   */
  retain(): () => void
  /** Try now: after `refused`, or when waiting for the next try. Does nothing unless retained. */
  connect(): void
  /** Ends it for good. */
  close(): void

  /** Makes an account (`AUTH=local`) and signs in. Throws a `LamplightError`, as all of the following do. */
  register(account: { username: string; password: string; name?: string }): Promise<User>
  /** Signs in (`AUTH=local`). */
  login(account: { username: string; password: string }): Promise<User>
  /** Signs out, here and in the other tabs. */
  logout(): Promise<void>
  /** Ends every session of the account, this one too (`AUTH=local`). */
  logoutEverywhere(): Promise<void>
  /** Replaces the password, which ends every other session (`AUTH=local`). A wrong `current` is `forbidden`. */
  changePassword(passwords: { current: string; next: string }): Promise<void>
  /** Changes the own name or picture; what is left out stays, and `avatarUrl: null` takes the picture away (`AUTH=local`). */
  updateAccount(changes: { name?: string; avatarUrl?: string | null }): Promise<User>
  /** Who the session says is signed in; null if nobody. */
  session(): Promise<User | null>
  /** Looks people up in the directory. */
  users(query?: string, options?: { cursor?: string; signal?: AbortSignal }): Promise<PageAnswer<User>>
  /** Finds or makes the conversation with somebody. */
  openConversation(userId: string): Promise<Conversation>
  /** The next page of the list. */
  loadMoreConversations(): Promise<void>
  /** Fetches the list again. */
  reloadConversations(): Promise<void>
  /** Chooses a status for all of the person's devices. */
  setStatus(status: ChosenStatus, options?: { text?: string; until?: string }): Promise<void>
  /** Says what the person is doing in this session, or that they stopped. */
  setActivity(activity: Activity | null): Promise<void>
  /** The person has been told that the server's data went back in time. */
  dismissRestored(): void
  /**
   * Every message by somebody else as it arrives live, once a tab; for sounds and notifications. Not called for what is
   * fetched. `isLeader` is true in one of the person's tabs only.
   */
  onMessage(listener: (message: Message, isLeader: boolean) => void): () => void
  /** Looks for what is wrong with the set-up, as far as a browser can tell. */
  doctor(): Promise<Diagnosis>
}

export type { LamplightError, LamplightOptions, Unauthorized }
