import type { List } from "../list.js"
import type { ClientTools } from "../tools.js"
import type { User } from "../wire.js"

/** What groups and blocks use of the client. */
export interface GroupTools extends ClientTools {
  list: List
  /** The profile of somebody, as far as the roster tells. */
  person(userId: string): User | null
  /** What the thread of a conversation shows besides its messages has changed. */
  touch(conversationId: string): void
}
