/** How the modules of one client notify each other. */
import type { OutboxEntry } from "./outbox/queue.js"
import type { ConnectionState } from "./types.js"
import type { LogEntry, Message } from "./wire.js"

/** A message from one of the user's tabs to the others. */
export type TabMessage =
  | { type: "read"; userId: string; conversationId: string; seq: number; store: string | undefined }
  | { type: "draft"; userId: string; conversationId: string; text: string }
  | { type: "outbox"; userId: string }
  | { type: "blocks"; userId: string }
  /** The stored uploads changed or, with `id`, this one's bytes are being sent. */
  | { type: "uploads"; userId: string; id?: string; sent?: number }
  | { type: "account" }

/** Events by name, each with its payload. */
export interface InternalEvents {
  /** The user's socket is gone. */
  disconnected: undefined
  /** The last user of the client released it: the connection closes shortly. */
  released: undefined
  /** The client is retained again before its connection ended. */
  resumed: undefined
  /** The status of the connection changed, or whether HTTP answers while the socket is away. */
  connection: { now: ConnectionState; before: ConnectionState }
  /** The page became visible or went online, the user returned, or the page may be about to close. */
  environment: "wake" | "active" | "hide"
  /** `getToken` gave a token. True: it may be another user's than the last one. */
  token: boolean
  /** The user changed or signed out: drop everything of the previous user from memory. */
  reset: undefined
  /**
   * After `reset`, when a user is signed in, and when the storage works again: load what is stored for that user.
   */
  signedIn: undefined
  /** Fetch all shown data again. */
  fetch: undefined
  /** The user is announced on a new socket; missed data is not fetched yet. */
  joined: undefined
  /** The server's data went back in time: everything that was fetched is dropped. */
  restored: undefined
  /** The list has newer data of this conversation. */
  conversation: string
  /** The unsent messages of this conversation changed. */
  unsent: string
  /** The settings of this conversation changed, which the server may not know yet. */
  settings: string
  /** A failed message is about to be sent again. */
  retried: OutboxEntry
  /** The draft of this conversation changed. */
  draft: string
  /** The server acknowledged a message, or a change of one, of the outbox. */
  delivered: LogEntry
  /** An entry was added to the log, from any source. */
  stored: LogEntry
  /** A message of another user arrived live. */
  arrived: Message
  /** Another tab of the same user sent this. */
  tab: TabMessage
}

/** Calls each listener at once, in the order in which they were added. */
export interface Emitter<Events> {
  on<E extends keyof Events>(event: E, listener: (payload: Events[E]) => void): void
  emit<E extends keyof Events>(
    event: E,
    ...payload: undefined extends Events[E] ? [payload?: Events[E]] : [payload: Events[E]]
  ): void
  /** The events that have a listener. */
  names(): Iterable<keyof Events>
}

export function createEmitter<Events>(): Emitter<Events> {
  const listeners = new Map<keyof Events, ((payload: never) => void)[]>()
  return {
    on(event, listener) {
      listeners.set(event, [...(listeners.get(event) ?? []), listener])
    },
    emit(event, payload?) {
      for (const listener of listeners.get(event) ?? []) listener(payload as never)
    },
    names: () => listeners.keys(),
  }
}
