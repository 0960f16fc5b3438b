import type { MessageRow } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import type { Virtualizer } from "@tanstack/react-virtual"
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react"
import { firstUnreadIsKnown, type Row, type RowOptions } from "../logic/rows"
import { words } from "../strings"
import { showFailure } from "../ui/failure"

/** How many frames the layout of the rows around the divider may take. */
const FRAMES = 30

/**
 * More messages are unread than were loaded on opening, so the view is at the end and the first unread one is
 * out of view. Nothing is marked as read until the user has gone there or marked everything as read.
 */
export function useFarUnread(props: {
  id: string
  rows: readonly Row<MessageRow>[]
  options: RowOptions
  virtualizer: Virtualizer<HTMLDivElement, HTMLDivElement>
  /** Called when the first unread message is in view. */
  onThere: () => void
}) {
  const { id, rows, options, virtualizer, onThere } = props
  const { unreadAfter, selfId } = options
  const handle = useLamplight().conversation(id)
  const [done, setDone] = useState<number | null>(null)
  const [leadingTo, setLeadingTo] = useState<number | null>(null)
  const mounted = useRef(true)
  // Once far it stays far, although the page with the first unread message may be loaded meanwhile: it has
  // not been in view. Once near it stays near, although that page may be let go when it is far from the view.
  const [place, setPlace] = useState<{ after: number; isFar: boolean } | null>(null)
  const { rows: loaded, hasNewer, readSeq } = handle.messages.get()
  // Where the user has read on since, what is above may have been let go.
  const firstAfter = Math.max(unreadAfter ?? 0, readSeq)
  // After a jump into the past the unread ones are further down; a link may also lead to one of them, behind the first.
  const isBehind = !hasNewer || (loaded.at(-1)?.seq ?? 0) > firstAfter
  if (unreadAfter !== null && place?.after !== unreadAfter && isBehind)
    setPlace({
      after: unreadAfter,
      isFar: !firstUnreadIsKnown(loaded, { ...options, unreadAfter: firstAfter }),
    })
  const far = unreadAfter !== null && place?.after === unreadAfter && place.isFar && done !== unreadAfter
  // An answer marks everything above it as read: then there is no place to go to.
  const leading = far && leadingTo === unreadAfter

  useEffect(() => {
    mounted.current = true
    return () => {
      mounted.current = false
    }
  }, [])

  /**
   * Loads the messages around the first unread one. The effect below scrolls to it once it is in the
   * document.
   */
  const lead = useCallback(async () => {
    if (unreadAfter === null) return
    setLeadingTo(unreadAfter)
    const isThere = () =>
      firstUnreadIsKnown(handle.messages.get().rows, { hasOlder: true, unreadAfter, selfId })
    try {
      await handle.jumpTo(unreadAfter + 1)
      // The user went somewhere else meanwhile.
      if (mounted.current && !isThere()) setLeadingTo(null)
    } catch (thrown) {
      setLeadingTo(null)
      showFailure(words.thread.olderFailed, thrown)
    }
  }, [handle, unreadAfter, selfId])

  const divider = far ? rows.findIndex((row) => row.kind === "unread") : -1
  const scrolled = divider >= 0 && (virtualizer.range?.startIndex ?? divider + 1) <= divider
  useEffect(() => {
    if (scrolled && !leading) setDone(unreadAfter)
  }, [scrolled, leading, unreadAfter])

  // Before the paint: the former rows must not be shown at the new place.
  useLayoutEffect(() => {
    if (divider < 0 || !leading) return
    virtualizer.scrollToIndex(Math.max(0, divider - 1), { align: "start" })
    let left = FRAMES
    const look = () => {
      left -= 1
      if (left > 0 && (virtualizer.range?.startIndex ?? divider + 1) > divider) {
        frame = requestAnimationFrame(look)
        return
      }
      setDone(unreadAfter)
      setLeadingTo(null)
      onThere()
    }
    let frame = requestAnimationFrame(look)
    return () => cancelAnimationFrame(frame)
  }, [divider, leading, virtualizer, unreadAfter, onThere])

  return { far, leading, lead, markAllRead: () => setDone(unreadAfter) }
}
