/** Stores, and the state of the connection and of the store behind it. */
import type { LamplightError } from "../errors.js"

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
