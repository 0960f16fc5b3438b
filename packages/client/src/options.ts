/** The options of `createLamplight`. */
import type { Quote, RefusalCode, RosterMode } from "./wire.js"

/** Why a token is needed. */
export interface TokenRequest {
  /**
   * `connect`: there is no token yet. `expired`: the last one has ended. `refused`: the server rejected the
   * last one.
   */
  reason: "connect" | "expired" | "refused"
  /** Aborted when the token is not needed any more. */
  signal: AbortSignal
}

/** Time, so that tests can replace it. */
export interface Clock {
  now(): number
  /** Milliseconds since an arbitrary moment, on a clock that cannot be set. Default: `now`. */
  uptime?(): number
  /** Calls `run` after `ms`. Returns a function that cancels it. */
  after(ms: number, run: () => void): () => void
}

/** The parts of the browser that the client watches: visibility, input and network. */
export interface BrowserEnvironment {
  /** Whether the user is active: the page is visible and had recent input. */
  isActive(): boolean
  /** Whether the page can be seen. */
  isVisible(): boolean
  /** Whether the device believes it has a network. */
  isOnline(): boolean
  /**
   * Calls `listener` on changes: `wake` when an attempt may succeed now (network back, page visible, device
   * awake), `active` when the user returned or left, `hide` when the page may close. Returns a function
   * that ends it.
   */
  watch(listener: (what: "wake" | "active" | "hide") => void): () => void
}

/** The former name of `BrowserEnvironment`. */
export type Surroundings = BrowserEnvironment

/** A change of a message. */
export type MessageAction =
  | { kind: "edit"; content: string; mentions?: string[] }
  | { kind: "delete" }
  | { kind: "reaction"; emoji: string; added: boolean }
  | { kind: "pin"; pinned: boolean }

/** An unsent change of a message, as it is stored. */
export interface MessageWrite {
  action: MessageAction
  /** The message; left out while that is not sent itself. */
  messageId?: string
  /** The `clientMessageId` of the message, if that was not sent when this was written. */
  waitsFor?: string
}

/** A file of an unsent message. */
export interface OutboxFile {
  /** The upload that sends it to the server. */
  uploadId: string
  name: string
  /** The media type that the sender's browser reported. */
  type: string
  /** In bytes. */
  size: number
  /** The file's id on the server; left out until all of its bytes are there. */
  fileId?: string | undefined
}

/** An unsent message, or an unsent change of a message, as it is stored. */
export interface OutboxRecord {
  clientMessageId: string
  userId: string
  conversationId: string
  content: string
  createdAt: string
  /** The position in the queue: grows with time, within and across tabs. */
  order: number
  /** Stored before the first attempt: from then on the message may have arrived. */
  dispatched: boolean
  /** Set when the server refused the message permanently. */
  failed: { code: RefusalCode | string; message: string } | null
  /** The message that this one answers. */
  replyTo?: Quote
  /** The members who are mentioned. */
  mentions?: string[]
  /** Its files. The message waits until the server has all of them. */
  files?: OutboxFile[]
  /** A change of a message, and no message: `content` is empty then. */
  write?: MessageWrite
  /**
   * Written after the client was released and before a token confirmed that the user is still the same. A tab sends it
   * only after it has fetched a token since.
   */
  uncertain?: true | undefined
}

/**
 * Storage for the outbox, drafts and read marks. Every method may reject: the client then continues in
 * memory.
 */
export interface ClientStorage {
  /** All unsent messages of a user, in no particular order. */
  outbox(userId: string): Promise<OutboxRecord[]>
  putOutbox(record: OutboxRecord): Promise<void>
  deleteOutbox(clientMessageId: string): Promise<void>
  get(key: string): Promise<unknown>
  /** `undefined` deletes. */
  set(key: string, value: unknown): Promise<void>
  close?(): void
}

