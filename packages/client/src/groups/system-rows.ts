/** The changes of a group as rows of its thread. */
import type { SystemChange, SystemRow } from "../types.js"
import type { GroupEntry, LogEntry } from "../wire.js"

/** Whether an entry changes a group. */
export const isGroupEntry = (entry: LogEntry): entry is GroupEntry =>
  (entry.kind === "members" && "added" in entry) || entry.kind === "details"

function changesOf(entry: GroupEntry): SystemChange[] {
  if (entry.kind === "details") {
    const { name, avatarUrl } = entry
    return [
      ...(name === undefined ? [] : [{ kind: "renamed" as const, name }]),
      ...(avatarUrl === undefined ? [] : [{ kind: "picture" as const, avatarUrl }]),
    ]
  }
  const { senderId, added, removed, roles } = entry
  const changes: SystemChange[] = []
  // Only the creator of a group adds themselves.
  if (senderId !== null && added.includes(senderId))
    changes.push({ kind: "created", userIds: added.filter((id) => id !== senderId) })
  else if (added.length) changes.push({ kind: "added", userIds: added })
  if (senderId !== null && removed.includes(senderId)) changes.push({ kind: "left" })
  const others = removed.filter((id) => id !== senderId)
  if (others.length) changes.push({ kind: "removed", userIds: others })
  for (const [userId, role] of Object.entries(roles))
    if (!added.includes(userId)) changes.push({ kind: "role", userId, role })
  return changes
}

/** Null if there is nothing to show. */
export function systemRow(entry: GroupEntry): SystemRow | null {
  const { id, conversationId, seq, createdAt, senderId } = entry
  const changes = changesOf(entry)
  return changes.length ? { key: `s:${id}`, conversationId, seq, createdAt, senderId, changes } : null
}
