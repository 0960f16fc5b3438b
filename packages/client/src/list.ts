/** The list of conversations and their unread counts. */
import { delayAfter } from "./backoff.js"
import type { Core } from "./core.js"
import { type LamplightError, toError } from "./errors.js"
import { apply, fold, isChange, isMessage, isSame } from "./fold.js"
import { query } from "./http.js"
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
import type { Conversation, ListAnswer, LogEntry, Message, SyncedConversation } from "./wire.js"
import { writtenEntry } from "./written.js"

/** The facts about a conversation that the list uses. */
export interface ListOptions {
  /** How many messages past the mark are by others; null if the loaded log does not reach far enough. */
  count(id: string, readSeq: number): number | null
  /** The newest message that is not deleted; undefined if the loaded log does not reach far enough. */
  newest(id: string): Message | null | undefined
  draft(id: string): string
  unsent(id: string): readonly OutboxItem[]
  /** A conversation after a newer entry. */
  fold(conversation: Conversation, entry: LogEntry): Conversation
  /** The user is not a member any more. */
  removed(id: string): void
  /** The conversation with the settings that are not sent yet. */
  applied(conversation: Conversation): Conversation
}

export interface List {
  store: Store<ConversationsState>
  unread: Store<UnreadState>
  info(id: string): ConversationInfo | null
  get(id: string): Conversation | undefined
  all(): Iterable<Conversation>
  loaded(): boolean
  /** When the server last sent the list, in milliseconds since the epoch. */
  takenAt(): number
  /** Applies a conversation from the server. */
  upsert(conversation: Conversation): void
  /** Applies a conversation that was not requested: a new one, or one of a page that is not loaded yet. */
  added(conversation: Conversation): void
  /** Applies an entry that may be newer than the list. */
  addEntry(entry: LogEntry): void
  /** Counts unread messages again, since the log of the conversation has changed. */
  recount(id: string): void
  /** Moves the user's read mark, never back. Returns whether it moved. */
  read(id: string, seq: number): boolean
  /** A conversation went back in time on the server: the answer replaces what was known. */
  restored(id: string, synced: SyncedConversation): void
  remove(id: string): void
  refresh(): Promise<void>
  /** Loads the list in a moment, once for several calls. */
  refreshSoon(): void
  loadMore(): Promise<void>
  /** Loads a page of the archived conversations, wherever they are in the list. Resolves to the next page's cursor. */
  loadArchived(cursor?: string): Promise<string | null>
  /** Cancels the timers that end mutes. */
  stop(): void
  /** Loads pages until this conversation is in the list. */
  find(id: string): Promise<void>
}

const PAGE = 50
const REFRESH_SOON_MS = 300
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 30_000
/** The longest delay of a timer. */
const LONGEST_MS = 86_400_000

