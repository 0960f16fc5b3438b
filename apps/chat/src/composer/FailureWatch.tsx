import type { User } from "@lamplight/client"
import { useConversations, useOutbox } from "@lamplight/react"
import { useEffect, useRef } from "react"
import { toast } from "sonner"
import { words } from "../strings"
import { reason } from "../ui/failure"

/** Says once, in plain words, that a message was refused, wherever one is by then. The row itself stays until mended. */
export function FailureWatch({ self, onShow }: { self: User; onShow: (conversationId: string) => void }) {
  const { items } = useOutbox()
  const { items: conversations } = useConversations()
  const told = useRef<Set<string> | null>(null)

  useEffect(() => {
    const failed = items.filter((item) => item.state === "failed")
    // What had failed before this page was opened was told then; its rows still say so.
    const before = told.current
    told.current = new Set(failed.map((item) => item.clientMessageId))
    if (before === null) return
    for (const item of failed) {
      if (before.has(item.clientMessageId)) continue
      const members = conversations.find((it) => it.id === item.conversationId)?.members
      const other = members?.find((member) => member.id !== self.id)
      toast.error(words.message.notSentTo(other?.name ?? null), {
        id: item.clientMessageId,
        description: item.error ? reason(item.error) : words.errors.generic,
        action: { label: words.message.show, onClick: () => onShow(item.conversationId) },
      })
    }
    for (const id of before) if (!told.current.has(id)) toast.dismiss(id)
  }, [items, conversations, self.id, onShow])
  return null
}
