/** The list of conversations and what is unread in it. */
import { backoff, type Core } from "./core.js"
import { type LamplightError, toError } from "./errors.js"
import { query } from "./http.js"
import { sameList, sameShape, view } from "./store.js"
import type { ConversationItem, ConversationsState, Store, UnreadState } from "./types.js"
import type { Conversation, Message, PageAnswer } from "./wire.js"

/** What the list asks about a conversation. */
export interface ListParts {
  /** How many entries past the mark are by others, if the log here can tell. */
  count(id: string, readSeq: number): number | null
  draft(id: string): string
  unsent(id: string): { waiting: number; failed: number }
  /** A conversation has become known, or has more than was known. */
  changed(id: string): void
}

export interface List {
  store: Store<ConversationsState>
  unread: Store<UnreadState>
  item(id: string): ConversationItem | null
  get(id: string): Conversation | undefined
  all(): Iterable<Conversation>
  loaded(): boolean
  /** What the server says of a conversation. */
  upsert(conversation: Conversation): void
  /** An entry that may be newer than what the list knows. */
  arrived(entry: Message): void
  /** The log of a conversation can tell more about what is unread. */
  recount(id: string): void
  /** Moves the own read mark, never back. Whether it moved. */
  read(id: string, seq: number): boolean
  remove(id: string): void
  refresh(): Promise<void>
  /** Fetches the list a little later, once for many reasons. */
  refreshSoon(): void
  loadMore(): Promise<void>
  touch(): void
  reset(): void
}

const PAGE = 50
const REFRESH_SOON_MS = 300

