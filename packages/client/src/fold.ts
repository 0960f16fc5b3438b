/** Folds the entries of a log into its messages, in the way the server does. Pure functions. */
import type {
  ChangeEntry,
  DeleteEntry,
  EditEntry,
  LogEntry,
  Message,
  Quote,
  Reaction,
  ReactionEntry,
} from "./wire.js"

/** Whether an entry is a message. Older servers send no `kind`, and messages only. */
export const isMessage = (entry: LogEntry): entry is Message => (entry.kind ?? "message") === "message"

const CHANGES = ["edit", "delete", "reaction", "pin"]
/** Whether an entry changes a message. */
export const isChange = (entry: LogEntry): entry is ChangeEntry =>
  CHANGES.includes(entry.kind) && "messageId" in entry

/** A message, with the state that is needed to fold further entries into it, in any order of arrival. */
export interface Folded {
  /** The message as it is now. */
  readonly message: Message
  /** The message as the server sent it, after the entry `asOf`. */
  readonly base: Message
  readonly asOf: number
  /** Later entries that change it or its quote, by `seq`, without entries that others replace. */
  readonly later: readonly ChangeEntry[]
}

/** The most users that a reaction names. */
const MAX_USERS = 20
const MAX_EXCERPT = 140

/** The beginning of a text in one line, as the server makes it. */
export function excerptOf(content: string): string {
  const line = [...content.replace(/\p{White_Space}+/gu, " ").trim()]
  return line.length > MAX_EXCERPT ? `${line.slice(0, MAX_EXCERPT).join("").trimEnd()}…` : line.join("")
}

const isText = (entry: ChangeEntry): entry is EditEntry | DeleteEntry =>
  entry.kind === "edit" || entry.kind === "delete"

/** Whether an entry changes a message or its quote. */
const touches = (entry: ChangeEntry, { id, replyTo }: Message) =>
  entry.messageId === id || (isText(entry) && entry.messageId === replyTo?.id)

/** A message as the server sent it after the entry `asOf`, with the relevant `changes` applied. */
export function fold(
  base: Message,
  asOf: number,
  changes: readonly ChangeEntry[],
  me: string | null,
): Folded {
  const later = effective(changes.filter((entry) => entry.seq > asOf && touches(entry, base)))
  const message = apply(base, later, me)
  // A deleted message never changes again, and its text is not stored.
  if (message.deletedAt) return { message, base: message, asOf: Number.POSITIVE_INFINITY, later: [] }
  return { message, base, asOf, later }
}

/** Folds further entries in. Returns the same object if they change nothing. */
export function foldIn(known: Folded, changes: readonly ChangeEntry[], me: string | null): Folded {
  const isNew = (entry: ChangeEntry) =>
    entry.seq > known.asOf &&
    touches(entry, known.base) &&
    !known.later.some((other) => other.seq === entry.seq)
  if (!changes.some(isNew)) return known
  const next = fold(known.base, known.asOf, [...known.later, ...changes], me)
  // Entries that are already replaced by others.
  const isEqual = next.later.length && next.later.every((entry, at) => entry.seq === known.later[at]?.seq)
  return isEqual && next.later.length === known.later.length ? known : next
}

/** Merges two states of one message: the newer one, with the entries of both. */
export function merge(known: Folded, given: Folded, me: string | null): Folded {
  if (known.base.id !== given.base.id) return given
  const newer = given.asOf >= known.asOf ? given : known
  const merged = foldIn(newer, newer === given ? known.later : given.later, me)
  if (merged === known) return known
  // The same object while it looks the same, so that its row is reused.
  if (!isSame(merged.message, known.message)) return merged
  return merged.asOf === known.asOf && merged.later.length === known.later.length
    ? known
    : { ...merged, message: known.message }
}

/** Whether two messages look the same. */
export const isSame = (one: Message, other: Message) => one === other || text(one) === text(other)
/** A message as text, whatever the order of its fields. */
const text = (message: Message) =>
  JSON.stringify(Object.entries(message).sort(([one], [two]) => (one < two ? -1 : 1)))

