import {
  type ConversationItem,
  LamplightError,
  type Message,
  type MessageRow,
  type PresenceView,
  type SharedFile,
  type Upload,
  type User,
} from "@lamplight/client"
import type { PageActions } from "../../palette/actions"

const nothing = () => {}
/** The page's callbacks for menus, which do nothing here. */
export const page: PageActions = {
  newGroup: nothing,
  settings: nothing,
  account: null,
  shortcuts: nothing,
  people: nothing,
  details: nothing,
  searchHere: nothing,
  search: nothing,
  markRead: nothing,
  mute: nothing,
  signOut: nothing,
}

/** The time in all stories, at which the test stops the clock. */
export const NOW = Date.UTC(2026, 5, 12, 14, 5)
export const AT = new Date(NOW).toISOString()
export const ago = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString()

const user = (id: string, name: string): User => ({ id, name, avatarUrl: null }) as User

export const asha = user("asha", "Asha Menon")
export const ben = user("ben", "Ben Castellanos")
export const chloe = user("chloe", "Chloe Abara")
export const nadia = user("nadia", "نادية خليل")

export const person = (
  of: User,
  status: PresenceView["status"],
  more: Partial<PresenceView> = {},
): PresenceView => ({
  userId: of.id,
  user: of,
  status,
  text: null,
  lastActiveAt: null,
  lastSeenAt: ago(40),
  activities: [],
  ...more,
})

let serial = 0

export function conversation(more: Partial<ConversationItem> = {}): ConversationItem {
  serial += 1
  const item = {
    id: `c${serial}`,
    kind: "direct",
    members: [asha, ben],
    other: ben,
    createdAt: ago(3_000),
    lastMessage: {
      id: "m",
      seq: 7,
      senderId: ben.id,
      content: "The plans are on the table.",
      createdAt: ago(9),
    },
    unread: 0,
    muted: false,
    draft: "",
    waiting: 0,
    failed: 0,
    ...more,
  }
  return item as unknown as ConversationItem
}

/** A stored message of another user or, with `mine`, of the user. */
export function message(content: string, more: Partial<MessageRow> = {}): MessageRow {
  serial += 1
  const { mine = false, state = "sent" } = more
  const stored = { id: `m${serial}`, seq: serial } as unknown as Message
  return {
    key: `m${serial}`,
    conversationId: "c1",
    senderId: mine ? asha.id : ben.id,
    content,
    createdAt: ago(5),
    mine,
    state,
    message: state === "sent" ? stored : null,
    seq: state === "sent" ? serial : null,
    clientMessageId: `o${serial}`,
    waitingFor: state === "sending" ? "server" : null,
    nextTryAt: null,
    error: state === "failed" ? refusal : null,
    editedAt: null,
    deletedAt: null,
    pinnedAt: null,
    reactions: [],
    replyTo: null,
    mentions: [],
    attachments: [],
    files: [],
    writes: [],
    ...more,
  }
}

const refusal = new LamplightError({
  code: "forbidden",
  message: "You may not write here.",
  retryable: false,
})

export const file = (name: string, type: string, size: number, more: object = {}): SharedFile =>
  ({ id: name, name, type, size, state: "ready", url: "/chat/none", ...more }) as SharedFile

export const upload = (name: string, state: Upload["state"], sent: number): Upload => ({
  id: `u-${name}`,
  conversationId: "c1",
  name,
  type: "application/pdf",
  size: 2_400_000,
  sent,
  state,
  error:
    state === "failed"
      ? new LamplightError({
          code: "too_large",
          message: "This file is larger than 100 MB.",
          retryable: false,
        })
      : null,
  bytes: null,
  durable: true,
  clientMessageId: null,
})
