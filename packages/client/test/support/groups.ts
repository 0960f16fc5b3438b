/** What the test server does with groups and blocks: in the plainest way. */
import type { GroupEntry, LogEntry, Refusal, Role } from "../../src/wire.js"
import { refusal, type StoredConversation, type TestServer } from "./server.js"

export interface StoredGroup {
  name?: string
  avatarUrl?: string
  roles: Map<string, Role>
}

type Body = Record<string, unknown>
type Reply = { success: true; [key: string]: unknown } | Refusal
type Change = { [K in "added" | "removed"]?: string[] } & { roles?: Record<string, Role> }

/** The parts of a conversation that only groups have. */
export function groupView({ group, members }: StoredConversation, me: string) {
  if (!group) return { kind: "direct" as const }
  const { name, avatarUrl, roles } = group
  return {
    kind: "group" as const,
    ...(name === undefined ? {} : { name }),
    ...(avatarUrl === undefined ? {} : { avatarUrl }),
    memberCount: members.length,
    role: roles.get(me) ?? ("member" as const),
  }
}

function append(server: TestServer, stored: StoredConversation, senderId: string | null, more: object) {
  const seq = stored.log.length + 1
  const place = { id: `${stored.id}.${seq}.${++server.ids}`, conversationId: stored.id, seq }
  const entry = { ...place, senderId, createdAt: server.time(), ...more } as GroupEntry
  stored.log.push(entry)
  return entry
}

/** Changes the members, and notifies all members, including removed ones. With `isTold` false no event is sent. */
export function changeMembers(
  server: TestServer,
  id: string,
  senderId: string | null,
  { added = [], removed = [], roles = {} }: Change,
  more: Body = {},
  isTold = true,
): GroupEntry {
  const stored = server.conversations.get(id) as StoredConversation
  stored.group ??= { roles: new Map() }
  const { group } = stored
  for (const user of added) if (!server.users.has(user)) server.addUser(user)
  stored.members = [...stored.members, ...added]
  for (const user of added) group.roles.delete(user)
  for (const [user, role] of Object.entries(roles)) group.roles.set(user, role)
  const entry = append(server, stored, senderId, { kind: "members", added, removed, roles, ...more })
  if (isTold) server.deliver(entry, undefined, "conversation_entry")
  stored.members = stored.members.filter((user) => !removed.includes(user))
  for (const peer of isTold && stored.members.length <= server.mostTold ? server.peers : [])
    if (peer.userId && stored.members.includes(peer.userId))
      peer.send("conversation_updated", server.view(stored, peer.userId))
  return entry
}

export function changeDetails(
  server: TestServer,
  id: string,
  senderId: string | null,
  details: { name?: string | null; avatarUrl?: string | null },
): LogEntry {
  const stored = server.conversations.get(id) as StoredConversation
  stored.group ??= { roles: new Map() }
  const { group } = stored
  for (const key of ["name", "avatarUrl"] as const) {
    const value = details[key]
    if (value === null) delete group[key]
    else if (value !== undefined) group[key] = value
  }
  const entry = append(server, stored, senderId, { kind: "details", ...details })
  server.deliver(entry, undefined, "conversation_entry")
  for (const peer of stored.members.length <= server.mostTold ? server.peers : [])
    if (peer.userId && stored.members.includes(peer.userId))
      peer.send("conversation_updated", server.view(stored, peer.userId))
  return entry
}

/** A request about groups or blocks; null: it is about something else. */
export function groupRoute(
  server: TestServer,
  method: string,
  url: URL,
  body: Body,
  user: string,
): Reply | null {
  const [, first, second, third] =
    /^\/api\/privatechat\/conversations(?:\/([^/]+))?(?:\/(members)(?:\/([^/]+))?)?$/.exec(url.pathname) ?? []
  const block = /^\/api\/blocks(?:\/(.+))?$/.exec(url.pathname)
  const mine = server.blocks.get(user) ?? new Set<string>()
  if (block) {
    if (!block[1])
      return { success: true, data: [...mine].map((id) => server.users.get(id) ?? server.addUser(id)) }
    const other = decodeURIComponent(block[1])
    if (method === "PUT") mine.add(other)
    else mine.delete(other)
    server.blocks.set(user, mine)
    return { success: true }
  }
  if (method === "POST" && !first && url.pathname.endsWith("/conversations") && body.memberIds) {
    const key = `${user}/${body.clientConversationId}`
    const known = server.made.get(key)
    const id = known ?? `g${++server.ids}`
    if (!known) {
      const { name } = body as { name?: string }
      const members = [user, ...(body.memberIds as string[])]
      const stored = server.addConversation(id)
      stored.group = { roles: new Map(), ...(name === undefined ? {} : { name }) }
      server.made.set(key, id)
      changeMembers(server, id, user, { added: members, roles: { [user]: "owner" } })
    }
    return {
      success: true,
      conversation: server.view(server.conversations.get(id) as StoredConversation, user),
    }
  }
  const stored = first ? server.stored(user, decodeURIComponent(first)) : null
  if (!first || (!second && method !== "PATCH")) return null
  if (!stored) return refusal("not_found")
  const own = stored.group?.roles.get(user)
  const isAdmin = own === "owner" || own === "admin"
  const key = `${user}/${body.clientMessageId}`
  const known = stored.keys.get(key)
  if (known) return { success: true, entry: stored.log[known.seq - 1], duplicate: true }
  const done = (entry: LogEntry): Reply => {
    stored.keys.set(key, { asked: "", seq: entry.seq })
    return { success: true, entry, duplicate: false }
  }
  if (!second) {
    if (!isAdmin) return refusal("forbidden")
    const { clientMessageId: _, ...details } = body
    return done(changeDetails(server, stored.id, user, details))
  }
  const more = { clientMessageId: body.clientMessageId }
  const target = third && decodeURIComponent(third)
  if (method === "GET") {
    const limit = Number(url.searchParams.get("limit"))
    const all = [...stored.members].sort()
    const from = url.searchParams.get("cursor") ?? ""
    const rest = all.filter((id) => id > from)
    const data = rest.slice(0, limit).map((id) => ({
      ...(server.users.get(id) ?? server.addUser(id)),
      role: stored.group?.roles.get(id) ?? "member",
    }))
    return { success: true, data, ...(rest.length > limit ? { nextCursor: data.at(-1)?.id } : {}) }
  }
  if (method === "POST") {
    if (!isAdmin) return refusal("forbidden")
    const added = (body.userIds as string[]).filter((id) => !stored.members.includes(id))
    return done(changeMembers(server, stored.id, user, { added }, more))
  }
  if (target === undefined || !stored.members.includes(target)) return refusal("not_found")
  if (method === "DELETE") {
    if (target !== user && !isAdmin) return refusal("forbidden")
    return done(changeMembers(server, stored.id, user, { removed: [target] }, more))
  }
  if (own !== "owner") return refusal("forbidden")
  return done(changeMembers(server, stored.id, user, { roles: { [target]: body.role as Role } }, more))
}
