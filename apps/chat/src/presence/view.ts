import type { PresenceView } from "@lamplight/client"
import { ago } from "../logic/time"
import { words } from "../strings"
import type { PresenceIconState } from "./PresenceIcon"

/** So shortly after the last touch of a key, "active just now" beside "Away" would say two things at once. */
const JUST_LEFT_MS = 60_000

/** The word for a state. */
export function stateWord(state: PresenceIconState): string {
  return words.presence[state]
}

/** The line under a name: their own words, or what is known of when they were here. */
export function presenceDetail(presence: PresenceView | undefined, now: Date): string {
  if (!presence || presence.status === "unknown") return words.presence.unknownNow
  if (presence.status === "offline") {
    return presence.lastSeenAt
      ? words.presence.lastSeen(ago(new Date(presence.lastSeenAt), now, words.time))
      : words.presence.offline
  }
  const active = presence.lastActiveAt ? new Date(presence.lastActiveAt) : null
  const base =
    presence.status === "away" && active && now.getTime() - active.getTime() >= JUST_LEFT_MS
      ? words.presence.activeAgo(ago(active, now, words.time))
      : words.presence[presence.status]
  return presence.text ? words.presence.saying(base, presence.text) : base
}
