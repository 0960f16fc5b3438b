import type { ChosenStatus, PresenceView } from "@lamplight/client"
import { useMe, usePresence } from "@lamplight/react"
import { useState } from "react"

type Seen = PresenceView["status"]

interface Known {
  chosen: ChosenStatus
  seen: Seen
  /** Which of the two changed last. */
  isSeenNewer: boolean
}

/** The own status after one of its two sources may have changed. The same object if it is unchanged. */
export function follow(known: Known, chosen: ChosenStatus, seen: Seen): Known {
  // A choice made here applies until the server's answer, a moment later.
  if (known.chosen !== chosen) return { chosen, seen, isSeenNewer: false }
  if (known.seen === seen) return known
  return { chosen, seen, isSeenNewer: seen !== "unknown" && seen !== "offline" }
}

/** The status that others see, and the user's choice, made in any tab or device. */
export function ownStatus({ chosen, seen, isSeenNewer }: Known): {
  state: ChosenStatus
  chosen: ChosenStatus
} {
  if (isSeenNewer && (seen === "online" || seen === "away" || seen === "busy"))
    return { state: seen, chosen: seen === "online" ? "online" : chosen }
  // The server shows the user as away after a while without input, and as busy in a call.
  const isAutomatic = chosen === "online" && (seen === "away" || seen === "busy")
  return { state: isAutomatic ? seen : chosen, chosen }
}

/** The user's own status, which another tab or device may have changed. */
export function useOwnStatus(selfId: string) {
  const { chosen } = useMe()
  const { status: seen, user } = usePresence(selfId)
  const [known, setKnown] = useState<Known>({ chosen: chosen.status, seen, isSeenNewer: false })
  const now = follow(known, chosen.status, seen)
  if (now !== known) setKnown(now)
  return { ...ownStatus(now), text: chosen.text ?? "", user }
}
