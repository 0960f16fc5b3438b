import type { MessagesState } from "@lamplight/client"
import { useEffect, useRef, useState } from "react"

/**
 * Where the unread divider stands: after this `seq`, or nowhere. It is set when the conversation is opened with unread
 * messages, or when one comes while nobody reads; it then stands still while one reads, though the marks move on, and
 * goes when one answers, or has read all and turned away.
 */
export function useDivider(messages: MessagesState, selfId: string, reading: boolean, unreadCount: number) {
  const [unreadAfter, setUnreadAfter] = useState<number | null>(null)
  const opened = useRef(false)
  const { status, rows, readSeq, hasNewer } = messages
  const last = rows.findLast((row) => row.seq !== null)
  const isUnread = last?.seq != null && last.seq > readSeq && hasUnread(rows, readSeq, selfId)
  // After a jump into the past, unread messages may be further down than the rows. The log's head does not tell: entries of other kinds
  // may be all that follows.
  const unread = isUnread || (hasNewer && unreadCount > 0)

  if (status === "ready" && !opened.current) {
    opened.current = true
    // Set while rendering, so that the first painting already knows where to begin.
    if (unread) setUnreadAfter(readSeq)
  }

  useEffect(() => {
    if (!opened.current || reading) return
    // Not read by anyone now: forget an old divider once all is read, and mark where the new ones begin.
    setUnreadAfter((at) => (unread ? (at ?? readSeq) : null))
  }, [reading, unread, readSeq])

  return {
    unreadAfter,
    /** One has answered. What was still unseen above the answer stays marked; else the divider has done its work. */
    sent(unseen: number, seenSeq: number | null) {
      setUnreadAfter(unseen > 0 && seenSeq !== null ? seenSeq : null)
    },
  }
}

function hasUnread(rows: MessagesState["rows"], readSeq: number, selfId: string): boolean {
  for (let i = rows.length - 1; i >= 0; i -= 1) {
    const row = rows[i]
    if (!row || row.seq === null) continue
    if (row.seq <= readSeq) return false
    if (row.senderId !== selfId) return true
  }
  return false
}
