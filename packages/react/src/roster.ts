import type { PresenceView, RosterState } from "@lamplight/client"
import { useLamplight, useStore } from "./provider.js"

/** All users who are online. */
export function useRoster(): RosterState {
  return useStore(useLamplight().roster())
}

/** Chosen people by id, online or not. They are watched while the component is mounted. */
export function usePresences(userIds: readonly string[]): Readonly<Record<string, PresenceView>> {
  return useStore(useLamplight().roster(userIds))
}

/** The presence of one person, online or not. It is watched while the component is mounted. */
export function usePresence(userId: string): PresenceView {
  return useStore(useLamplight().presence(userId))
}