/** By `seq`, without the entries that others replace. */
function effective(entries: readonly ChangeEntry[]): ChangeEntry[] {
  const kept = new Map<string, ChangeEntry>()
  for (const entry of [...entries].sort((one, other) => one.seq - other.seq)) {
    const { kind, messageId } = entry
    if (kind === "reaction") {
      const key = keyOf(entry)
      // The first one shows whether the reaction existed before.
      if (!kept.has(`first ${key}`)) kept.set(`first ${key}`, entry)
      kept.set(`last ${key}`, entry)
      continue
    }
    const key = isText(entry) ? `text ${messageId}` : kind
    if (kept.get(key)?.kind !== "delete") kept.set(key, entry)
  }
  return [...new Set(kept.values())].sort((one, other) => one.seq - other.seq)
}

const keyOf = ({ emoji, senderId }: ReactionEntry) => JSON.stringify([emoji, senderId])

/** A message after further entries, which are in the order of `seq`. */
export function apply(base: Message, entries: readonly ChangeEntry[], me: string | null): Message {
  let message = base
  for (const entry of entries) {
    if (entry.messageId !== base.id) message = requote(message, entry)
    else if (entry.kind === "edit") message = edited(message, entry)
    else if (entry.kind === "delete")
      message = { ...message, deletedAt: message.deletedAt ?? entry.createdAt }
    else if (entry.kind === "pin") {
      const { pinnedAt: _, ...rest } = message
      message = entry.pinned ? { ...rest, pinnedAt: entry.createdAt } : rest
    }
  }
  if (message.deletedAt) return emptied(message, message.deletedAt)
  const reactions = entries.filter((entry) => entry.kind === "reaction")
  return reactions.length ? react(message, reactions, me) : message
}

function requote(message: Message, entry: ChangeEntry): Message {
  const excerpt = entry.kind === "edit" ? excerptOf(entry.content) : ""
  return { ...message, replyTo: { ...(message.replyTo as Quote), excerpt } }
}

function edited(message: Message, { content, mentions, createdAt }: EditEntry): Message {
  const { mentions: _, ...rest } = message
  return { ...rest, content, editedAt: createdAt, ...(mentions?.length ? { mentions } : {}) }
}

function emptied(message: Message, deletedAt: string): Message {
  const { id, kind, conversationId, seq, senderId, createdAt, clientMessageId } = message
  const own = clientMessageId === undefined ? {} : { clientMessageId }
  return { id, kind, conversationId, seq, senderId, content: "", createdAt, ...own, deletedAt }
}

function react(message: Message, entries: readonly ReactionEntry[], me: string | null): Message {
  const first = new Map<string, ReactionEntry>()
  const last = new Map<string, ReactionEntry>()
  for (const entry of entries) {
    const key = keyOf(entry)
    if (!first.has(key)) first.set(key, entry)
    last.set(key, entry)
  }
  let groups = (message.reactions ?? []).map((group): Reaction => ({ ...group, userIds: [...group.userIds] }))
  for (const [key, { emoji, added, senderId }] of first) {
    const group = groups.find((one) => one.emoji === emoji)
    if (!group || !wasThere(group, senderId as string, !added, me)) continue
    // An entry that the server's answer was already after, although it did not say so.
    if (added && last.get(key)?.added) last.delete(key)
    else leave(group, senderId as string, me)
  }
  groups = groups.filter((group) => group.count > 0)
  const additions = [...last.values()].filter((entry) => entry.added)
  for (const entry of additions.sort((one, other) => one.seq - other.seq)) join(groups, entry, me)
  const { reactions: _, ...rest } = message
  return groups.length ? { ...rest, reactions: groups } : rest
}

/** Whether a user's reaction existed. For users who are not listed, `otherwise`: what the first entry implies. */
function wasThere({ userIds, count, mine }: Reaction, userId: string, otherwise: boolean, me: string | null) {
  if (userId === me) return mine
  return userIds.includes(userId) || (count > userIds.length && otherwise)
}

function leave(group: Reaction, userId: string, me: string | null): void {
  group.count--
  group.userIds = group.userIds.filter((one) => one !== userId)
  if (userId === me) group.mine = false
}

function join(groups: Reaction[], { emoji, senderId }: ReactionEntry, me: string | null): void {
  let group = groups.find((one) => one.emoji === emoji)
  if (!group) {
    group = { emoji, count: 0, mine: false, userIds: [] }
    groups.push(group)
  }
  const userId = senderId as string
  // The server lists the first users only: append while all earlier ones are listed.
  if (group.userIds.length === group.count && group.count < MAX_USERS) group.userIds.push(userId)
  group.count++
  if (userId === me) group.mine = true
}
