/** The list of conversations and what is unread in it. */
import { delayAfter } from "./backoff.js"
import type { Core } from "./core.js"
import { type LamplightError, toError } from "./errors.js"
import { query } from "./http.js"
import { isMessage } from "./log.js"
import { createOrder } from "./order.js"
import { same, single, view } from "./store.js"
import type {
  ConversationInfo,
  ConversationItem,
  ConversationsState,
  OutboxItem,
  Store,
  UnreadState,
} from "./types.js"
import type { Conversation, LogEntry, PageAnswer, SyncedConversation } from "./wire.js"

/** What the list asks about a conversation. */
export interface ListOptions {
  /** How many messages past the mark are by others; null if the log here cannot tell. */
  count(id: string, readSeq: number): number | null
  draft(id: string): string
  unsent(id: string): readonly OutboxItem[]
}

export interface List {
  store: Store<ConversationsState>
  unread: Store<UnreadState>
  info(id: string): ConversationInfo | null
  get(id: string): Conversation | undefined
  all(): Iterable<Conversation>
  loaded(): boolean
  /** When the server answered last. */
  takenAt(): number
  /** What the server says of a conversation. */
  upsert(conversation: Conversation): void
  /** A conversation that was not asked about: new, or on a page of the list that has not been fetched yet. */
  added(conversation: Conversation): void
  /** An entry that may be newer than what the list knows. */
  arrived(entry: LogEntry): void
  /** The log of a conversation can tell more about what is unread. */
  recount(id: string): void
  /** Moves the own read mark, never back. Whether it moved. */
  read(id: string, seq: number): boolean
  /** A conversation went back in time on the server: what it says of it takes the place of what was known. */
  restored(id: string, synced: SyncedConversation): void
  remove(id: string): void
  refresh(): Promise<void>
  /** Fetches the list a little later, once for many reasons. */
  refreshSoon(): void
  loadMore(): Promise<void>
  /** Fetches on until this conversation is there: one that is open may be far down. */
  find(id: string): Promise<void>
}

const PAGE = 50
const REFRESH_SOON_MS = 300

