/** One conversation: its log and the actions on it. */
import { createActions } from "./actions.js"
import { delayAfter } from "./backoff.js"
import type { Core } from "./core.js"
import { type LamplightError, toError } from "./errors.js"
import { isMessage } from "./fold.js"
import { createHistory, type HistoryRequest } from "./history.js"
import {
  addEntries,
  addPage,
  countUnread,
  emptyLog,
  findMessage,
  hasGap,
  hasOlder,
  holds,
  knowHead,
  type Log,
  lastSeq,
  look,
  nearest,
  newestMessage,
  type Page,
  shown,
} from "./log.js"
import { createRows } from "./rows.js"
import { inBackground, same, single, view } from "./store.js"
import { createReaders, createTyping } from "./thread-activity.js"
import type { Thread, ThreadOptions } from "./thread-contract.js"
import type { ConversationInfo, MessagesState } from "./types.js"
import { cutShown, MAX_ENTRIES, type Side, trim } from "./window.js"
import type { LogEntry } from "./wire.js"

const OLDER = "older"
const NEWER = "newer"
const PAGE = 50
/** The page size around a jump: half of it is on either side, more than a screen. */
const AROUND = 100
const LONG_PAGE = 200
const MAX_PAGES = 5

const nothing: MessagesState = {
  status: "loading",
  rows: [],
  systemRows: [],
  users: {},
  isRemoved: false,
  isEmpty: false,
  hasOlder: false,
  loadingOlder: false,
  hasNewer: false,
  loadingNewer: false,
  catchingUp: false,
  canChange: false,
  headSeq: 0,
  readSeq: 0,
  error: null,
}

/** Whether a gap is too long to load page by page: then the newest page replaces the tail. */
export const isFar = (log: Log): boolean => log.head - lastSeq(log) > MAX_PAGES * LONG_PAGE

