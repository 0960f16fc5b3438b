import type { PresenceView } from "@lamplight/client"
import { ago } from "../logic/time"
import { words } from "../strings"
import type { PresenceIconState } from "./PresenceIcon"

/** So soon after the last input, "active just now" would contradict "Away". */
const JUST_LEFT_MS = 60_000

/** The label of a presence. */
export function stateLabel(state: PresenceIconState): string {
  return words.presence[state]
}

/** The line under a name: the status text, or when the person was last active or online. */
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
