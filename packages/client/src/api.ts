/** The client as the application holds it. */
import type {
  Blocks,
  ConnectionState,
  ConversationFiles,
  ConversationHandle,
  ConversationsState,
  Members,
  MeState,
  Outbox,
  PresenceView,
  RestoredState,
  RosterState,
  Store,
  UnreadState,
  Uploads,
} from "./types.js"
import type {
  AccountSettings,
  Activity,
  ChosenStatus,
  Conversation,
  FileKind,
  FileProgress,
  Message,
  PageAnswer,
  SearchHit,
  SharedFile,
  User,
} from "./wire.js"

/** What narrows a search of messages, and where it continues. */
export interface SearchOptions {
  /** Only in this conversation. */
  conversationId?: string | undefined
  /** Only from this user. */
  senderId?: string | undefined
  /** Only what was sent before this time. */
  before?: Date | string | undefined
  /** Only what was sent after this time. */
  after?: Date | string | undefined
  /** The `nextCursor` of the page before. */
  cursor?: string | undefined
  /** 1 to 50; 20 by default. */
  limit?: number | undefined
  /** Gives the search up: it rejects with the code `aborted`. */
  signal?: AbortSignal | undefined
}

/** Messages that a search found, newest first. */
export interface SearchPage {
  hits: SearchHit[]
  /** For the next page; null: there are no more. */
  nextCursor: string | null
}

/** A group that is to be made. */
export interface NewGroup {
  /** Everybody but the user, who becomes its owner. */
  memberIds: readonly string[]
  name?: string | undefined
  avatarUrl?: string | undefined
  /** What those see who are added later: what follows (`joined`, the default), or all of it. */
  history?: "joined" | "all" | undefined
  /**
   * The application's own id for it: a group is made once under it, however often this is called. Give the same one when you try
   * again after an error; by default each call has a new one.
   */
  clientConversationId?: string | undefined
}

/** A problem that `doctor()` found. */
export interface Finding {
  code: string
  saw: string
  expected: string
  fix: string
}

/** The result of `doctor()`. */
export interface Diagnosis {
  ok: boolean
  findings: Finding[]
  /** What was checked, in words, for a bug report. Never a token. */
  facts: Record<string, string>
}

/** A client: one user, one socket, the user's conversations and the people online. */
export interface Lamplight {
  readonly connection: Store<ConnectionState>
  readonly me: Store<MeState>
  readonly conversations: Store<ConversationsState>
  readonly unread: Store<UnreadState>
  readonly outbox: Outbox
  /** Those whom the user has blocked. */
  readonly blocks: Blocks
  /** Files on their way to the server. */
  readonly uploads: Uploads
  /** The files that others are uploading now, in all conversations, and for a moment after the end of each. */
  readonly sharing: Store<readonly FileProgress[]>
  /** Whether the server's data went back in time. */
  readonly restored: Store<RestoredState>
  /** Everybody who is online. */
  roster(): Store<RosterState>
  /**
   * Chosen people, online or not. They are watched while the store has a subscriber. The same ids give the
   * same store.
   */
  roster(ids: readonly string[]): Store<Readonly<Record<string, PresenceView>>>
  /** One person. */
  presence(userId: string): Store<PresenceView>
  /**
   * Where a browser gets a file, or its thumbnail, for `<img>`, `<video>` and links; null until that is known, and where the user may not
   * have it. With a token or a `userId` this is a signed address, which is fetched while the store has a subscriber, and again before
   * it ends. Each call makes a store; what it fetches is shared.
   */
  fileUrl(file: SharedFile, which?: "file" | "thumbnail"): Store<string | null>
  /**
   * Fetches other signed addresses of a file, after the server refused one: call it from `onerror`. At most once a minute for a file,
   * and without effect where addresses are not signed.
   */
  renewFileUrl(fileId: string): void
  /** One conversation. */
  conversation(id: string): ConversationHandle

  /**
   * Connects while it is retained at least once; call the returned function to release. The release is
   * delayed, so that an unmount followed by a mount (StrictMode, navigation) keeps the socket.
   */
  retain(): () => void
  /**
   * Starts an attempt now: after `refused`, or while waiting for the next one. Does nothing unless retained.
   */
  connect(): void
  /** Closes the client for good. */
  close(): void