export function createList(core: Core, options: ListOptions): List {
  const known = new Map<string, Conversation>()
  /** Read marks of conversations that the list does not know yet. */
  const marks = new Map<string, number>()
  /** The times of the newest changes of members, which move a conversation too. */
  const changedAt = new Map<string, string>()
  const infos = new Map<string, ConversationInfo>()
  const items = new Map<string, ConversationItem>()
  /** When each conversation was removed, and how many were so far: a page that was requested before may still have it. */
  const removedAt = new Map<string, number>()
  let removals = 0
  let loaded = false
  let takenAt = 0
  let cursor: string | undefined
  /** The unread messages in conversations that are not loaded. */
  let unreadElsewhere = 0
  /** Cancel the timers that end mutes. */
  const mutes = new Map<string, () => void>()
  let error: LamplightError | null = null
  let failures = 0
  let cancelSoon: (() => void) | null = null

  function info(id: string): ConversationInfo | null {
    const conversation = known.get(id)
    if (!conversation) return null
    const others = conversation.members.filter((member) => member.id !== core.me())
    // A group that shrinks to two stays one.
    const other = conversation.kind !== "group" && others.length === 1 ? (others[0] ?? null) : null
    const set = options.applied(conversation)
    return remember(infos, { ...set, other, muted: isMuted(set) })
  }

  const isMuted = ({ mutedUntil }: Conversation, now = core.clock.now()) =>
    !!mutedUntil && Date.parse(mutedUntil) > now
  /** Whether its unread messages count in the total. */
  const counts = (conversation: Conversation) => !conversation.archived && !isMuted(conversation)

  /** The settings changed: shows them, and again when the mute ends. */
  function onSettings(id: string): void {
    mutes.get(id)?.()
    mutes.delete(id)
    const left = Date.parse(info(id)?.mutedUntil ?? "") - core.clock.now()
    if (left > 0)
      mutes.set(
        id,
        core.clock.after(Math.min(left, LONGEST_MS), () => onSettings(id)),
      )
    shown(id)
  }

  function shown(id: string): void {
    touch()
    core.events.emit("conversation", id)
  }

  function item(id: string): ConversationItem {
    const all = options.unsent(id)
    const unsent = all.filter(({ write }) => !write)
    const failed = unsent.filter(({ state }) => state === "failed").length
    const waiting = unsent.length - failed
    const now = info(id) as ConversationInfo
    return remember(items, {
      ...now,
      lastMessage: written(now.lastMessage, all),
      draft: options.draft(id),
      waiting,
      failed,
    })
  }

  /** A message with its unsent edit or deletion applied. */
  function written(message: Message | null, unsent: readonly OutboxItem[]): Message | null {
    const texts = unsent.filter(({ write, state }) => {
      const isText = write?.action.kind === "edit" || write?.action.kind === "delete"
      return isText && state === "sending" && write?.messageId === message?.id
    })
    if (!message || !texts.length) return message
    return apply(
      message,
      texts.flatMap((item) => writtenEntry(item, message.id)),
      core.me(),
    )
  }

  /** Returns the last object while it is equal. */
  function remember<T extends Conversation>(kept: Map<string, T>, next: T): T {
    const made = same(kept.get(next.id), next)
    kept.set(next.id, made)
    return made
  }

  /**
   * Of two messages of one millisecond the later has the greater id. A conversation without messages sorts
   * after messages of its time.
   */
  const newest = ({ id, lastMessage, createdAt }: Conversation) => {
    const time = lastMessage ? timeOf(lastMessage) : `${createdAt} ~`
    const changed = changedAt.get(id) ?? ""
    return changed > time ? changed : time
  }
  const timeOf = ({ createdAt, id }: LogEntry) => `${createdAt} ${id}`
  const order = createOrder((id) => {
    const conversation = known.get(id)
    return conversation ? newest(conversation) : ""
  })
  /** The position in the order when the catch-up began. */
  let caughtUpFrom = 0
  /** Whatever arrives now is newer than everything that was in front at this moment. */
  const since = () => (core.connection.state.get().status === "catching-up" ? caughtUpFrom : order.moment())

  const store = view<ConversationsState>(
    {
      status: "loading",
      items: [],
      archived: [],
      hasMore: false,
      loadingMore: false,
      error: null,
    },
    (last) => {
      const all = order.sort(known.keys()).map(item)
      const shown = all.filter(({ archived }) => !archived)
      return same(last, {
        status: loaded ? "ready" : error ? "error" : "loading",
        items: same(
          last.items,
          shown.sort((one, other) => +!!other.pinned - +!!one.pinned),
        ),
        archived: same(
          last.archived,
          all.filter(({ archived }) => archived),
        ),
        hasMore: cursor !== undefined,
        loadingMore: more.busy(),
        error,
      })
    },
  )

  const unread = view<UnreadState>({ total: 0, byConversation: {} }, (last) => {
    const by: Record<string, number> = {}
    let total = Math.max(0, unreadElsewhere)
    for (const conversation of known.values()) {
      if (!conversation.unread) continue
      by[conversation.id] = conversation.unread
      if (counts(options.applied(conversation))) total += conversation.unread
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
    // The acknowledgement of the user's own message can overtake a newer message of another conversation.
    const isUnsure = isNewest && isFurtherDown(next)
    known.set(next.id, next)
    if (isNewest) order.toFront(next.id, since())
    if (isUnsure) refreshSoon()
    if (next.mutedUntil !== last?.mutedUntil) onSettings(next.id)
    else shown(next.id)
  }

  const isFurtherDown = (conversation: Conversation) => order.isFurtherDown(newest(conversation), since())

  /** `isListed`: the conversation is on a page of the list, which defines its place. */
  function upsert(update: Conversation, isListed = false): void {
    const last = known.get(update.id)
    // It counted among those that are not loaded.
    if (!last && counts(update)) unreadElsewhere -= update.unread
    // An unknown conversation with entries is on a later page, if there are more pages.
    const isPlaced = isListed || !loaded || !!(update.headSeq && cursor)
    const isNewest = last ? !isListed && lastSeq(update) > lastSeq(last) : !isPlaced && !isFurtherDown(update)
    // Its time may be wrong, if the server's clock was set back: the list tells its place.
    if (!last && !isPlaced && !isNewest) refreshSoon()
    const readSeq = Math.max(update.readSeq, last?.readSeq ?? 0, marks.get(update.id) ?? 0)
    const headSeq = Math.max(update.headSeq, last?.headSeq ?? 0)
    const behind = update.headSeq < headSeq
    const lastMessage = keepSame(last, behind && last ? last.lastMessage : update.lastMessage)
    let count = update.unread
    if (behind || update.readSeq < readSeq) {
      // The answer is older than the local data: newer entries, or a read mark.
      const counted = options.count(update.id, readSeq)
      if (counted === null && behind && last && update.readSeq > last.readSeq) refreshSoon()
      count = counted ?? (behind ? (last?.unread ?? count) : atMost(count, lastMessage?.seq ?? 0, readSeq))
    }
    // New objects with the same content would render every row again.
    const members =
      JSON.stringify(last?.members) === JSON.stringify(update.members) && last ? last.members : update.members
    // Then the data from entries of the group is newer.
    const { name, avatarUrl, memberCount, role } = behind && last ? last : update
    const group = { name, avatarUrl, memberCount, role }
    put(
      { ...update, ...group, members, readSeq, headSeq, lastMessage, unread: count } as Conversation,
      isNewest,
    )
  }

  function addEntry(entry: LogEntry) {
    const before = known.get(entry.conversationId)
    if (!before) refreshSoon()
    if (!before || entry.seq <= before.headSeq) return
    if ("removed" in entry && entry.removed.includes(core.me() ?? "")) return options.removed(before.id)
    const last = options.fold(before, entry)
    if ("removed" in entry) changedAt.set(before.id, timeOf(entry))
    // An entry of another kind moves the head, and may change the last message.
    const message = isMessage(entry) ? entry : null
    const own = message?.senderId === core.me()
    const readSeq = own ? entry.seq : last.readSeq
    const counted = own ? 0 : options.count(last.id, readSeq)
    if (entry.seq > last.headSeq + 1 && counted === null) refreshSoon()
    const unread = counted ?? (message && entry.seq > readSeq ? last.unread + 1 : last.unread)
    const { lastMessage } = last
    const isOfLast = isChange(entry) && lastMessage?.id === entry.messageId
    const now = isOfLast ? corrected(last, apply(lastMessage, [entry], core.me())) : (message ?? lastMessage)
    const next = { ...last, headSeq: entry.seq, lastMessage: now, readSeq, unread }
    // A message takes the conversation out of the archive, unless that is muted.
    if (message && !isMuted(last, Date.parse(message.createdAt))) delete next.archived
    put(next, !!message || "removed" in entry)
  }

  /** The last message from the loaded log, where it may be changed or deleted; otherwise `known`. */
  function corrected(conversation: Conversation, known: Message | null): Message | null {
    const logged = options.newest(conversation.id)
    // A newer message comes by `addEntry`, which moves the conversation.
    if (logged === undefined || (logged?.seq ?? 0) > lastSeq(conversation)) return known
    return keepSame(conversation, logged)
  }

  /** A new object with the same content would render the row again. */
  function keepSame(conversation: Conversation | undefined, next: Message | null): Message | null {
    const last = conversation?.lastMessage ?? null
    return last && next && isSame(last, next) ? last : next
  }

  function recount(id: string): void {
    const last = known.get(id)
    if (!last) return
    const counted = options.count(id, last.readSeq) ?? last.unread
    put({ ...last, unread: counted, lastMessage: corrected(last, last.lastMessage) })
  }

  /** Asks for a page. Null if the user or the server's data changed meanwhile. */
  async function ask(parts: Record<string, string | undefined>): Promise<ListAnswer | null> {
    const epoch = core.epoch()
    if (!core.me() || !core.isCurrent(epoch)) return null
    const began = removals
    const page = await core.http<ListAnswer>(
      `/api/privatechat/conversations${query({ ...parts, limit: PAGE })}`,
    )
    if (!core.isCurrent(epoch)) return null
    const data = page.data.filter(({ id }) => (removedAt.get(id) ?? 0) <= began)
    if (data.length < page.data.length) refreshSoon()
    return { ...page, data }
  }

  /** Loads a page of the list. Its answer is dropped if the user or the server's data changed meanwhile. */
  async function take(after?: string): Promise<void> {
    const epoch = core.epoch()
    try {
      const asked = order.moment()
      const page = await ask({ cursor: after })
      if (!page) return
      const heads = new Map(page.data.map((conversation) => [conversation.id, conversation]))
      const hasNewer = (id: string) => {
        const [here, there] = [known.get(id), heads.get(id)]
        return !!here && !!there && here.headSeq > there.headSeq && lastSeq(here) > lastSeq(there)
      }
      const isMoved = order.page([...heads.keys()], asked, hasNewer, !after)
      for (const conversation of page.data) upsert(conversation, true)
      if (isMoved) touch()
      if (!loaded || after) cursor = page.nextCursor
      // Conversations of the page have the server's counts, all others the local ones.
      unreadElsewhere = (cursor && page.totalUnread) || 0
      for (const id of known.keys()) {
        const there = (heads.get(id) ?? known.get(id)) as Conversation
        if (cursor && counts(there)) unreadElsewhere -= there.unread
      }
      unread.touch()
      // Pinned conversations come first, wherever they are in the list.
      if (!loaded && cursor) void takePinned()
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

  /** Loads a page of chosen conversations. */
  async function takeSome(chosen: "archived" | "pinned", after?: string): Promise<string | null> {
    const page = await ask({ [chosen]: "true", cursor: after })
    for (const conversation of page?.data ?? []) upsert(conversation, true)
    return page?.nextCursor ?? null
  }

  async function takePinned(failures = 0): Promise<void> {
    const epoch = core.epoch()
    try {
      for (let next: string | null | undefined; next !== null; ) next = await takeSome("pinned", next)
    } catch (thrown) {
      if (!toError(thrown).retryable) return
      const delay = delayAfter(thrown, failures, FIRST_RETRY_MS, LAST_RETRY_MS, core.random)
      core.clock.after(delay, () => core.isCurrent(epoch) && void takePinned(failures + 1))
    }
  }

  const more = single(() => take(cursor), touch)
  const first = single(() => take(), touch)

  function refresh(): Promise<void> {
    // A request in flight may have been answered before the change that is to be fetched.
    if (!first.busy() && cancelSoon) {
      cancelSoon()
      cancelSoon = null
      // Due work stays due if this fails.
      first().catch(again)
    }
    return first()
  }

  const again = (thrown: unknown) => core.me() && toError(thrown).retryable && refreshSoon()

  function refreshSoon(): void {
    const delay = failures
      ? delayAfter(error, failures, FIRST_RETRY_MS, LAST_RETRY_MS, core.random)
      : REFRESH_SOON_MS
    cancelSoon ??= core.clock.after(delay, () => {
      cancelSoon = null
      if (first.busy()) return refreshSoon()
      refresh().catch(again)
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

  function stop(): void {
    for (const cancel of mutes.values()) cancel()
    mutes.clear()
  }

  function reset(): void {
    cancelSoon?.()
    cancelSoon = null
    known.clear()
    order.reset()
    marks.clear()
    removedAt.clear()
    changedAt.clear()
    infos.clear()
    items.clear()
    loaded = false
    takenAt = 0
    first.drop()
    more.drop()
    stop()
    cursor = undefined
    unreadElsewhere = 0
    error = null
    failures = 0
    touch()
  }

  const { events } = core
  events.on("reset", reset)
  events.on("restored", reset)
  events.on("unsent", touch)
  events.on("settings", onSettings)
  events.on("draft", touch)
  events.on("fetch", () => void refresh().catch(refreshSoon))
  events.on("joined", () => {
    caughtUpFrom = order.moment()
  })
  events.on("tab", (message) => {
    if (message.type === "read") read(message.conversationId, message.seq)
  })
  core.connection.on("conversation_updated", (conversation) => {
    // It may have counted differently among those that are not loaded, or a page in flight may undo its settings.
    if (loaded && (known.has(conversation.id) ? first.busy() : unreadElsewhere)) refreshSoon()
    upsert(conversation)
  })

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
      // The time alone does not show whether it is on a later page.
      else if (!isFurtherDown(conversation)) refreshSoon()
    },
    addEntry,
    recount,
    read,
    restored(id, { entries, headSeq, readSeq }) {
      marks.delete(id)
      const last = known.get(id)
      const messages = entries
        .filter(isMessage)
        .map((message) => fold(message, message.seq, entries.filter(isChange), core.me()).message)
        .filter(({ deletedAt }) => !deletedAt)
      // If a page does not reach back to the mark, the result is an upper bound.
      const unread =
        (entries[0]?.seq ?? headSeq + 1) > readSeq + 1
          ? headSeq - readSeq
          : messages.filter(({ seq, senderId }) => seq > readSeq && senderId !== core.me()).length
      if (last) put({ ...last, headSeq, readSeq, lastMessage: messages.at(-1) ?? null, unread })
      // Only the list has the exact count.
      refreshSoon()
    },
    remove(id) {
      removedAt.set(id, ++removals)
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
    loadArchived: (cursor) => takeSome("archived", cursor),
    stop,
    async find(id) {
      if (!loaded) await refresh()
      // A closed client loads nothing, and would wait forever.
      while (!known.has(id) && cursor !== undefined && core.isCurrent(core.epoch())) await more()
    },
  }
}
