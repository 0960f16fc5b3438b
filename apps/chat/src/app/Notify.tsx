import { useLamplight } from "@lamplight/react"
import { useEffect, useRef } from "react"
import { pushChoice } from "../device/choice"
import { showNotice } from "../device/show"
import { describeFiles } from "../files/layout"
import { ownPicture } from "../logic/picture"
import { plainStart } from "../logic/plain"
import { useOwnStatus } from "../presence/useOwnStatus"
import type { SignInMode } from "../session/signOut"
import { words } from "../strings"
import { chime, notificationsWanted, RENEW_VIEWED_MS, setViewed, shouldNotify } from "./attention"
import { sound } from "./choices"
import { useReading } from "./hooks"

/** The most characters of a message to show. */
const MAX_TEXT = 140

/**
 * One sound and one notification for a message, however many tabs are open, and none for a conversation that
 * the user is looking at, nor while the user is busy.
 */
export function Notify({
  selfId,
  mode,
  selected,
  onShow,
}: {
  selfId: string
  mode: SignInMode
  selected: string | null
  onShow: (conversationId: string) => void
}) {
  const client = useLamplight()
  const reading = useReading()
  const { state } = useOwnStatus(selfId)
  const isBusy = useRef(false)
  isBusy.current = state === "busy"

  useEffect(() => {
    if (!reading) return
    setViewed(selected)
    const again = setInterval(() => setViewed(selected), RENEW_VIEWED_MS)
    return () => {
      clearInterval(again)
      setViewed(null)
    }
  }, [reading, selected])

  useEffect(
    () =>
      client.onMessage((message, isLeader, isSilent) => {
        const { conversationId } = message
        if (!shouldNotify({ conversationId, isLeader, isSilent, isBusy: isBusy.current })) return
        if (sound.get() === "on") chime()
        if (!notificationsWanted()) return
        const { id, seq, senderId, content, createdAt } = message
        const ids = { conversationId, messageId: id, seq, senderId, createdAt }
        if (pushChoice(selfId) === "private") {
          showNotice(ids, () => onShow(conversationId))
          return
        }
        const item = client.conversation(conversationId).item.get()
        const sender = item?.members.find((member) => member.id === senderId)
        const notice = {
          ...ids,
          senderName: sender?.name || words.product,
          conversationName: (item?.kind === "group" && item.name) || undefined,
          text: plainStart(content, MAX_TEXT) || describeFiles(message.attachments ?? []),
          // Apply the page's content security policy, which does not cover notifications.
          avatarUrl: mode === "local" ? ownPicture(sender?.avatarUrl) : sender?.avatarUrl,
        }
        showNotice(notice, () => onShow(conversationId))
      }),
    [client, selfId, mode, onShow],
  )
  return null
}
