import type { ConversationHandle } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useCallback, useEffect, useRef, useState } from "react"
import { toast } from "sonner"
import { lengthOf, MAX_LENGTH } from "../logic/length"
import { words } from "../strings"
import { reason } from "../ui/failure"

/**
 * The text being written. It is kept as the conversation's draft with every key, so that a switch, a reload or a crash
 * loses nothing. On sending, the field is free at once for the next words, but the draft stays until the outbox has the
 * message. What is refused comes back, unless something newer has been written since.
 */
export function useComposer(id: string, onSent: () => void) {
  const handle = useLamplight().conversation(id)
  const [text, setText] = useState(() => handle.draft.get())
  // What the draft held when we last wrote or read it: anything else came from another tab, or from the store.
  const known = useRef(text)
  const writing = useRef(text)

  const show = useCallback((next: string) => {
    writing.current = next
    setText(next)
  }, [])

  const write = useCallback(
    (next: string) => {
      known.current = next
      show(next)
      handle.setDraft(next)
      handle.setTyping(next.trim() !== "")
    },
    [handle, show],
  )

  useEffect(() => {
    const follow = () => {
      const draft = handle.draft.get()
      if (draft === known.current) return
      // Only where this field shows what the draft was; newer words here are never overwritten.
      const follows = writing.current === known.current
      known.current = draft
      if (follows) show(draft)
    }
    follow()
    return handle.draft.subscribe(follow)
  }, [handle, show])

  const send = useCallback(async () => {
    const content = writing.current
    const over = lengthOf(content) - MAX_LENGTH
    if (over > 0) {
      toast.error(words.composer.overToast(over), { id: "composer-over" })
      return
    }
    if (!content.trim()) return
    known.current = content
    show("")
    handle.setTyping(false)
    onSent()
    const result = await handle.send(content)
    if (!result.ok) giveBack(handle, result.content, reason(result.error))
    // The draft did not change when it was refused, so the field has to be told.
    if (!result.ok && writing.current === "" && handle.draft.get() === result.content) {
      known.current = result.content
      show(result.content)
    }
  }, [handle, show, onSent])

  const leave = useCallback(() => handle.setTyping(false), [handle])

  return { text, write, send, leave }
}

/** Puts refused text back where it came from, in that conversation only, and says why. */
function giveBack(handle: ConversationHandle, content: string, why: string): void {
  const draft = handle.draft.get()
  if (draft === "" || draft === content) {
    handle.setDraft(content)
    toast.error(words.composer.refused(why), { description: words.composer.giveBack })
    return
  }
  toast.error(words.composer.refused(why), {
    description: words.composer.keptBeside,
    duration: Number.POSITIVE_INFINITY,
    action: {
      label: words.composer.restore,
      onClick: () => handle.setDraft(`${content}\n${handle.draft.get()}`.trimEnd()),
    },
  })
}
