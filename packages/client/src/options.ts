/** What an application, or a test, may hand to `createLamplight`. */
import type { RefusalCode, RosterMode } from "./wire.js"

/** Why a token is asked for. */
export interface TokenRequest {
  /** `connect`: there is none yet. `expired`: the last one ran out. `refused`: the server did not take the last one. */
  reason: "connect" | "expired" | "refused"
  /** Aborted when nobody waits for it any more. */
  signal: AbortSignal
}

/** Time, handed in. */
export interface Clock {
  now(): number
  /** Milliseconds since some moment, which nobody can set. Default: `now`. */
  uptime?(): number
  /** Calls `run` after `ms`; returns what cancels it. */
  after(ms: number, run: () => void): () => void
}

/** The parts of the browser that the client watches: visibility, input and network. */
export interface BrowserEnvironment {
  /** Whether the person is there: the page is visible and was used a short while ago. */
  isActive(): boolean
  /** Whether the page can be seen. */
  isVisible(): boolean
  /** Whether the device believes it has a network. */
  isOnline(): boolean
  /**
   * Tells of changes: `wake` when it is worth trying now (network back, page visible, woken from sleep), `active` when the
   * person came back or went, `hide` when the page may be about to go. Returns what ends it.
   */
  watch(listener: (what: "wake" | "active" | "hide") => void): () => void
}

/** The former name of `BrowserEnvironment`. */
export type Surroundings = BrowserEnvironment

/** An unsent message, as it is stored. */
export interface OutboxRecord {
  clientMessageId: string
  userId: string
  conversationId: string
  content: string
  createdAt: string
  /** The place in the queue: grows with time, within and across tabs. */
  order: number
  /** Stored before the first attempt: from then on the message may have arrived. */
  dispatched: boolean
  /** Set when the server refused the message for good. */
  failed: { code: RefusalCode | string; message: string } | null
}

/** Where the outbox, drafts and read marks are kept. Every method may reject; the client then goes on in memory. */
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

/**
 * Runs `work` while holding the lock of that name in all of a browser's tabs. With `ifAvailable` it does not wait for it,
 * and resolves to undefined when another holds it.
 */
export type WithLock = <T>(
  name: string,
  work: () => Promise<T>,
  ifAvailable?: boolean,
) => Promise<T | undefined>

/** The other tabs. */
export interface Channel {
  post(message: unknown): void
  close(): void
}

/** The part of socket.io-client's socket that is used, so that tests can stand in for it. */
export interface SocketLike {
  readonly connected: boolean
  readonly id?: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: the arguments of socket.io events are typed where they are read
  on(event: string, listener: (...args: any[]) => void): unknown
  emit(event: string, ...args: unknown[]): unknown
  connect(): unknown
  disconnect(): unknown
}

/** What a socket is made with. */
export interface SocketRequest {
  url: string
  path: string
  /** False: some frameworks that stand before Lamplight redirect a path with a slash at its end. */
  addTrailingSlash: boolean
  transports: ("websocket" | "polling")[]
  /** Sent as Socket.IO's `auth`. */
  auth: Record<string, string>
  withCredentials: boolean
}

/** Everything is optional: `createLamplight()` on a page served by Lamplight uses its cookie. */
export interface LamplightOptions {
  /** Where Lamplight is: `https://chat.example.com`. Default: the page's own origin. */
  url?: string
  /** The socket's path. Default `/api/socketio`. */
  path?: string
  /** For `AUTH=open`: who this is. */
  userId?: string
  /** For `AUTH=open`: the profile. */
  name?: string
  avatarUrl?: string
  /**
   * For `AUTH=jwt`: fetches a fresh token. Throw `Unauthorized` to stop; anything else that is thrown is tried again.
   * Without `getToken` and `userId` the session's cookie is used (`AUTH=local`).
   */
  getToken?: (request: TokenRequest) => string | Promise<string>
  /** How much of the roster to follow. Default `diff`. */
  roster?: RosterMode
  /** Default `["websocket", "polling"]`; the order turns when the first one fails. */
  transports?: ("websocket" | "polling")[]
  /** Default: IndexedDB, or memory where there is none. */
  storage?: ClientStorage

  // What follows is for tests and unusual environments.
  /** Default: `fetch`. */
  fetch?: typeof fetch
  clock?: Clock
  /** 0 up to 1. Default `Math.random`. */
  random?: () => number
  /** Default: random UUIDs. */
  newId?: () => string
  /** Default: the document's visibility and input, and the network's events. */
  surroundings?: BrowserEnvironment
  /** Default: Web Locks, or a lock of this tab's own. */
  withLock?: WithLock
  /** Default: BroadcastChannel, where there is one. */
  openChannel?: (name: string, receive: (message: unknown) => void) => Channel
  /** Default: Socket.IO over engine.io-client, which is bundled in. */
  openSocket?: (request: SocketRequest) => SocketLike
}
