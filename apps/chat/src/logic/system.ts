import type { SystemChange, SystemRow } from "@lamplight/client"
import { words } from "../strings"
import type { Groupable, SystemItem } from "./item"

const items = new WeakMap<SystemRow, SystemItem>()

function itemOf(system: SystemRow): SystemItem {
  const { key, createdAt, seq } = system
  // No user has this id, so that the messages around it do not form one group.
  const item = items.get(system) ?? { key, senderId: "\0", createdAt, seq, system }
  items.set(system, item)
  return item
}

/** Messages and changes of the group in the order of the log; unsent messages are last. */
export function withSystem<M extends Groupable>(
  messages: readonly M[],
  system: readonly SystemRow[],
): readonly (M | SystemItem)[] {
  if (system.length === 0) return messages
  const merged: (M | SystemItem)[] = []
  let next = 0
  for (const message of messages) {
    while (next < system.length && (message.seq === null || (system[next] as SystemRow).seq < message.seq))
      merged.push(itemOf(system[next++] as SystemRow))
    merged.push(message)
  }
  for (const row of system.slice(next)) merged.push(itemOf(row))
  return merged
}

/** The sentences for a change. */
export function systemText(
  { senderId, changes }: SystemRow,
  selfId: string,
  nameOf: (userId: string) => string,
): string[] {
  const actor = (id: string) => ({ isSelf: id === selfId, name: nameOf(id) })
  const whom = (ids: readonly string[]) =>
    words.names(
      [...ids]
        .sort((one, other) => Number(other === selfId) - Number(one === selfId))
        .map((id) => (id === selfId ? words.system.you : nameOf(id))),
    )
  const by = senderId === null ? null : actor(senderId)
  // When a member leaves, changes of roles need no sentence.
  const isByHand = changes.every(({ kind }) => kind === "role")
  function sentence(change: SystemChange): string {
    switch (change.kind) {
      case "created":
        return words.system.created(by)
      case "added":
        return words.system.added(by, whom(change.userIds))
      case "removed":
        return words.system.removed(by, whom(change.userIds))
      case "left":
        return words.system.left(by)
      case "role": {
        if (!isByHand || by === null || change.userId === senderId)
          return words.system.isNow(actor(change.userId), change.role)
        return words.system.made(by, whom([change.userId]), change.role)
      }
      case "renamed":
        return words.system.renamed(by, change.name)
      case "picture":
        return words.system.picture(by, change.avatarUrl !== null)
    }
  }
  return changes.map(sentence)
}
