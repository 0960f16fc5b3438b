import type { User } from "@lamplight/client"
import { useConnection } from "@lamplight/react"
import { useLost } from "../app/hooks"
import type { PresenceIconState } from "./PresenceIcon"
import { useOwnStatus } from "./useOwnStatus"

/** The user's own shown status: the last known one while the connection is lost, with changes from other tabs. */
export function useOwnPresence(self: User) {
  const { status: connection, stale } = useConnection()
  const lost = useLost()
  // A short loss changes nothing, since others see the same status afterwards.
  const isKnown = connection === "connected" || (stale && !lost)
  const { state: own, text, user: seen } = useOwnStatus(self.id)
  const state: PresenceIconState = isKnown ? own : "unknown"
  return {
    name: self.name || self.id,
    state,
    text,
    isKnown,
    lost,
    // Another tab or device may have changed it.
    avatarUrl: isKnown && seen ? seen.avatarUrl : self.avatarUrl,
  }
}
