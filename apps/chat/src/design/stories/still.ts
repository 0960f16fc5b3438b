/** A client in which nothing happens: what the stories show stays as it is. */
import type {
  ConversationInfo,
  FileProgress,
  Lamplight,
  PresenceView,
  Store,
  Upload,
} from "@lamplight/client"
import { AT, asha, ben, conversation, NOW, person } from "./data"

const still = <T>(value: T): Store<T> => ({
  get: () => value,
  getServer: () => value,
  subscribe: () => () => {},
})
/** Actions do nothing in stories. */
const nothing = () => new Promise<never>(() => {})
const silent = () => {}

/** The parts that differ between stories. */
export interface Stillness {
  /** Whether the connection is lost. */
  isLost?: boolean
  typing?: readonly string[]
  draft?: string
  uploads?: readonly Upload[]
  sharing?: readonly FileProgress[]
  unread?: number
}

export function stillClient(state: Stillness = {}): Lamplight {
  const { isLost = false, typing = [], draft = "", uploads = [], sharing = [], unread = 3 } = state
  const presences = new Map<string, Store<PresenceView>>()
  const presence = (userId: string) => {
    const store = presences.get(userId) ?? still(person(userId === asha.id ? asha : ben, "online"))
    presences.set(userId, store)
    return store
  }
  const handles = new Map<string, object>()
  const handle = (id: string) => {
    const made = handles.get(id) ?? {
      id,
      draft: still(draft),
      typing: still({ userIds: typing }),
      item: still<ConversationInfo | null>(conversation()),
      readers: still({}),
      messages: still({ rows: [], systemRows: [], isRemoved: false }),
      setDraft: silent,
      setTyping: silent,
      open: () => silent,
      send: nothing,
      edit: nothing,
      setSettings: nothing,
    }
    handles.set(id, made)
    return made
  }
  const client = {
    connection: still({
      status: isLost ? "waiting" : "connected",
      since: NOW,
      downSince: isLost ? NOW - 60_000 : null,
      stale: isLost,
      nextTryAt: isLost ? NOW + 8_000 : null,
      attempt: 3,
      overHttp: false,
      error: null,
    }),
    me: still({ status: "signed-in", user: asha, chosen: { status: "online" }, activity: null }),
    unread: still({ total: unread, byConversation: {} }),
    conversations: still({ status: "ready", items: [], archived: [], hasMore: false }),
    outbox: {
      ...still({ items: [], waiting: isLost ? 2 : 0, failed: 0, durable: true }),
      retry: silent,
      edit: nothing,
      discard: nothing,
    },
    blocks: { ...still({ status: "ready", users: [] }), reload: nothing },
    uploads: {
      ...still(uploads),
      add: nothing,
      pause: silent,
      resume: silent,
      cancel: silent,
      prepare: silent,
    },
    sharing: still(sharing),
    restored: still({ dismissed: false, since: AT, conversationIds: null }),
    dismissRestored: silent,
    presence,
    roster: () => still({ status: "live", users: [], count: 4 }),
    fileUrl: (_file: object, which?: string) =>
      still(which === "thumbnail" ? "/chat/icons/icon-192.png" : "/chat/none"),
    renewFileUrl: silent,
    conversation: handle,
    retain: () => silent,
    connect: silent,
    users: nothing,
    setStatus: nothing,
  }
  return client as unknown as Lamplight
}
