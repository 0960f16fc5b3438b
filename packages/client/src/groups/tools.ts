import type { List } from "../list.js"
import type { ClientTools } from "../tools.js"
import type { User } from "../wire.js"

/** What groups and blocks use of the client. */
export interface GroupTools extends ClientTools {
  list: List
  /** The profile of a user, if the roster has it. */
  person(userId: string): User | null
  /** The non-message parts of a conversation's thread have changed. */
  touch(conversationId: string): void
}
