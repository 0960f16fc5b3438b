/** What the client has loaded already: an import would make a bundler cut the client in pieces, which compress worse. */
import type { delayAfter } from "../backoff.js"
import type { refusal } from "../content.js"
import type { toError } from "../errors.js"
import type { query } from "../http.js"
import type { List } from "../list.js"
import type { same, single, view } from "../store.js"
import type { User } from "../wire.js"

export interface GroupTools {
  delayAfter: typeof delayAfter
  refusal: typeof refusal
  toError: typeof toError
  query: typeof query
  same: typeof same
  single: typeof single
  view: typeof view
  list: List
  /** The profile of somebody, as far as the roster tells. */
  person(userId: string): User | null
  /** What the thread of a conversation shows besides its messages has changed. */
  touch(conversationId: string): void
}
