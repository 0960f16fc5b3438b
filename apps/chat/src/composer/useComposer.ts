import { type ConversationHandle, isVisible } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useCallback, useEffect, useRef, useState } from "react"
import { toast } from "sonner"
import { takesDraft } from "../logic/draft"
import { lengthOf, MAX_LENGTH } from "../logic/length"
import { words } from "../strings"
import { reason } from "../ui/failure"
import { above, putBack, takeBack } from "./putBack"

/**
 * The text being written. It is kept as the conversation's draft with every key, so that a switch, a reload or a crash
 * loses nothing. On sending, the field is free at once for the next words, but the draft stays until the outbox has the
 * message. What is refused comes back, unless something newer has been written since. Another tab's draft shows here while
 * nobody writes here.
 */
export function useComposer(id: string, onSent: () => void) {
  const handle = useLamplight().conversation(id)
  const [text, setText] = useState(() => handle.draft.get())
  // What the draft held when we last wrote or read it: anything else came from another tab, or from the store.
  const known = useRef(text)
  const writing = useRef(text)
  const typed = useRef(false)
  const inside = useRef(false)
  // The draft has become something that could not be shown here then.
  const missed = useRef(false)

  const show = useCallback((next: string) => {
    writing.current = next
    setText(next)
  }, [])

  const write = useCallback(
    (next: string) => {
      known.current = next
      typed.current = next !== ""
      missed.current = false
      show(next)
      handle.setDraft(next)
      handle.setTyping(isVisible(next))
    },
    [handle, show],
  )

  useEffect(() => {
    const follow = () => {
      const draft = handle.draft.get()
      const before = known.current
      if (draft === before) return
      known.current = draft
      const focused = inside.current && document.hasFocus()
      const takes = takesDraft({ field: writing.current, before, draft, typed: typed.current, focused })
      missed.current = !takes
      if (!takes) return
      typed.current = false
      show(draft)
    }
    follow()
    return handle.draft.subscribe(follow)
  }, [handle, show])

  useEffect(() => takeBack(id, (back) => write(above(back, writing.current))), [id, write])

  const send = useCallback(async () => {
    const content = writing.current
    const over = lengthOf(content) - MAX_LENGTH
    if (over > 0) {
      toast.error(words.composer.overToast(over), { id: "composer-over" })
      return
    }
    if (!isVisible(content)) return
    known.current = content
    typed.current = false
    show("")
    handle.setTyping(false)
    onSent()
    const result = await handle.send(content)
    if (!result.ok) giveBack(handle, result.content, reason(result.error))
    // The draft did not change when it was refused, so the field has to be told.
    if (!result.ok && writing.current === "" && handle.draft.get() === result.content) {
      known.current = result.content
      typed.current = true
      show(result.content)
    }
  }, [handle, show, onSent])

  const enter = useCallback(() => {
    inside.current = true
  }, [])

  const leave = useCallback(() => {
    inside.current = false
    handle.setTyping(false)
    if (!missed.current || typed.current) return
    missed.current = false
    show(handle.draft.get())
  }, [handle, show])

  return { text, write, send, enter, leave }
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
      onClick: () => putBack(handle, content),
    },
  })
}