export function createList(core: Core, options: ListOptions): List {
  const known = new Map<string, Conversation>()
  /** Own marks for conversations that the list does not know yet. */
  const marks = new Map<string, number>()
  const infos = new Map<string, ConversationInfo>()
  const items = new Map<string, ConversationItem>()
  let loaded = false
  let takenAt = 0
  let cursor: string | undefined
  let error: LamplightError | null = null
  let failures = 0
  let cancelSoon: (() => void) | null = null

  function info(id: string): ConversationInfo | null {
    const conversation = known.get(id)
    if (!conversation) return null
    const others = conversation.members.filter((member) => member.id !== core.me())
    const other = others.length === 1 ? (others[0] ?? null) : null
    return remember(infos, { ...conversation, other })
  }

  function item(id: string): ConversationItem {
    const unsent = options.unsent(id)
    const failed = unsent.filter(({ state }) => state === "failed").length
    const waiting = unsent.length - failed
    return remember(items, {
      ...(info(id) as ConversationInfo),
      draft: options.draft(id),
      waiting,
      failed,
    })
  }

  /** The same object until it says something else. */
  function remember<T extends Conversation>(kept: Map<string, T>, next: T): T {
    const made = same(kept.get(next.id), next)
    kept.set(next.id, made)
    return made
  }

  /** Of two messages of the same millisecond the later has the greater id; a conversation without one was made after them. */
  const newest = ({ lastMessage, createdAt }: Conversation) =>
    lastMessage ? `${lastMessage.createdAt} ${lastMessage.id}` : `${createdAt} ~`
  const order = createOrder((id) => {
    const conversation = known.get(id)
    return conversation ? newest(conversation) : ""
  })
  /** The order's moment when the line began to catch up. */
  let caughtUpFrom = 0
  /** What comes now is newer than all from before this moment. */
  const since = () => (core.connection.state.get().status === "catching-up" ? caughtUpFrom : order.moment())

  const store = view<ConversationsState>(
    { status: "loading", items: [], hasMore: false, loadingMore: false, error: null },
    (last) =>
      same(last, {
        status: loaded ? "ready" : error ? "error" : "loading",
        items: same(last.items, order.sort(known.keys()).map(item)),
        hasMore: cursor !== undefined,
        loadingMore: more.busy(),
        error,
      }),
  )

  const unread = view<UnreadState>({ total: 0, byConversation: {} }, (last) => {
    const by: Record<string, number> = {}
    let total = 0
    for (const { id, unread: count } of known.values()) {
      if (count) by[id] = count
      total += count
    }
    return same(last, { total, byConversation: same(last.byConversation, by) })
  })

  function touch(): void {
    store.touch()
    unread.touch()
  }

  /** The `seq` of the newest message. Entries of other kinds may follow it. */
  const lastSeq = (conversation: Conversation | undefined) => conversation?.lastMessage?.seq ?? 0

  /** How many messages can be unread past a mark, given how many were past an earlier one. */
  const atMost = (count: number, newest: number, readSeq: number) =>
    Math.max(0, Math.min(count, newest - readSeq))

  function put(next: Conversation, isNewest = false): void {
    const last = known.get(next.id)
    if (same(last, next) === last) return
    // What is told of a conversation can overtake what is newer in another, as the acknowledgement of an own message does.
    const isUnsure = isNewest && isFurtherDown(next)
    known.set(next.id, next)
    if (isNewest) order.toFront(next.id, since())
    if (isUnsure) refreshSoon()
    touch()
    core.events.emit("conversation", next.id)
  }

  const isFurtherDown = (conversation: Conversation) => order.isFurtherDown(newest(conversation), since())

  /** `isListed`: it comes on a page of the list, which has given it its place. */
  function upsert(said: Conversation, isListed = false): void {
    const last = known.get(said.id)
    // One that has entries and is not known here, while there are more pages, is further down.
    const isPlaced = isListed || !loaded || !!(said.headSeq && cursor)
    const isNewest = last ? !isListed && lastSeq(said) > lastSeq(last) : !isPlaced && !isFurtherDown(said)
    // It may have been made just now, by a server whose clock was set back: the list tells.
    if (!last && !isPlaced && !isNewest) refreshSoon()
    const readSeq = Math.max(said.readSeq, last?.readSeq ?? 0, marks.get(said.id) ?? 0)
    const headSeq = Math.max(said.headSeq, last?.headSeq ?? 0)
    const behind = said.headSeq < headSeq
    const lastMessage = last && lastSeq(last) >= lastSeq(said) ? last.lastMessage : said.lastMessage
    let count = said.unread
    if (behind || said.readSeq < readSeq) {
      // It speaks of an earlier moment than what is known here, or does not know yet what was read here.
      const counted = options.count(said.id, readSeq)
      if (counted === null && behind && last && said.readSeq > last.readSeq) refreshSoon()
      count = counted ?? (behind ? (last?.unread ?? count) : atMost(count, lastMessage?.seq ?? 0, readSeq))
    }
    // Fresh objects that say the same would render every row again.
    const members =
      JSON.stringify(last?.members) === JSON.stringify(said.members) && last ? last.members : said.members
    put({ ...said, members, readSeq, headSeq, lastMessage, unread: count }, isNewest)
  }

  function arrived(entry: LogEntry): void {
    const last = known.get(entry.conversationId)
    if (!last) refreshSoon()
    if (!last || entry.seq <= last.headSeq) return
    // An entry of another kind moves the head only.
    const message = isMessage(entry) ? entry : null
    const own = message?.senderId === core.me()
    const readSeq = own ? entry.seq : last.readSeq
    const counted = own ? 0 : options.count(last.id, readSeq)
    if (entry.seq > last.headSeq + 1 && counted === null) refreshSoon()
    const unread = counted ?? (message && entry.seq > readSeq ? last.unread + 1 : last.unread)
    const lastMessage = message ?? last.lastMessage
    put({ ...last, headSeq: entry.seq, lastMessage, readSeq, unread }, !!message)
  }

  function recount(id: string): void {
    const last = known.get(id)
    const counted = last && options.count(id, last.readSeq)
    if (last && typeof counted === "number") put({ ...last, unread: counted })
  }

  /** Takes in a page of the list, unless it is of another user or of another time. */
  async function take(after?: string): Promise<void> {
    const epoch = core.epoch()
    if (!core.me() || !core.isCurrent(epoch)) return
    try {
      const asked = order.moment()
      const path = `/api/privatechat/conversations${query({ cursor: after, limit: PAGE })}`
      const page = await core.http<PageAnswer<Conversation>>(path)
      if (!core.isCurrent(epoch)) return
      const heads = new Map(page.data.map((conversation) => [conversation.id, lastSeq(conversation)]))
      const hasNewer = (id: string) => lastSeq(known.get(id)) > (heads.get(id) ?? Number.POSITIVE_INFINITY)
      const isMoved = order.page([...heads.keys()], asked, hasNewer, !after)
      for (const conversation of page.data) upsert(conversation, true)
      if (isMoved) touch()
      if (!loaded || after) cursor = page.nextCursor
      loaded = true
      takenAt = core.clock.now()
      failures = 0
      error = null
    } catch (thrown) {
      if (!core.isCurrent(epoch)) return
      error = toError(thrown)
      failures++
      throw error
    }
  }

  const more = single(() => take(cursor), touch)
  const first = single(() => take(), touch)

  function refresh(): Promise<void> {
    // The answer that is under way may be of a moment before what is to be fetched soon.
    if (!first.busy()) {
      cancelSoon?.()
      cancelSoon = null
    }
    return first()
  }

  function refreshSoon(): void {
    const delay = failures ? delayAfter(error, failures, 1_000, 30_000, core.random) : REFRESH_SOON_MS
    cancelSoon ??= core.clock.after(delay, () => {
      cancelSoon = null
      if (first.busy()) return refreshSoon()
      refresh().catch((thrown) => core.me() && toError(thrown).retryable && refreshSoon())
    })
  }

  function read(id: string, seq: number): boolean {
    const last = known.get(id)
    if (seq <= (last?.readSeq ?? marks.get(id) ?? 0)) return false
    marks.set(id, seq)
    if (!last) return true
    const unread = options.count(id, seq) ?? atMost(last.unread, lastSeq(last), seq)
    put({ ...last, readSeq: seq, unread })
    return true
  }

  function reset(): void {
    cancelSoon?.()
    cancelSoon = null
    known.clear()
    order.reset()
    marks.clear()
    infos.clear()
    items.clear()
    loaded = false
    takenAt = 0
    first.drop()
    more.drop()
    cursor = undefined
    error = null
    failures = 0
    touch()
  }

  const { events } = core
  events.on("reset", reset)
  events.on("restored", reset)
  events.on("unsent", touch)
  events.on("draft", touch)
  events.on("fetch", () => void refresh().catch(refreshSoon))
  events.on("joined", () => {
    caughtUpFrom = order.moment()
  })
  events.on("tab", (message) => {
    if (message.type === "read") read(message.conversationId, message.seq)
  })
  core.connection.on("conversation_updated", (conversation) => upsert(conversation))

  return {
    store,
    unread,
    info,
    get: (id) => known.get(id),
    all: () => known.values(),
    loaded: () => loaded,
    takenAt: () => takenAt,
    upsert: (conversation) => upsert(conversation),
    added(conversation) {
      if (!cursor || known.has(conversation.id)) upsert(conversation)
      // Its time alone does not say that it is not on a further page.
      else if (!isFurtherDown(conversation)) refreshSoon()
    },
    arrived,
    recount,
    read,
    restored(id, { entries, headSeq, readSeq }) {
      marks.delete(id)
      const last = known.get(id)
      const messages = entries.filter(isMessage)
      const unread = messages.filter(({ seq, senderId }) => seq > readSeq && senderId !== core.me()).length
      if (last) put({ ...last, headSeq, readSeq, lastMessage: messages.at(-1) ?? null, unread })
      // The answer may leave out the oldest of them: only the list counts them all.
      refreshSoon()
    },
    remove(id) {
      order.remove(id)
      if (known.delete(id)) touch()
    },
    refresh,
    refreshSoon,
    async loadMore() {
      if (cursor === undefined) return
      const done = more()
      touch()
      await done
    },
    async find(id) {
      if (!loaded) await refresh()
      // In a closed client nothing is fetched, and waiting for it never ends.
      while (!known.has(id) && cursor !== undefined && core.isCurrent(core.epoch())) await more()
    },
  }
}
