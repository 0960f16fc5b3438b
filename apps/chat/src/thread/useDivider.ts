import type { ConversationInfo, MessagesState } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useEffect, useRef, useState, useSyncExternalStore } from "react"

/**
 * Whether it is known how far the user has read. The list says it, and may come after the messages: all of them would be new until
 * then. A list that has come without this conversation, or fails, is not waited for.
 */
export function useIsMarked(item: ConversationInfo | null): boolean {
  const { conversations } = useLamplight()
  const isListed = useSyncExternalStore(
    conversations.subscribe,
    () => conversations.get().status !== "loading",
  )
  return item !== null || isListed
}

/**
 * The place of the unread divider: after this `seq`, or nowhere. It is set when the thread opens with unread
 * messages, or when one arrives while the user is not reading. It stays while the user reads, although the
 * mark moves, and disappears when the user answers, or has read everything and left.
 */
export function useDivider(
  messages: MessagesState,
  item: ConversationInfo | null,
  isMarked: boolean,
  selfId: string,
  reading: boolean,
) {
  const [unreadAfter, setUnreadAfter] = useState<number | null>(null)
  const opened = useRef(false)
  const { status, rows, readSeq, hasNewer } = messages
  const last = rows.findLast((row) => row.seq !== null)
  const isUnread = last?.seq != null && last.seq > readSeq && hasUnread(rows, readSeq, selfId)
  // After a jump into the past, unread messages may be further down than the rows. The log's head does not
  // tell: only entries of other kinds may follow.
  const unread = item !== null && (isUnread || (hasNewer && item.unread > 0))

  // Set while rendering, so that the first paint is already at the right place, and returned at once: whether the thread can be shown
  // depends on it in the same rendering.
  let shownAfter = unreadAfter
  if (status === "ready" && isMarked && !opened.current) {
    opened.current = true
    if (unread) {
      shownAfter = readSeq
      setUnreadAfter(readSeq)
    }
  }

  useEffect(() => {
    if (!opened.current || reading) return
    // The user is not reading: drop a divider after which everything is read, or mark where new messages
    // begin.
    setUnreadAfter((at) => (unread ? (at ?? readSeq) : null))
  }, [reading, unread, readSeq])

  return {
    unreadAfter: shownAfter,
    /**
     * The user has answered. Messages above the answer that were not seen stay marked; otherwise the divider
     * disappears.
     */
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
    if (row.senderId !== selfId && !row.deletedAt) return true
  }
  return false
}