export function createList(core: Core, parts: ListParts): List {
  const known = new Map<string, Conversation>()
  /** Own marks for conversations that the list does not know yet. */
  const marks = new Map<string, number>()
  const items = new Map<string, ConversationItem>()
  let loaded = false
  let cursor: string | undefined
  let loadingMore = false
  let error: LamplightError | null = null
  let refreshing: Promise<void> | null = null
  let failures = 0
  let cancelSoon: (() => void) | null = null

  function item(id: string): ConversationItem | null {
    const conversation = known.get(id)
    if (!conversation) return null
    const others = conversation.members.filter((member) => member.id !== core.me())
    const next = sameShape<ConversationItem>(items.get(id), {
      ...conversation,
      other: others.length === 1 ? (others[0] ?? null) : null,
      draft: parts.draft(id),
      ...parts.unsent(id),
    })
    items.set(id, next)
    return next
  }

  const newest = (conversation: Conversation) => conversation.lastMessage?.createdAt ?? conversation.createdAt

  const store = view<ConversationsState>(
    { status: "loading", items: [], hasMore: false, loadingMore: false, error: null },
    (last) => {
      const sorted = [...known.values()]
        .sort((one, other) => (newest(one) < newest(other) ? 1 : newest(one) > newest(other) ? -1 : 0))
        .map((conversation) => item(conversation.id) as ConversationItem)
      return sameShape(last, {
        status: loaded ? "ready" : error ? "error" : "loading",
        items: sameList(last.items, sorted),
        hasMore: cursor !== undefined,
        loadingMore,
        error,
      })
    },
  )

  const unread = view<UnreadState>({ total: 0, byConversation: {} }, (last) => {
    const by: Record<string, number> = {}
    let total = 0
    for (const { id, unread: count } of known.values()) {
      if (count) by[id] = count
      total += count
    }
    return sameShape(last, { total, byConversation: sameShape(last.byConversation, by) })
  })

  function touch(): void {
    store.touch()
    unread.touch()
  }

  function put(next: Conversation): void {
    const last = known.get(next.id)
    const same = sameShape(last, next)
    if (same === last) return
    known.set(next.id, same)
    touch()
    parts.changed(next.id)
  }

  function upsert(said: Conversation): void {
    const last = known.get(said.id)
    const readSeq = Math.max(said.readSeq, last?.readSeq ?? 0, marks.get(said.id) ?? 0)
    const headSeq = Math.max(said.headSeq, last?.headSeq ?? 0)
    const behind = said.headSeq < headSeq
    let count = said.unread
    if (behind || said.readSeq < readSeq) {
      // It speaks of an earlier moment than what is known here, or does not know yet what was read here.
      const counted = parts.count(said.id, readSeq)
      if (counted === null && behind && last && said.readSeq > last.readSeq) refreshSoon()
      count = counted ?? (behind ? (last?.unread ?? count) : Math.min(count, headSeq - readSeq))
    }
    const lastMessage =
      last?.lastMessage && last.lastMessage.seq >= (said.lastMessage?.seq ?? 0)
        ? last.lastMessage
        : said.lastMessage
    // Fresh objects that say the same would render every row again.
    const members =
      JSON.stringify(last?.members) === JSON.stringify(said.members) && last ? last.members : said.members
    put({ ...said, members, readSeq, headSeq, lastMessage, unread: count })
  }

  function arrived(entry: Message): void {
    const last = known.get(entry.conversationId)
    if (!last) refreshSoon()
    if (!last || entry.seq <= last.headSeq) return
    const jumped = entry.seq > last.headSeq + 1
    const own = entry.senderId === core.me()
    const readSeq = own ? entry.seq : last.readSeq
    const counted = own ? 0 : parts.count(last.id, readSeq)
    if (jumped && counted === null) refreshSoon()
    const count = counted ?? (entry.seq > readSeq ? last.unread + 1 : last.unread)
    put({ ...last, headSeq: entry.seq, lastMessage: entry, readSeq, unread: count })
  }

  function recount(id: string): void {
    const last = known.get(id)
    const counted = last && parts.count(id, last.readSeq)
    if (last && typeof counted === "number") put({ ...last, unread: counted })
  }

  async function fetchPage(after?: string): Promise<PageAnswer<Conversation>> {
    return core.http<PageAnswer<Conversation>>(
      "GET",
      `/api/privatechat/conversations${query({ cursor: after, limit: PAGE })}`,
    )
  }

  function refresh(): Promise<void> {
    cancelSoon?.()
    cancelSoon = null
    const me = core.me()
    if (!me) return Promise.resolve()
    refreshing ??= (async () => {
      try {
        const page = await fetchPage()
        if (!core.isStill(me)) return
        for (const conversation of page.data) upsert(conversation)
        if (!loaded) cursor = page.nextCursor
        loaded = true
        failures = 0
        error = null
      } catch (thrown) {
        if (!core.isStill(me)) return
        error = toError(thrown)
        failures++
        throw error
      } finally {
        if (core.isStill(me)) {
          refreshing = null
          touch()
        }
      }
    })()
    return refreshing
  }

  function refreshSoon(): void {
    const delay = Math.max(REFRESH_SOON_MS, failures && backoff(failures, 1_000, 30_000, core.random))
    cancelSoon ??= core.clock.after(delay, () => {
      refresh().catch(() => core.me() && refreshSoon())
    })
  }

  return {
    store,
    unread,
    item,
    get: (id) => known.get(id),
    all: () => known.values(),
    loaded: () => loaded,
    upsert,
    arrived,
    recount,
    read(id, seq) {
      const last = known.get(id)
      if (seq <= (last?.readSeq ?? marks.get(id) ?? 0)) return false
      marks.set(id, seq)
      if (!last) return true
      const counted = seq >= last.headSeq ? 0 : parts.count(id, seq)
      put({ ...last, readSeq: seq, unread: counted ?? Math.min(last.unread, last.headSeq - seq) })
      return true
    },
    remove(id) {
      if (known.delete(id)) touch()
    },
    refresh,
    refreshSoon,
    async loadMore() {
      const me = core.me()
      if (cursor === undefined || loadingMore || !me) return
      loadingMore = true
      touch()
      try {
        const page = await fetchPage(cursor)
        if (!core.isStill(me)) return
        cursor = page.nextCursor
        for (const conversation of page.data) upsert(conversation)
      } finally {
        loadingMore = false
        touch()
      }
    },
    touch,
    reset() {
      cancelSoon?.()
      cancelSoon = null
      known.clear()
      marks.clear()
      items.clear()
      loaded = loadingMore = false
      cursor = undefined
      error = null
      refreshing = null
      failures = 0
      touch()
    },
  }
}
