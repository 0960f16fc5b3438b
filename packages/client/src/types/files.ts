/** Uploads, and the files of a conversation. */
import type { LamplightError } from "../errors.js"
import type { ConversationFile, User } from "../wire.js"
import type { Store } from "./state.js"

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
   * - `failed`: the server refused it permanently, or its bytes are gone; `error` has the reason.
   */
  state: "waiting" | "uploading" | "processing" | "paused" | "ready" | "failed"
  error: LamplightError | null
  /** The bytes, for a preview; null in a tab that does not have them. */
  bytes: Blob | null
  /** Whether it continues after a reload; false if there is no storage, or not enough space in it. */
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
