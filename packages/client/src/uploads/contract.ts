/** The interface between the client and its chunk for files. */
import type { LamplightOptions } from "../options.js"
import type { OutboxController } from "../outbox/outbox.js"
import type { Cell } from "../store.js"
import type { ClientTools } from "../tools.js"
import type { Uploads } from "../types.js"
import type { FileProgress } from "../wire.js"

/** Files that other users are uploading. */
export type Sharing = Cell<readonly FileProgress[]>

/** The parts of the client that the lazily loaded part uses. */
export interface FilesOptions {
  /** The server's origin; empty for the page's own. */
  url: string
  options: LamplightOptions
  /** Whether the browser identifies the user by itself. */
  cookies: boolean
  /** Headers that identify the user. `refused` are those that the server rejected. Null: there are no others. */
  headers(path: string, refused?: Record<string, string>): Promise<Record<string, string> | null>
  outbox: OutboxController
  tools: ClientTools
  sharing: Sharing
}

export interface FilesPart extends Pick<Uploads, "add" | "pause" | "resume" | "cancel"> {
  /** Removes the stored uploads of a user who is not signed in any more. */
  erase(userId: string): Promise<void>
  /** The server reported the progress of another user's upload. */
  progress(event: FileProgress): void
  /** Gives `set` a signed address of `path`, and fresh ones, until the returned function is called. */
  sign(fileId: string, path: string, set: (address: string | null) => void): () => void
  /** The server refused a signed address of this file: fetches another one for its users. */
  renew(fileId: string): void
}
