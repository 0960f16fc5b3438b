import type { OutboxItem, User } from "@lamplight/client"
import { useConversations, useLamplight, useOutbox } from "@lamplight/react"
import { useEffect, useMemo, useRef, useState } from "react"
import { conversationTitle } from "../logic/members"
import { words } from "../strings"
import { reason } from "../ui/failure"
import { toast } from "../ui/toast"

/** A refused reaction or pin needs no alert: the message shows that it is missing. */
const isSmall = ({ write }: OutboxItem) => write?.action.kind === "reaction" || write?.action.kind === "pin"

/**
 * Reports a refused message, or change of one, once, in any open conversation. Its row stays until the user
 * acts; while it is visible, this only announces the failure to screen readers, at once, and later that another try succeeded.
 */
export function FailureWatch(props: {
  self: User
  selected: string | null
  onShow: (conversationId: string) => void
}) {
  const { self, selected, onShow } = props
  const { outbox } = useLamplight()
  const { items } = useOutbox()
  const { items: shown, archived } = useConversations()
  const conversations = useMemo(() => [...shown, ...archived], [shown, archived])
  const reported = useRef<Set<string> | null>(null)
  const [announcement, setAnnouncement] = useState("")
  /** Refused messages that are being retried, each with its announcement after it is sent. */
  const retried = useRef(new Map<string, string>())
  const [sent, setSent] = useState("")

  useEffect(() => {
    const failed = items.filter((item) => item.state === "failed")
    // Failures from before this page were reported then; their rows still show them.
    const before = reported.current
    reported.current = new Set(failed.map((item) => item.clientMessageId))
    if (before === null) {
      for (const item of failed) if (isSmall(item)) void outbox.discard(item.clientMessageId)
      return
    }
    const nameOf = (item: OutboxItem) => {
      const conversation = conversations.find((it) => it.id === item.conversationId)
      return conversation ? conversationTitle(conversation, self.id) : null
    }
    for (const item of items) {
      const { clientMessageId, state, write } = item
      if (state === "failed") retried.current.delete(clientMessageId)
      else if (before.has(clientMessageId) && !write)
        retried.current.set(clientMessageId, words.message.sentTo(nameOf(item)))
    }
    for (const [id, success] of retried.current) {
      if (items.some(({ clientMessageId }) => clientMessageId === id)) continue
      retried.current.delete(id)
      setSent(success)
    }
    for (const item of failed) {
      if (before.has(item.clientMessageId)) continue
      setSent("")
      const name = nameOf(item)
      const what = item.write
        ? words.message.notChanged[item.write.action.kind]
        : words.message.notSentTo(name)
      const why = reason(item.error)
      if (isSmall(item)) void outbox.discard(item.clientMessageId)
      else if (item.conversationId === selected) {
        setAnnouncement(`${what}. ${why}`)
        continue
      }
      toast.error(what, {
        id: isSmall(item) ? `small-${item.clientMessageId}` : item.clientMessageId,
        description: why,
        action: { label: words.message.show, onClick: () => onShow(item.conversationId) },
      })
    }
    for (const id of before) if (!reported.current.has(id)) toast.dismiss(id)
    if (reported.current.size === 0) setAnnouncement("")
  }, [items, conversations, self.id, selected, onShow, outbox])
  return (
    <>
      <p className="sr-only" role="alert">
        {announcement}
      </p>
      <p className="sr-only" role="status">
        {sent}
      </p>
    </>
  )
}
