import { useLamplight } from "@lamplight/react"
import { useEffect } from "react"
import { describeFiles } from "../files/layout"
import { words } from "../strings"
import { chime, isLookedAt, LOOK_AGAIN_MS, lookAt, notificationsWanted, soundWanted } from "./attention"
import { useReading } from "./hooks"

/**
 * One sound and one notification for a message, however many tabs are open, and none for a conversation that
 * the user is looking at.
 */
export function Notify({
  selected,
  onShow,
}: {
  selected: string | null
  onShow: (conversationId: string) => void
}) {
  const client = useLamplight()
  const reading = useReading()

  useEffect(() => {
    if (!reading) return
    lookAt(selected)
    const again = setInterval(() => lookAt(selected), LOOK_AGAIN_MS)
    return () => {
      clearInterval(again)
      lookAt(null)
    }
  }, [reading, selected])

  useEffect(
    () =>
      client.onMessage((message, isLeader, isSilent) => {
        if (!isLeader || isSilent || isLookedAt(message.conversationId)) return
        if (soundWanted()) chime()
        if (!notificationsWanted()) return
        const item = client.conversation(message.conversationId).item.get()
        const sender = item?.members.find((member) => member.id === message.senderId)?.name
        const group = item?.kind === "group" && item.name
        const title = group ? (sender ? words.groups.from(sender, group) : group) : sender
        const notification = new Notification(title || words.product, {
          body: message.content.slice(0, 140) || describeFiles(message.attachments ?? []),
          // The next notification of the same conversation replaces this one.
          tag: message.conversationId,
        })
        notification.onclick = () => {
          focus()
          onShow(message.conversationId)
          notification.close()
        }
      }),
    [client, onShow],
  )
  return null
}
