import type { PresenceView, RosterState } from "@lamplight/client"
import { useLamplight, useStore } from "./provider.js"

/** Everybody who is online. */
export function useRoster(): RosterState {
  return useStore(useLamplight().roster())
}

/** Chosen people, there or not, by id. They are watched while mounted. */
export function usePresences(userIds: readonly string[]): Readonly<Record<string, PresenceView>> {
  return useStore(useLamplight().roster(userIds))
}

/** One person, there or not. They are watched while mounted. */
export function usePresence(userId: string): PresenceView {
  return useStore(useLamplight().presence(userId))
}