  /** Creates an account (`AUTH=local`) and signs in. Like all of the following, throws `LamplightError`. */
  register(account: { username: string; password: string; name?: string }): Promise<User>
  /** Signs in (`AUTH=local`). */
  login(account: { username: string; password: string }): Promise<User>
  /** Signs out, here and in the other tabs. */
  logout(): Promise<void>
  /** Ends every session of the account, this one too (`AUTH=local`). */
  logoutEverywhere(): Promise<void>
  /** Replaces the password, which ends every other session (`AUTH=local`). A wrong `current` is `forbidden`. */
  changePassword(passwords: { current: string; next: string }): Promise<void>
  /**
   * Changes the user's name or picture (`AUTH=local`). What is left out stays; `avatarUrl: null` removes the
   * picture.
   */
  updateAccount(changes: { name?: string; avatarUrl?: string | null }): Promise<User>
  /**
   * Deletes the account (`AUTH=local`), and signs out everywhere. What the user wrote stays in the conversations
   * of others without a name, unless `messages` is `"delete"`. A wrong `password` is `forbidden`.
   */
  deleteAccount(deletion: { password: string; messages?: "delete" }): Promise<void>
  /**
   * What the user keeps from others, and does not see of others; `changes` change it. `lastSeen`: who is told when
   * the user was last seen; `receipts`: whether others are told how far the user has read.
   */
  accountSettings(changes?: Partial<AccountSettings>): Promise<AccountSettings>
  /** The user of the session; null if nobody is signed in. */
  session(): Promise<User | null>
  /** Searches the directory. */
  users(query?: string, options?: { cursor?: string; signal?: AbortSignal }): Promise<PageAnswer<User>>
  /**
   * Searches the messages that the user may read: words and their beginnings, all of which a message must have. A new message is
   * found about a second after it was sent. While the server is busy the client waits and asks again. Give an earlier search up
   * with its `signal` when another one takes its place.
   */
  search(query: string, options?: SearchOptions): Promise<SearchPage>
  /** Finds or creates the conversation with a person. */
  openConversation(userId: string): Promise<Conversation>
  /**
   * Makes a group of the user and others. Without an answer it is repeated under the same id, so that there is one group at the
   * end.
   */
  createGroup(group: NewGroup): Promise<Conversation>
  /** Gives a group another name or picture, as one of its admins; null removes it. What is left out stays. */
  updateGroup(
    conversationId: string,
    changes: { name?: string | null; avatarUrl?: string | null },
  ): Promise<void>
  /** The members of a conversation. The same id gives the same store. */
  members(conversationId: string): Members
  /**
   * The files of a conversation's messages: of these kinds, or all. The same ids and kinds, in the same order, give the same store.
   */
  files(conversationId: string, ...kinds: FileKind[]): ConversationFiles
  /** Loads the next page of the list. */
  loadMoreConversations(): Promise<void>
  /**
   * Loads a page of the archived conversations, which `conversations` has only as far as they are loaded: the newest ones or, with
   * the cursor of an earlier page, those after it. Resolves to the cursor of the next page; null: there are no more.
   */
  loadArchivedConversations(cursor?: string): Promise<string | null>
  /** Loads the list again. */
  reloadConversations(): Promise<void>
  /** Sets the status on all of the user's devices. */
  setStatus(status: ChosenStatus, options?: { text?: string; until?: string }): Promise<void>
  /** Sets what the user is doing in this session; null: nothing. */
  setActivity(activity: Activity | null): Promise<void>
  /** The user has read that the server's data went back in time. */
  dismissRestored(): void
  /**
   * Calls `listener` with each message of somebody else that arrives live, in each tab; for sounds and
   * notifications. Messages that are loaded later are not included. `isLeader` is true in one of the user's
   * tabs only. `isSilent`: the user has muted the conversation, and it is not a group in which the message mentions the user.
   */
  onMessage(listener: (message: Message, isLeader: boolean, isSilent: boolean) => void): () => void
  /** Checks the set-up for problems, as far as a browser can. */
  doctor(): Promise<Diagnosis>
}
