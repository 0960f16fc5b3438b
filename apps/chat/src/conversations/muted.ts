import type { ConversationInfo } from "@lamplight/client"
import { untilTime } from "../logic/time"
import { words } from "../strings"

/** A mute that ends later was not set by its hours. */
const LONG_MS = 365 * 24 * 3_600_000

/** That a conversation is muted, and until when. */
export function mutedUntil({ mutedUntil }: ConversationInfo): string {
  return mutedUntil && Date.parse(mutedUntil) - Date.now() < LONG_MS
    ? words.settings.mutedUntil(untilTime(new Date(mutedUntil), new Date(), words.time))
    : words.settings.muted
}
