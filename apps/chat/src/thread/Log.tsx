import type { MessageRow, User } from "@lamplight/client"
import { type ConversationView, useReaders, useUnread } from "@lamplight/react"
import { defaultRangeExtractor, useVirtualizer, type Virtualizer } from "@tanstack/react-virtual"
import {
  type Ref,
  useCallback,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react"
import { useToday } from "../app/hooks"
import { createRowBuilder, type Row } from "../logic/rows"
import { withSystem } from "../logic/system"
import { firstBehindFailed } from "../logic/unsent"
import { words } from "../strings"
import { showFailure } from "../ui/failure"
import { overlay } from "../ui/overlay"
import { copyMessages } from "./copy"
import { deliveryState, slowestReader } from "./delivery-state"
import { countUnseen, estimate, PADDING_END, PADDING_START, startOffset } from "./estimate"
import { heightsOf, rememberHeights } from "./heights"
import { LogRow } from "./LogRow"
import { AboveLog, BelowLog } from "./Overlays"
import { useDateAt } from "./useDateAt"
import { useFarUnread } from "./useFarUnread"
import { useHold } from "./useHold"
import { useLetGo } from "./useLetGo"
import { useLoadAhead } from "./useLoadAhead"
import { useRowActions } from "./useRowActions"
import { useSettled } from "./useSettled"
import { useShow } from "./useShow"

const FloatingDay = overlay((overlays) => overlays.FloatingDay)

/** Within this distance of the end the view counts as at the end. */
const END_PX = 64
/** So many rows are drawn beyond the view, so that a scroll meets them: at first few, and the others once the page is idle. */
const OVERSCAN_ROWS = 12
const FIRST_OVERSCAN_ROWS = 2
/** The size of the log that was drawn last, in pixels: the next one most often has the same. */
let lastRect = { width: 0, height: 0 }
/** More messages are loaded when the view is this many rows from the end of what is loaded. */
const AHEAD_ROWS = 12

/** The log's interface for the composer. */
export interface LogControl {
  toEnd(): void
  /** How many messages of others have not been in view. */
  unseen(): number
  /** The newest message that has been in view. */
  seenSeq(): number | null
  /** Shows the message with this `seq`, or with `orNext` the one after it, and gives it the focus. */
  show(seq: number, orNext?: boolean): void
}

/**
 * The messages. Only rows near the view are in the document. The virtualiser keeps the visible rows in place
 * while older pages are inserted above, and stays at the end while the view is at the end.
 */
export function Log(props: {
  ref: Ref<LogControl>
  conversation: ConversationView
  self: User
  members: readonly User[]
  isGroup: boolean
  name: string
  nameOf: (userId: string) => string
  /** By id, what tells members of like names apart. */
  handles: ReadonlyMap<string, string>
  unreadAfter: number | null
  reading: boolean
  onOut: () => void
}) {
  const { ref, conversation, self, members, isGroup, name, nameOf, handles, unreadAfter, reading, onOut } =
    props
  const { messages, loadOlder, loadNewer, jumpToNewest, stay, markRead } = conversation
  const { hasOlder, hasNewer } = messages
  const [build] = useState(() => createRowBuilder<MessageRow>())
  const options = { hasOlder, hasNewer, unreadAfter, selfId: self.id, isNamed: isGroup }
  const merged = useMemo(
    () => withSystem(messages.rows, messages.systemRows),
    [messages.rows, messages.systemRows],
  )
  const rows = build(merged, options)
  const today = useToday()
  const readers = useReaders(conversation.id)
  const reader = useMemo(() => slowestReader(members, self.id, readers), [members, self.id, readers])
  const frame = useRef<HTMLDivElement>(null)
  const pinned = useRef(true)
  /** The first message in view, around which the client keeps what it has loaded. */
  const place = useRef<number>(undefined)
  /**
   * Whether the view is at the end and stays there when messages arrive; otherwise it stays where the user
   * reads.
   */
  const pin = useCallback(
    (isPinned: boolean) => {
      pinned.current = isPinned
      stay(!isPinned, place.current)
    },
    [stay],
  )
  const [current, setCurrent] = useState<string | null>(null)
  const [seen, setSeen] = useState<number | null>(null)
  const [atEnd, setAtEnd] = useState(true)
  const { hovered, menu, setMenu, pointer } = useRowActions(messages.canChange)

  const keys = useMemo(() => new Map(rows.map((row, i) => [row.key, i])), [rows])
  const newestOwn = useMemo(
    () => messages.rows.findLast((message) => message.mine && message.seq !== null)?.key,
    [messages.rows],
  )
  const behindFailed = useMemo(() => firstBehindFailed(messages.rows), [messages.rows])
  const currentIndex = current === null ? undefined : keys.get(current)

  const isSettled = useSettled(frame)
  const [heights] = useState(() => heightsOf(conversation.id, lastRect.width))
  const heightOf = (row: Row<MessageRow> | undefined) => (row && heights.get(row.key)) ?? estimate(row)
  const virtualizer = useVirtualizer<HTMLDivElement, HTMLDivElement>({
    count: rows.length,
    getScrollElement: () => frame.current,
    estimateSize: (index) => heightOf(rows[index]),
    // The same function for the same rows: with another one, all of them are laid out again.
    getItemKey: useCallback((index: number) => rows[index]?.key ?? index, [rows]),
    overscan: isSettled ? OVERSCAN_ROWS : FIRST_OVERSCAN_ROWS,
    paddingStart: PADDING_START,
    paddingEnd: PADDING_END,
    anchorTo: "end",
    // The end of the rows is not the end of the log after a jump into the past.
    followOnAppend: !hasNewer,
    scrollEndThreshold: hasNewer ? -1 : END_PX,
    // Starts near the place to show, so that nothing is painted at the wrong place first, and in the size of the last log, so that the
    // rows in view are drawn at once.
    initialRect: lastRect,
    initialOffset: () => startOffset(rows, lastRect.height, heightOf),
    rangeExtractor: (range) => {
      const indexes = defaultRangeExtractor(range)
      // The row with the focus stays in the document, or the focus would be lost.
      if (
        currentIndex !== undefined &&
        (currentIndex < (indexes[0] ?? 0) || currentIndex > (indexes.at(-1) ?? 0))
      ) {
        indexes.push(currentIndex)
        indexes.sort((a, b) => a - b)
      }
      return indexes
    },
    onChange: (instance) => look(instance),
  })

  // Read in handlers and in the virtualiser's callbacks, which must not wait for the next render.
  const rowsNow = useRef(rows)
  rowsNow.current = rows

  const look = useCallback(
    (instance: Virtualizer<HTMLDivElement, HTMLDivElement>) => {
      setAtEnd(instance.isAtEnd(END_PX))
      const { range, scrollRect } = instance
      if (scrollRect?.height) lastRect = scrollRect
      if (range === null) return
      place.current = seqNear(rowsNow.current, range.startIndex, 1)
      stay(!pinned.current, place.current)
      const seq = seqNear(rowsNow.current, range.endIndex, -1)
      if (seq !== undefined) setSeen((before) => (before === null || seq > before ? seq : before))
    },
    [stay],
  )

  useLayoutEffect(() => {
    const { itemSizeCache } = virtualizer
    return () => rememberHeights(conversation.id, lastRect.width, rowsNow.current, itemSizeCache)
  }, [virtualizer, conversation.id])

  useLetGo({ keys, virtualizer, frame, current, setCurrent })
  const hold = useHold({ virtualizer, frame, pin })

  // Scrolls to the divider, or to the end, once the rows around it are measured.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, on opening
  useLayoutEffect(() => {
    const divider = rows.findIndex((row) => row.kind === "unread")
    if (divider >= 0) {
      virtualizer.scrollToIndex(Math.max(0, divider - 1), { align: "start" })
      pin(false)
    } else virtualizer.scrollToEnd()
    look(virtualizer)
  }, [])

  // When the window changes its height (a keyboard, a growing composer, a banner), a view at the end stays at
  // the end, and any other keeps its rows at the same place on the screen.
  useEffect(() => {
    const element = frame.current
    if (!element) return
    let top = element.getBoundingClientRect().top
    const observer = new ResizeObserver(() => {
      const before = top
      top = element.getBoundingClientRect().top
      if (pinned.current) virtualizer.scrollToEnd()
      else element.scrollTop += top - before
      look(virtualizer)
    })
    observer.observe(element)
    return () => observer.disconnect()
  }, [virtualizer, look])

  // After a change of the window's width rows are measured again one by one, and each moves the end.
  const totalSize = virtualizer.getTotalSize()
  // biome-ignore lint/correctness/useExhaustiveDependencies: with each change of the size
  useLayoutEffect(() => {
    if (pinned.current) virtualizer.scrollToEnd()
  }, [virtualizer, totalSize])

  const lastKey = rows.at(-1)?.key
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new row at the end is looked at where it landed
  useEffect(() => look(virtualizer), [virtualizer, look, lastKey])

  const items = virtualizer.getVirtualItems()
  const older = useLoadAhead({
    near: (items[0]?.index ?? 0) < AHEAD_ROWS,
    hasMore: hasOlder,
    loading: messages.loadingOlder,
    load: loadOlder,
    edge: messages.rows[0]?.key,
    failure: words.thread.olderFailed,
  })
  const newer = useLoadAhead({
    near: (items.at(-1)?.index ?? 0) >= rows.length - AHEAD_ROWS,
    hasMore: hasNewer,
    loading: messages.loadingNewer,
    load: loadNewer,
    edge: messages.rows.at(-1)?.key,
    failure: words.thread.newerFailed,
  })

  const onThere = useCallback(() => {
    pin(false)
    // Rows in view at the end were not read by scrolling to them.
    setSeen(null)
    look(virtualizer)
    frame.current?.focus({ preventScroll: true })
  }, [virtualizer, look, pin])
  const { far, leading, lead, markAllRead } = useFarUnread({
    id: conversation.id,
    rows,
    options,
    virtualizer,
    onThere,
  })
  const unread = useUnread().byConversation[conversation.id] ?? 0

  // Other rows replace the ones shown: the newest ones, unless the user was led to the first unread message.
  const edges = useRef([messages.rows[0]?.key, messages.rows.at(-1)?.key])
  useLayoutEffect(() => {
    const isReplaced = edges.current.every((key) => key === undefined || !keys.has(key))
    edges.current = [messages.rows[0]?.key, messages.rows.at(-1)?.key]
    if (!isReplaced || hasNewer) return
    pin(true)
    virtualizer.scrollToEnd()
  }, [messages.rows, keys, hasNewer, virtualizer, pin])

  // Read means: a message was in view while the user was reading.
  const held = far || leading
  useEffect(() => {
    if (reading && !held && seen !== null && seen > messages.readSeq) markRead(seen)
  }, [reading, held, seen, messages.readSeq, markRead])

  const dateAt = useDateAt(virtualizer, rowsNow)
  const shownUnseen = useMemo(() => countUnseen(messages.rows, seen), [messages.rows, seen])
  const unseen = hasNewer ? Math.max(unread, shownUnseen) : shownUnseen
  const toEnd = useCallback(() => {
    pin(true)
    jumpToNewest().catch((thrown: unknown) => showFailure(words.thread.newerFailed, thrown))
    // Waits for the layout of the new row.
    requestAnimationFrame(() => virtualizer.scrollToEnd())
  }, [virtualizer, jumpToNewest, pin])
  const { show, target } = useShow({ id: conversation.id, rows, virtualizer, pin, setCurrent })
  useImperativeHandle(ref, () => ({ toEnd, unseen: () => unseen, seenSeq: () => seen, show }), [
    toEnd,
    unseen,
    seen,
    show,
  ])

  /** Moves the focus from message to message and skips the rows in between. */
  function onKeyDown(event: React.KeyboardEvent<HTMLDivElement>) {
    if (event.target instanceof HTMLTextAreaElement) return
    if (event.key === "Escape") {
      event.preventDefault()
      onOut()
      return
    }
    const isOnMessage = (event.target as HTMLElement).matches(".message")
    const opens =
      (event.key === "Enter" && !event.altKey) ||
      event.key === "ContextMenu" ||
      (event.key === "F10" && event.shiftKey)
    if (isOnMessage && opens && messages.canChange) {
      event.preventDefault()
      setMenu((event.target as HTMLElement).dataset.key ?? null)
      return
    }
    // The buttons of a message and its menu have keys of their own.
    if ((event.target as HTMLElement).closest(".action-bar, .menu")) return
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return
    if (event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    const from = currentIndex ?? rows.length
    const step = event.key === "ArrowUp" ? -1 : 1
    for (let i = from + step; i >= 0 && i < rows.length; i += step) {
      const row = rows[i]
      if (row?.kind !== "message") continue
      setCurrent(row.key)
      virtualizer.scrollToIndex(i, { align: "auto" })
      requestAnimationFrame(() =>
        frame.current?.querySelector<HTMLElement>(`[data-index="${i}"] .message`)?.focus(),
      )
      return
    }
  }

  return (
    <div
      ref={frame}
      className="log"
      role="log"
      // New messages are announced by the Announcer, once.
      aria-live="off"
      aria-label={words.regions.log(name)}
      data-testid="log"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard
      tabIndex={0}
      onKeyDown={onKeyDown}
      {...pointer}
      // Only a scroll tells whether the view is at the end: a window that shrinks changes the position
      // without one.
      onScroll={({ currentTarget: log }) => {
        pin(!hasNewer && log.scrollHeight - log.clientHeight - log.scrollTop <= END_PX)
      }}
      onCopy={copyMessages}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) setCurrent(null)
      }}
    >
      {/* The overlays are inside the scrolling element, so that the wheel works over them. */}
      <AboveLog
        unread={far && !leading ? unread : 0}
        loading={messages.loadingOlder || leading}
        failed={older.failed}
        onLead={() => {
          // Pages loaded on the way make the log longer: it must not follow its end.
          pin(false)
          void lead()
        }}
        onMarkAllRead={markAllRead}
        onRetry={older.fetch}
      />
      <FloatingDay log={frame} dateAt={dateAt} today={today} />
      <div className="log-rows" style={{ height: totalSize }}>
        {items.map((item) => {
          const row = rows[item.index]
          if (!row) return null
          return (
            <div
              key={item.key}
              ref={virtualizer.measureElement}
              data-index={item.index}
              className="log-row"
              data-target={row.key === target ? "" : undefined}
              style={{ top: item.start }}
            >
              <LogRow
                row={row}
                name={row.kind === "head" || row.kind === "message" ? nameOf(row.message.senderId) : name}
                handle={row.kind === "head" ? handles.get(row.message.senderId) : undefined}
                today={today}
                selfId={self.id}
                nameOf={row.kind === "system" ? nameOf : undefined}
                isGroup={isGroup}
                delivery={deliveryState(row, reader)}
                newest={row.key === newestOwn}
                behindFailed={row.key === behindFailed}
                canChange={messages.canChange}
                active={row.key === (hovered ?? current)}
                menuOpen={row.key === menu}
                onMenu={setMenu}
                hold={hold}
              />
            </div>
          )
        })}
      </div>
      <BelowLog
        atEnd={atEnd && !hasNewer}
        unseen={unseen}
        failed={newer.failed}
        onRetry={newer.fetch}
        onEnd={() => {
          toEnd()
          frame.current?.focus({ preventScroll: true })
        }}
      />
    </div>
  )
}

/** The `seq` of the first stored message from a row on, upwards or downwards. */
function seqNear(rows: readonly Row<MessageRow>[], from: number, step: 1 | -1): number | undefined {
  for (let i = Math.min(from, rows.length - 1); i >= 0 && i < rows.length; i += step) {
    const row = rows[i]
    if (row?.kind === "message" && row.message.seq !== null) return row.message.seq
  }
}
