/** A conversation of the list after a change of its group. The server sends it whole only to members of small groups. */
import type { Conversation, GroupEntry, User } from "../wire.js"

/** The most members that a conversation has with it. */
const MAX_MEMBERS = 100

/** `entry` is newer than the conversation. */
export function foldConversation(
  conversation: Conversation,
  entry: GroupEntry,
  me: string | null,
  profile: (userId: string) => User | null,
): Conversation {
  if (entry.kind === "details") {
    const { name: _name, avatarUrl: _avatarUrl, ...rest } = conversation
    const { name = conversation.name, avatarUrl = conversation.avatarUrl } = entry
    return {
      ...rest,
      ...(name === undefined || name === null ? {} : { name }),
      ...(avatarUrl === undefined || avatarUrl === null ? {} : { avatarUrl }),
    }
  }
  const { added, removed, roles } = entry
  const isGone = new Set(removed)
  const members = conversation.members.filter(({ id }) => !isGone.has(id))
  for (const id of added) {
    const user = members.some((member) => member.id === id) ? null : profile(id)
    if (user && members.length < MAX_MEMBERS) members.push(user)
  }
  members.sort((one, other) => (one.id < other.id ? -1 : 1))
  const { memberCount } = conversation
  const count = (memberCount ?? conversation.members.length) + added.length - removed.length
  const own = me === null ? undefined : (roles[me] ?? (added.includes(me) ? "member" : conversation.role))
  return {
    ...conversation,
    members,
    // A conversation of two becomes a group with a third one.
    ...(memberCount !== undefined || count !== 2 ? { kind: "group" as const, memberCount: count } : {}),
    ...(own === undefined ? {} : { role: own }),
  }
}
