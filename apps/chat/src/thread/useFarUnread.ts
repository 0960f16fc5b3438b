import type { MessageRow } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import type { Virtualizer } from "@tanstack/react-virtual"
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react"
import { firstUnreadIsKnown, type Row, type RowOptions } from "../logic/rows"
import { words } from "../strings"
import { tellFailure } from "../ui/failure"

/** How many frames the rows around the divider may take to be laid out. */
const FRAMES = 30

/**
 * More is unread than was fetched on opening, so one is at the end and the first of it is out of sight. Nothing is taken
 * for read until one has been led there, or has scrolled there, or has let it be.
 */
export function useFarUnread(props: {
  id: string
  rows: readonly Row<MessageRow>[]
  options: RowOptions
  virtualizer: Virtualizer<HTMLDivElement, HTMLDivElement>
  /** The first unread message is in view. */
  onThere: () => void
}) {
  const { id, rows, options, virtualizer, onThere } = props
  const { unreadAfter, selfId } = options
  const handle = useLamplight().conversation(id)
  const [done, setDone] = useState<number | null>(null)
  const [leadingTo, setLeadingTo] = useState<number | null>(null)
  const mounted = useRef(true)
  // Once far it stays so, though the page with the first of it may come by itself: it has not been seen by that.
  const [missed, setMissed] = useState<number | null>(null)
  if (
    unreadAfter !== null &&
    missed !== unreadAfter &&
    !handle.messages.get().hasNewer &&
    !firstUnreadIsKnown(handle.messages.get().rows, options)
  )
    setMissed(unreadAfter)
  const far = unreadAfter !== null && missed === unreadAfter && done !== unreadAfter
  // An answer on the way there has read all above it: then there is nothing to be led to.
  const leading = far && leadingTo === unreadAfter

  useEffect(() => {
    mounted.current = true
    return () => {
      mounted.current = false
    }
  }, [])

  /** Shows the messages around the first unread one; where that stands in the document, the effect below goes there. */
  const lead = useCallback(async () => {
    if (unreadAfter === null) return
    setLeadingTo(unreadAfter)
    const isThere = () =>
      firstUnreadIsKnown(handle.messages.get().rows, { hasOlder: true, unreadAfter, selfId })
    try {
      await handle.jumpTo(unreadAfter + 1)
      // Somebody else led away meanwhile.
      if (mounted.current && !isThere()) setLeadingTo(null)
    } catch (thrown) {
      setLeadingTo(null)
      tellFailure(words.thread.olderFailed, thrown)
    }
  }, [handle, unreadAfter, selfId])

  const divider = far ? rows.findIndex((row) => row.kind === "unread") : -1
  const scrolled = divider >= 0 && (virtualizer.range?.startIndex ?? divider + 1) <= divider
  useEffect(() => {
    if (scrolled && !leading) setDone(unreadAfter)
  }, [scrolled, leading, unreadAfter])

  // Before it is painted: what one came from is not shown at the place where one was.
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

  return { far, leading, lead, letBe: () => setDone(unreadAfter) }
}