/** An upload, as it is stored beside its bytes. */
export interface UploadRecord {
  id: string
  userId: string
  conversationId: string
  name: string
  type: string
  size: number
  /** The position among the uploads of its conversation. */
  order: number
  /** The file's id on the server, once the upload has begun there. */
  fileId: string | null
  state: "open" | "paused" | "ready" | "failed"
  error: { code: string; message: string } | null
  /**
   * The message that it belongs to, once that message has been in the outbox. The upload is deleted
   * with it.
   */
  clientMessageId: string | null
}

/** Storage for uploads and their bytes. Every method may reject: the upload then ends with the page. */
export interface UploadStorage {
  all(userId: string): Promise<UploadRecord[]>
  /** Resolves when it is durable. The bytes are given once, when the upload is new. */
  put(record: UploadRecord, bytes?: Blob): Promise<void>
  /** Undefined if they are not stored. */
  bytes(id: string): Promise<Blob | undefined>
  delete(id: string): Promise<void>
  close?(): void
}

/**
 * Runs `work` while it holds the lock of that name in all tabs of the browser. With `ifAvailable` it does not
 * wait, and resolves to undefined if another tab holds the lock.
 */
export type WithLock = <T>(
  name: string,
  work: () => Promise<T>,
  ifAvailable?: boolean,
) => Promise<T | undefined>

/** A channel to the other tabs. */
export interface Channel {
  post(message: unknown): void
  close(): void
}

/** The part of socket.io-client's socket that the client uses, so that tests can replace it. */
export interface SocketLike {
  readonly connected: boolean
  readonly id?: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: the arguments of socket.io events are typed where they are read
  on(event: string, listener: (...args: any[]) => void): unknown
  emit(event: string, ...args: unknown[]): unknown
  connect(): unknown
  disconnect(): unknown
}

/** The parameters of a new socket. */
export interface SocketRequest {
  url: string
  path: string
  /** False: some frameworks in front of Lamplight redirect a path that ends with a slash. */
  addTrailingSlash: boolean
  transports: ("websocket" | "polling")[]
  /** Sent as Socket.IO's `auth`. */
  auth: Record<string, string>
  withCredentials: boolean
}

/** All options are optional: `createLamplight()` on a page served by Lamplight uses its cookie. */
export interface LamplightOptions {
  /**
   * The origin of the Lamplight server, such as `https://chat.example.com`. Default: the page's own
   * origin.
   */
  url?: string
  /** The socket's path. Default `/api/socketio`. */
  path?: string
  /** For `AUTH=open`: the user's id. */
  userId?: string
  /** For `AUTH=open`: the profile. */
  name?: string
  avatarUrl?: string
  /**
   * For `AUTH=jwt`: returns a fresh token. Throw `Unauthorized` to stop; after any other error the client
   * tries again. Without `getToken` and `userId` the client uses the session's cookie (`AUTH=local`).
   */
  getToken?: (request: TokenRequest) => string | Promise<string>
  /** How much of the roster the client follows. Default `diff`. */
  roster?: RosterMode
  /** Default `["websocket", "polling"]`. The order alternates when an attempt fails. */
  transports?: ("websocket" | "polling")[]
  /** Default: IndexedDB, or memory if the browser has no IndexedDB. */
  storage?: ClientStorage
  /**
   * Default: IndexedDB; memory if you pass your own `storage` or if the browser has no IndexedDB.
   */
  uploadStorage?: UploadStorage
  /**
   * How many bytes of uploads are stored in total, so that they continue after a reload. Default
   * 500,000,000.
   */
  keepBytes?: number

  // The following are for tests and unusual environments.
  /** Default: `fetch`. */
  fetch?: typeof fetch
  clock?: Clock
  /** 0 up to 1. Default `Math.random`. */
  random?: () => number
  /** Default: random UUIDs. */
  newId?: () => string
  /** Default: the document's visibility and input, and the network's events. */
  surroundings?: BrowserEnvironment
  /** Default: Web Locks, or a lock within this tab. */
  withLock?: WithLock
  /** Default: BroadcastChannel, if the browser has it. */
  openChannel?: (name: string, receive: (message: unknown) => void) => Channel
  /** Default: Socket.IO over engine.io-client, which is bundled in. */
  openSocket?: (request: SocketRequest) => SocketLike
}
