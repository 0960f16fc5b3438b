import type { ConversationInfo } from "@lamplight/client"
import { untilTime } from "../logic/time"
import { words } from "../strings"

/** A mute that ends later was not set by its hours. */
const LONG_MS = 365 * 24 * 3_600_000

/** Until when a conversation is muted; null: until it is turned back on. */
export function mutedUntil({ mutedUntil }: ConversationInfo): string | null {
  return mutedUntil && Date.parse(mutedUntil) - Date.now() < LONG_MS
    ? words.settings.mutedUntil(untilTime(new Date(mutedUntil), new Date(), words.time))
    : null
}
