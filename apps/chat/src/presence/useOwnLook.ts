import type { User } from "@lamplight/client"
import { useConnection } from "@lamplight/react"
import { useLost } from "../app/hooks"
import type { PresenceIconState } from "./PresenceIcon"
import { useOwnStatus } from "./useOwnStatus"

/** How the user is shown to themselves: what is known of the status while the connection is lost, and what another tab has changed. */
export function useOwnLook(self: User) {
  const { status: connection, stale } = useConnection()
  const lost = useLost()
  // A short loss changes nothing: what others see is the same when it is over.
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