export function createThread(core: Core, options: ThreadOptions, id: string): Thread {
  let log: Log = { ...emptyLog, me: core.me() }
  let error: LamplightError | null = null
  let failures = 0
  /** How often entries that are known to exist were not in the answer. */
  let misses = 0
  /** The last older page was empty although the server had announced more. */
  let isStuck = false
  let isRemoved = false
  let openCount = 0
  let cancelAgain = () => {}
  /** Whether the user reads above the end. */
  let stays = false
  /** The `seq` of that position, if it is known. */
  let place: number | undefined
  /** Whether that position is the target of the last jump. */
  let isAtTarget = false
  /** Counts jumps: only the last one may change the shown segment. */
  let jumps = 0
  /** Counts resets: answers to earlier requests belong to another log. */
  let resets = 0
  let rows = createRows(core.me)
  const typing = createTyping(core, id)
  const readers = createReaders()
  const draft = view("", () => options.draft(id))
  const item = view<ConversationInfo | null>(null, () => options.list.info(id))
  const history = createHistory(core, id)

  const messages = view<MessagesState>(nothing, (last) => {
    const all = rows(log, options.items(id))
    const { from, to } = shown(log)
    const { systemRows, users } = options.groups.extras(id, from, to)
    const line = core.connection.state.get()
    const catchingUp = hasGap(log) || line.status === "catching-up"
    const current = line.status === "connected" || line.overHttp
    return same(last, {
      status: log.loaded || log.view !== null ? "ready" : error ? "error" : "loading",
      rows: same(last.rows, all),
      systemRows,
      users,
      isRemoved,
      isEmpty: log.loaded && !all.length && !hasOlder(log) && !catchingUp && current,
      hasOlder: hasOlder(log),
      loadingOlder: older.busy(),
      hasNewer: log.view !== null,
      loadingNewer: newer.busy(),
      catchingUp,
      canChange: history.isFolded(),
      headSeq: log.head,
      readSeq: options.list.get(id)?.readSeq ?? 0,
      error,
    })
  })

  function change(grown: Log, fresh: readonly LogEntry[] = [], side = grownSide()): void {
    // The last entries are enough for a conversation that is not open.
    const next = trim(grown, side, openCount || side === OLDER ? MAX_ENTRIES : LONG_PAGE, place)
    if (next === log) return
    log = next
    for (const entry of fresh) core.events.emit("stored", entry)
    options.list.recount(id)
    messages.touch()
    showSome()
  }

  /** The side that grows by entries that were not requested. The user may read at an unknown position above them. */
  const grownSide = (): Side => (stays && place === undefined ? OLDER : NEWER)

  /** Returns whether the log, the user and the server's data are still those of now. */
  function since(): () => boolean {
    const epoch = core.epoch()
    const began = resets
    return () => core.isCurrent(epoch) && resets === began
  }

  /** Loads a page. `then` is applied in the same step. */
  async function take(request: HistoryRequest, then: (log: Log) => Log = (next) => next): Promise<Page> {
    const isCurrent = since()
    const page = await history.take(request, () => log.forgotten)
    if (isCurrent()) await options.groups.complete(id, page)
    const side = request.direction === "before" ? OLDER : log.view === null ? undefined : NEWER
    if (isCurrent()) change(then(addPage(log, page)), page.entries, side)
    return page
  }

  /** A request that runs once at a time and whose failure is shown. */
  const fetching = (work: () => Promise<unknown>, ended: () => void) =>
    single(
      async () => {
        const isCurrent = since()
        if (!core.me() || !isCurrent()) return
        try {
          await work()
          if (!isCurrent()) return
          failures = 0
          error = null
        } catch (thrown) {
          if (!isCurrent()) return
          error = toError(thrown)
          failures++
          // Removed while no socket could tell it.
          if (error.code === "not_found" && options.list.get(id)) options.gone(id, error)
          throw error
        }
      },
      () => {
        ended()
        messages.touch()
      },
    )

  const load = fetching(
    () => take({ direction: "newest", limit: PAGE }),
    () => {
      if (!log.loaded) return again()
      fill()
      if (openCount) loadRest()
    },
  )
  const older = fetching(async () => {
    const { from } = shown(log)
    await take({ direction: "before", at: from || undefined, limit: PAGE })
    isStuck = shown(log).from === from
  }, showSome)
  const newer = fetching(
    () => take({ direction: "after", at: shown(log).to, limit: PAGE }),
    () => {},
  )
  /** Loads the entries after the tail. */
  const rest = fetching(
    async () => {
      const isCurrent = since()
      const began = lastSeq(log)
      for (let pages = 0; !isFar(log) && pages < MAX_PAGES; pages++) {
        const before = lastSeq(log)
        const page = await take({ direction: "after", at: before, limit: LONG_PAGE, raw: true })
        if (!isCurrent()) return
        misses = lastSeq(log) > began ? 0 : misses + 1
        if (!page.hasAfter && (!hasGap(log) || lastSeq(log) === before)) return
      }
      // A user who reads further up stays there, before a gap.
      const place = log.view ?? (stays ? lastSeq(log) : null)
      await take({ direction: "newest", limit: PAGE }, (next) => look(next, place))
      if (!isCurrent()) return
      await renew()
      // Only the list can tell how many of the skipped messages are unread.
      options.list.refreshSoon()
    },
    () => {
      if (hasGap(log)) again()
    },
  )

  /**
   * Loads the shown messages again, those nearest to the end first, if entries were skipped that may have changed them. Those
   * that are too many are dropped.
   */
  async function renew(): Promise<void> {
    if (log.view === null || !history.isFolded()) return
    const isCurrent = since()
    change(cutShown(log, MAX_PAGES * LONG_PAGE, place))
    for (let at = shown(log).to + 1; isCurrent() && log.view !== null; ) {
      const { length } = shown(log).messages.filter(({ base }) => base.seq < at)
      if (!length) return
      const { range } = await take({ direction: "before", at, limit: Math.min(length, LONG_PAGE) })
      if (!range || range.from >= at) return
      at = range.from
    }
  }

  function follow(always = false): Promise<void> {
    if (!log.loaded) return load()
    return hasGap(log) || always ? rest() : Promise.resolve()
  }

  /** Retries failed loads, with growing delays. */
  function again(): void {
    cancelAgain()
    if ((error && !error.retryable) || !core.me() || !core.isCurrent(core.epoch())) return
    cancelAgain = core.clock.after(delayAfter(error, failures + misses, 500, 15_000, core.random), () =>
      follow().catch(() => {}),
    )
  }

  /** Shows the end, which becomes the user's position. */
  function showEnd(): void {
    jumps++
    stays = false
    place = undefined
    change(look(log, null))
  }

  /** A user who loads more pages after a jump has moved on, also if the page does not report a position. */
  function leaveTarget(): void {
    if (isAtTarget) place = undefined
    isAtTarget = false
  }

  function jumpToNewest(): Promise<void> {
    showEnd()
    return follow()
  }

  function accept(entry: LogEntry): void {
    if (isMessage(entry)) typing.stop(entry.senderId)
    // The first page will contain it, unless the conversation is open, loaded or loading.
    if (log.loaded || load.busy() || openCount) change(addEntries(log, [entry]))
    core.events.emit("stored", entry)
    options.list.addEntry(entry)
    fill()
  }

  const actions = createActions({
    log: () => log,
    rows: () => messages.get().rows,
    isWaiting: (clientMessageId) =>
      options.items(id).some((item) => item.clientMessageId === clientMessageId && !item.write),
    send: (content, extras) => options.send(id, content, extras),
    write: (target, action) => options.write(id, target, action),
  })

  /** Loads the rest of an open conversation. `sync` continues from the last entry, so the page must be loaded first. */
  function loadRest(): void {
    showSome()
    options.sync(id)
    inBackground(options.list.find(id))
  }

  /** Fetches older pages until there is a message to show: a page may hold entries of other kinds only. */
  function showSome(): void {
    if (openCount && hasOlder(log) && !error && !isStuck && !shown(log).messages.length) inBackground(older())
  }

  /** Loads missing entries. During the catch-up `sync` returns them. */
  function fill(): void {
    if (hasGap(log) && core.connection.state.get().status !== "catching-up") inBackground(follow())
  }

  return {
    id,
    messages,
    typing: typing.store,
    draft,
    readers: readers.store,
    item,
    open() {
      let mine = true
      if (++openCount === 1) {
        core.connection.emit("join_conversation", { conversationId: id })
        if (log.loaded) inBackground(follow().then(loadRest))
        else inBackground(load())
      }
      return () => {
        if (!mine) return
        mine = false
        if (--openCount > 0) return
        const full = log
        core.connection.emit("leave_conversation", { conversationId: id })
        showEnd()
        // The rows of dropped messages are dropped, too.
        if (log !== full) rows = createRows(core.me)
        messages.get()
      }
    },
    stay(isAbove, seq) {
      stays = isAbove
      place = isAbove ? seq : undefined
      isAtTarget = false
    },
    loadOlder() {
      if (!hasOlder(log)) return Promise.resolve()
      leaveTarget()
      const done = older()
      messages.touch()
      return done
    },
    loadNewer() {
      if (log.view === null) return Promise.resolve()
      leaveTarget()
      const done = newer()
      messages.touch()
      return done
    },
    async jumpTo(seq) {
      const mine = ++jumps
      const show = (next: Log): Log => {
        if (mine !== jumps) return next
        // Rows that are loaded around it, or arrive a moment later, must not evict it.
        place = nearest(next, seq)
        isAtTarget = true
        return look(next, place)
      }
      if (holds(log, seq)) change(show(log))
      else await take({ direction: "around", at: seq, limit: AROUND }, show)
    },
    seqAt: (time) => import("./places.js").then(({ seqAt }) => seqAt(core, id, time)),
    pinned: (before) => import("./places.js").then(({ pinned }) => pinned(core, id, before)),
    jumpToNewest,
    async reload() {
      error = null
      messages.touch()
      await follow(true)
    },
    ...actions,
    async send(content, extras = {}) {
      typing.sent()
      const result = await actions.send(content, extras)
      // The message appears at the end: show that.
      if (result.ok && log.view !== null) inBackground(jumpToNewest())
      return result
    },
    setTyping: typing.set,
    setDraft: (text) => options.setDraft(id, text),
    setSettings: (change) => options.setSettings(id, change),
    markRead(upTo = shown(log).to) {
      // An entry that is not there cannot have been read: it may belong to a log that has been replaced.
      const seq = Math.min(upTo, Math.max(log.head, options.list.get(id)?.headSeq ?? 0))
      if (seq > 0 && options.list.read(id, seq)) options.mark(id, seq)
    },

    log: () => log,
    count: (readSeq) => countUnread(log, readSeq, core.me() ?? ""),
    newest: () => newestMessage(log),
    findSent: (clientMessageId) =>
      findMessage(log, (one) => one.clientMessageId === clientMessageId && one.senderId === core.me()),
    isOpen: () => openCount > 0,
    accept,
    synced(answer) {
      if (log.loaded) change(knowHead(addEntries(log, answer.entries), answer.headSeq), answer.entries)
      for (const entry of answer.entries) options.list.addEntry(entry)
      for (const receipt of answer.receipts) this.receipt(receipt)
      options.list.read(id, answer.readSeq)
    },
    restored(answer) {
      const { entries, firstSeq } = answer
      const isHere = log.loaded && entries.length > 0
      this.reset()
      if (isHere) {
        const hasBefore = (entries[0]?.seq ?? firstSeq) > firstSeq
        change(addPage(log, { direction: "newest", entries, hasBefore }), entries)
      } else if (openCount) inBackground(follow())
      this.synced(answer)
    },
    receipt(receipt) {
      if (receipt.userId === core.me()) options.list.read(id, receipt.readSeq)
      readers.put(receipt)
    },
    onTyping: typing.received,
    rejoin() {
      if (openCount) core.connection.emit("join_conversation", { conversationId: id })
    },
    follow,
    touch() {
      // The thread may have been created before the user was known.
      if (log.me !== core.me()) log = { ...log, me: core.me() }
      const next = log.loaded ? knowHead(log, options.list.get(id)?.headSeq ?? 0) : log
      const more = next !== log
      log = next
      item.touch()
      messages.touch()
      if ((isRemoved || error?.code === "not_found") && options.list.get(id)) {
        this.reset()
        if (openCount) inBackground(follow())
      } else if (more) fill()
    },
    sendError: () => (error?.code === "not_found" || error?.code === "forbidden" ? error : null),
    touchDraft: draft.touch,
    fail(refusal, wasMember) {
      if (wasMember) this.reset()
      error = refusal
      isRemoved ||= wasMember
      messages.touch()
    },
    reset() {
      cancelAgain()
      jumps++
      resets++
      place = undefined
      log = { ...emptyLog, me: core.me() }
      error = null
      for (const fetch of [load, older, newer, rest]) fetch.drop()
      failures = misses = 0
      isStuck = isRemoved = false
      rows = createRows(core.me)
      typing.reset()
      readers.store.set({})
      draft.touch()
      item.touch()
      messages.touch()
    },
  }
}
