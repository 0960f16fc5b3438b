/** State and helpers that all modules of a client share. */
import type { Connection } from "./connection.js"
import type { Emitter, InternalEvents, TabMessage } from "./events.js"
import type { Http } from "./http.js"
import type { BrowserEnvironment, Clock, WithLock } from "./options.js"
import type { SafeStorage } from "./safe-storage.js"

export interface Core {
  events: Emitter<InternalEvents>
  clock: Clock
  random(): number
  newId(): string
  environment: BrowserEnvironment
  http: Http
  connection: Connection
  storage: SafeStorage
  /** Whether stored values outlive the page. */
  isPersistent(): boolean
  withLock: WithLock
  /** The namespace of locks and storage keys: one for each server. */
  scope: string
  /** The user's id; null while signed out. */
  me(): string | null
  /** Whether this user is still signed in. Answers to requests of another user are dropped. */
  isUser(userId: string | null): boolean
  /** Grows when another user signs in and when the server's data goes back in time. Answers to requests of an earlier epoch are dropped. */
  epoch(): number
  nextEpoch(): void
  /** Whether this is still the current epoch. */
  isCurrent(epoch: number): boolean
  /** The generation of the server's store; undefined until the first answer that carries it. */
  store(): string | undefined
  post(message: TabMessage): void
}
