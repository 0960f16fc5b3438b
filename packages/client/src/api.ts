/** The public interface of the client. */
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

/** Filters and paging of a message search. */
export interface SearchOptions {
  /** Only in this conversation. */
  conversationId?: string | undefined
  /** Only from this user. */
  senderId?: string | undefined
  /** Only messages sent before this time. */
  before?: Date | string | undefined
  /** Only messages sent after this time. */
  after?: Date | string | undefined
  /** The `nextCursor` of the previous page. */
  cursor?: string | undefined
  /** 1 to 50; 20 by default. */
  limit?: number | undefined
  /** Aborts the search, which then rejects with the code `aborted`. */
  signal?: AbortSignal | undefined
}

/** Messages that a search found, newest first. */
export interface SearchPage {
  hits: SearchHit[]
  /** The cursor of the next page; null on the last page. */
  nextCursor: string | null
}

/** A group to create. */
export interface NewGroup {
  /** The members except the user, who becomes the owner. */
  memberIds: readonly string[]
  name?: string | undefined
  avatarUrl?: string | undefined
  /**
   * The history that members see who are added later: only from then on (`joined`, the default), or
   * everything (`all`).
   */
  history?: "joined" | "all" | undefined
  /**
   * Makes the call idempotent: repeated calls with the same id create one group. Pass the same id when you retry after
   * an error. By default each call has a new id.
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
  /** The checked facts as text, for a bug report. They never contain a token. */
  facts: Record<string, string>
}

/** A client: one user, one socket, the user's conversations and the people online. */
export interface Lamplight {
  readonly connection: Store<ConnectionState>
  readonly me: Store<MeState>
  readonly conversations: Store<ConversationsState>
  readonly unread: Store<UnreadState>
  readonly outbox: Outbox
  /** The users whom the user has blocked. */
  readonly blocks: Blocks
  /** Files that are being uploaded. */
  readonly uploads: Uploads
  /**
   * The files that others are uploading now, in all conversations. An upload stays listed for a moment after
   * its end.
   */
  readonly sharing: Store<readonly FileProgress[]>
  /** Whether the server lost data, for example because a backup was restored. */
  readonly restored: Store<RestoredState>
  /** All users who are online. */
  roster(): Store<RosterState>
  /**
   * Selected people, online or not. Their presence is watched while the store has a subscriber. The same
   * ids return the same store.
   */
  roster(ids: readonly string[]): Store<Readonly<Record<string, PresenceView>>>
  /** The presence of one person. */
  presence(userId: string): Store<PresenceView>
  /**
   * The URL of a file or its thumbnail, for `<img>`, `<video>` and links; null until it is known, and if the user may
   * not read the file. With a token or a `userId` it is a signed URL, fetched while the store has a subscriber and
   * renewed before it expires. Each call creates a store; fetched URLs are shared.
   */
  fileUrl(file: SharedFile, which?: "file" | "thumbnail"): Store<string | null>
  /**
   * Fetches new signed URLs of a file after the server refused one: call it from `onerror`. It acts at most once a
   * minute for each file, and not at all if URLs are not signed.
   */
  renewFileUrl(fileId: string): void
  /** One conversation. The same id returns the same handle. */
  conversation(id: string): ConversationHandle

  /**
   * Connects while it is retained at least once; call the returned function to release. The release is
   * delayed, so that an unmount followed by a mount (StrictMode, navigation) keeps the socket.
   */
  retain(): () => void
  /**
   * Starts an attempt now, after `refused` or before the next planned attempt. Does nothing unless the
   * client is retained.
   */
  connect(): void
  /** Closes the client for good. */
  close(): void

