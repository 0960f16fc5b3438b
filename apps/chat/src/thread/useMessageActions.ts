import type { MessageRow } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { type RefObject, useCallback, useMemo, useState } from "react"
import { toast } from "sonner"
import { focusComposer } from "../app/regions"
import { rememberEmoji } from "../logic/recent-emoji"
import { words } from "../strings"
import { copyText } from "../ui/clipboard"
import { showFailure } from "../ui/failure"
import type { ThreadActions } from "./actions"
import type { LogControl } from "./Log"

/** What the user does to messages, and the reply, the edit or the deletion that is under way. */
export function useMessageActions(props: {
  id: string
  selfId: string
  nameOf: (userId: string) => string
  log: RefObject<LogControl | null>
}) {
  const { id, selfId, nameOf, log } = props
  const conversation = useLamplight().conversation(id)
  const [reply, setReply] = useState<MessageRow | null>(null)
  const [editing, setEditing] = useState<MessageRow | null>(null)
  const [deleting, setDeleting] = useState<MessageRow | null>(null)

  const actions = useMemo<ThreadActions>(
    () => ({
      reply(row) {
        setEditing(null)
        setReply(row)
        focusComposer()
      },
      edit: setEditing,
      react(row, emoji) {
        const messageId = row.message?.id
        if (messageId === undefined) return
        rememberEmoji(emoji)
        void conversation.react(messageId, emoji).then((result) => {
          if (!result.ok) showFailure(words.message.notChanged.reaction, result.error)
        })
      },
      remove: setDeleting,
      copy(row) {
        copyText(row.content).then(
          () => toast(words.message.copied),
          (thrown: unknown) => showFailure(words.message.copyFailed, thrown),
        )
      },
      jump: (seq) => log.current?.show(seq),
      nameOf: (userId) => (userId === selfId ? words.thread.you : nameOf(userId)),
    }),
    [conversation, selfId, nameOf, log],
  )

  const endReply = useCallback(() => setReply(null), [])
  const endEdit = useCallback(() => {
    setEditing(null)
    focusComposer()
  }, [])
  /** Edits the user's last message. */
  const editLast = useCallback(() => {
    const { rows, canChange } = conversation.messages.get()
    const last = rows.findLast((row) => row.mine && row.state === "sent" && row.deletedAt === null)
    if (canChange && last) setEditing(last)
  }, [conversation])

  function remove(row: MessageRow) {
    const messageId = row.message?.id
    if (messageId === undefined) return
    void conversation.remove(messageId).then((result) => {
      if (!result.ok) showFailure(words.message.notChanged.delete, result.error)
    })
  }

  return { actions, reply, editing, deleting, endReply, endEdit, editLast, setDeleting, remove }
}
