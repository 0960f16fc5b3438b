/** The outbox: unsent messages and changes, and the results of adding to it. */
import type { LamplightError } from "../errors.js"
import type { OutboxRecord } from "../options.js"
import type { Store } from "./state.js"

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

/**
 * The result of putting a message into the outbox. After an error, put `content` back into the composer.
 */
export type SendResult =
  | { ok: true; clientMessageId: string }
  | { ok: false; error: LamplightError; content: string }

/** The result of putting a change of a message into the outbox. */
export type WriteResult = { ok: true } | { ok: false; error: LamplightError }

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
