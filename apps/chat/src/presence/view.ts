import type { PresenceView } from "@lamplight/client"
import { ago } from "../logic/time"
import { words } from "../strings"
import type { LampState } from "./Lamp"

/** The word for a state. */
export function stateWord(state: LampState): string {
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
  const base =
    presence.status === "away" && presence.lastActiveAt
      ? words.presence.activeAgo(ago(new Date(presence.lastActiveAt), now, words.time))
      : words.presence[presence.status]
  return presence.text ? `${base} · ${presence.text}` : base
}
