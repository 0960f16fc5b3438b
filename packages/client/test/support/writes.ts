/** The test server's edits, deletions, reactions and pins: a simple implementation to compare the client with. */
import { excerptOf } from "../../src/fold.js"
import type { MessageAction } from "../../src/options.js"
import type { ChangeEntry, LogEntry, Message, Reaction } from "../../src/wire.js"

export const isMessage = (entry: LogEntry): entry is Message => entry.kind === "message"
const isChange = (entry: LogEntry): entry is ChangeEntry => "messageId" in entry

/** What was folded last of each log: tests read long logs page by page. */
const folded = new WeakMap<readonly LogEntry[], { key: string; messages: Message[] }>()

/** The messages of a log as they are now. Logs only grow, or are replaced. */
export function foldAll(log: readonly LogEntry[], me: string): Message[] {
  const key = `${log.length} ${me}`
  const known = folded.get(log)
  if (known?.key === key) return known.messages
  const messages = foldAnew(log, me)
  folded.set(log, { key, messages })
  return messages
}

function foldAnew(log: readonly LogEntry[], me: string): Message[] {
  const messages = new Map<string, Message>()
  /** By message: the emoji and the user of each, in the order in which they were added. */
  const reactions = new Map<string, [emoji: string, userId: string][]>()
  for (const entry of log) {
    if (isMessage(entry)) messages.set(entry.id, structuredClone(entry))
    const message = isChange(entry) ? messages.get(entry.messageId) : undefined
    if (!isChange(entry) || !message || message.deletedAt) continue
    if (entry.kind === "edit") {
      message.content = entry.content
      message.editedAt = entry.createdAt
      delete message.mentions
      if (entry.mentions?.length) message.mentions = entry.mentions
    } else if (entry.kind === "delete") {
      message.content = ""
      message.deletedAt = entry.createdAt
      for (const name of ["editedAt", "pinnedAt", "reactions", "replyTo", "mentions"] as const)
        delete message[name]
    } else if (entry.kind === "pin") {
      delete message.pinnedAt
      if (entry.pinned) message.pinnedAt = entry.createdAt
    } else {
      const { emoji, senderId, added } = entry
      const rest = (reactions.get(message.id) ?? []).filter((one) => one[0] !== emoji || one[1] !== senderId)
      reactions.set(message.id, added ? [...rest, [emoji, String(senderId)]] : rest)
    }
  }
  for (const message of messages.values()) {
    const quoted = message.replyTo && messages.get(message.replyTo.id)
    if (quoted && message.replyTo) message.replyTo.excerpt = excerptOf(quoted.content)
    const groups = message.deletedAt ? [] : grouped(reactions.get(message.id) ?? [], me)
    if (groups.length) message.reactions = groups
  }
  return [...messages.values()]
}

function grouped(reactions: [emoji: string, userId: string][], me: string): Reaction[] {
  const emojis = [...new Set(reactions.map(([emoji]) => emoji))]
  return emojis.map((emoji) => {
    const userIds = reactions.filter((one) => one[0] === emoji).map(([, userId]) => userId)
    return { emoji, count: userIds.length, mine: userIds.includes(me), userIds: userIds.slice(0, 20) }
  })
}

/** The entry that already made what an action would make; undefined if it changes something. */
export function unchanged(
  log: readonly LogEntry[],
  message: Message,
  userId: string,
  action: MessageAction,
): LogEntry | undefined {
  const own = log.filter((entry) => isChange(entry) && entry.messageId === message.id) as ChangeEntry[]
  const first = log.find(({ id }) => id === message.id)
  const last =
    action.kind === "reaction"
      ? own.findLast(
          (one) => one.kind === "reaction" && one.emoji === action.emoji && one.senderId === userId,
        )
      : own.findLast(({ kind }) => kind === action.kind)
  if (action.kind === "delete") return last
  if (action.kind === "edit") return message.content === action.content ? (last ?? first) : undefined
  const is = (last?.kind === "reaction" && last.added) || (last?.kind === "pin" && last.pinned)
  const to = action.kind === "reaction" ? action.added : action.pinned
  return is === to ? (last ?? first) : undefined
}

/** The action of an event. */
export function actionOf(event: string, body: Record<string, unknown>): MessageAction | undefined {
  const mentions = body.mentions as string[] | undefined
  switch (event) {
    case "edit_message":
      return { kind: "edit", content: String(body.content), ...(mentions ? { mentions } : {}) }
    case "delete_message":
      return { kind: "delete" }
    case "react":
      return { kind: "reaction", emoji: String(body.emoji), added: body.added === true }
    case "pin_message":
      return { kind: "pin", pinned: body.pinned === true }
    default:
      return undefined
  }
}

/** The event, and its payload, that a request stands for. */
export function eventOf(method: string, path: string, body: Record<string, unknown>) {
  const parts = /^\/api\/privatechat\/messages\/([^/]+)\/([^/]+)(?:\/(reactions|pin)(?:\/([^/]+))?)?$/.exec(
    path,
  )
  if (!parts || method === "GET") return undefined
  const [conversationId, messageId, , emoji] = parts
    .slice(1)
    .map((part) => (part === undefined ? undefined : decodeURIComponent(part)))
  const ref = { ...body, conversationId, messageId }
  const isOn = method === "PUT"
  if (parts[3] === "reactions") return { event: "react", body: { ...ref, emoji, added: isOn } }
  if (parts[3] === "pin") return { event: "pin_message", body: { ...ref, pinned: isOn } }
  return { event: method === "PATCH" ? "edit_message" : "delete_message", body: ref }
}