  /** Creates an account (`AUTH=local`) and signs in. Like all methods below, throws a `LamplightError`. */
  register(account: { username: string; password: string; name?: string }): Promise<User>
  /** Signs in (`AUTH=local`). */
  login(account: { username: string; password: string }): Promise<User>
  /**
   * Signs out, here and in the other tabs (`AUTH=local`). With `getToken`, sign out in your application and release the client
   * instead.
   */
  logout(): Promise<void>
  /** Ends every session of the account, this one too (`AUTH=local`). */
  logoutEverywhere(): Promise<void>
  /** Replaces the password, which ends every other session (`AUTH=local`). A wrong `current` is `forbidden`. */
  changePassword(passwords: { current: string; next: string }): Promise<void>
  /**
   * Changes the user's name or picture (`AUTH=local`). Omitted fields stay unchanged; `avatarUrl: null`
   * removes the picture.
   */
  updateAccount(changes: { name?: string; avatarUrl?: string | null }): Promise<User>
  /**
   * Deletes the account (`AUTH=local`), and signs out everywhere. The user's messages stay in conversations
   * without a name, unless `messages` is `"delete"`. A wrong `password` is `forbidden`.
   */
  deleteAccount(deletion: { password: string; messages?: "delete" }): Promise<void>
  /**
   * Returns the privacy settings; `changes` sets them first. `lastSeen`: who sees when the user was last online.
   * `receipts`: whether others see the user's read marks. A user who hides either does not see it of others.
   */
  accountSettings(changes?: Partial<AccountSettings>): Promise<AccountSettings>
  /** The user of the session; null without a session. */
  session(): Promise<User | null>
  /** Searches the directory. */
  users(query?: string, options?: { cursor?: string; signal?: AbortSignal }): Promise<PageAnswer<User>>
  /**
   * Searches the messages that the user may read. A message matches if it has all words of the query, or words that
   * begin with them. A new message is found about a second after it was sent. While the server is busy the client waits
   * and retries. Abort a search by its `signal` when you start another one.
   */
  search(query: string, options?: SearchOptions): Promise<SearchPage>
  /** Finds or creates the conversation with a person. */
  openConversation(userId: string): Promise<Conversation>
  /**
   * Creates a group of the user and others. Without an answer the request is repeated under the same id, so only one
   * group is created.
   */
  createGroup(group: NewGroup): Promise<Conversation>
  /**
   * Changes the name or picture of a group; requires an admin. Null removes it; an omitted field stays
   * unchanged.
   */
  updateGroup(
    conversationId: string,
    changes: { name?: string | null; avatarUrl?: string | null },
  ): Promise<void>
  /** The members of a conversation. The same id returns the same store. */
  members(conversationId: string): Members
  /**
   * The files of a conversation's messages, of these kinds or of all. The same id and kinds, in the same order, return
   * the same store.
   */
  files(conversationId: string, ...kinds: FileKind[]): ConversationFiles
  /** Loads the next page of the list. */
  loadMoreConversations(): Promise<void>
  /**
   * Loads a page of archived conversations into `conversations`: the newest ones or, with the cursor of an earlier
   * page, those after it. Resolves to the cursor of the next page, or null on the last page.
   */
  loadArchivedConversations(cursor?: string): Promise<string | null>
  /** Loads the list again. */
  reloadConversations(): Promise<void>
  /** Sets the status on all of the user's devices. */
  setStatus(status: ChosenStatus, options?: { text?: string; until?: string }): Promise<void>
  /** Sets the user's activity in this session; null removes it. */
  setActivity(activity: Activity | null): Promise<void>
  /** Dismisses the notice that the server lost data. */
  dismissRestored(): void
  /**
   * Calls `listener` with each message of another user that arrives live, for sounds and notifications; messages that
   * are loaded later are not included. It is called in each tab: `isLeader` is true in only one of them. `isSilent` is
   * true if the user has muted the conversation, unless it is a group and the message mentions the user.
   */
  onMessage(listener: (message: Message, isLeader: boolean, isSilent: boolean) => void): () => void
  /** Checks the set-up for problems, as far as a browser can. */
  doctor(): Promise<Diagnosis>
}
