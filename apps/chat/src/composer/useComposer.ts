import { type ConversationHandle, isVisible, type Message, type Upload } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useCallback, useEffect, useRef, useState } from "react"
import { acceptsDraft } from "../logic/draft"
import { lengthOf, MAX_LENGTH } from "../logic/length"
import { words } from "../strings"
import { reason } from "../ui/failure"
import { toast } from "../ui/toast"
import { above, returnText, takeBack } from "./returnText"

/**
 * The text in the composer. Each key saves it as the conversation's draft, so that a switch, a reload or a
 * crash loses nothing. Sending clears the field at once, but the draft stays until the outbox has the
 * message. A refused text returns, unless the user has written something newer. A draft from another tab
 * appears while the user does not write here.
 */
export function useComposer(
  id: string,
  onSent: () => void,
  replyTo: Message | undefined,
  files: { uploads: readonly Upload[]; take: (some: readonly Upload[]) => () => void },
) {
  const { uploads, take } = files
  const handle = useLamplight().conversation(id)
  const [text, setText] = useState(() => handle.draft.get())
  // The draft as this tab last wrote or read it: any other value came from another tab or from the storage.
  const known = useRef(text)
  const writing = useRef(text)
  const typed = useRef(false)
  const inside = useRef(false)
  // The draft has changed and could not be shown then.
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
      const takes = acceptsDraft({ field: writing.current, before, draft, typed: typed.current, focused })
      missed.current = !takes
      if (!takes) return
      typed.current = false
      show(draft)
    }
    follow()
    return handle.draft.subscribe(follow)
  }, [handle, show])

  useEffect(() => takeBack(id, (back) => write(above(back, writing.current))), [id, write])

  /** `mentionsOf` returns the ids of users that a text mentions. */
  const send = useCallback(
    async (mentionsOf: (content: string) => string[]) => {
      const content = writing.current
      const over = lengthOf(content) - MAX_LENGTH
      if (over > 0) {
        toast.error(words.composer.overToast(over), { id: "composer-over" })
        return
      }
      if (!isVisible(content) && uploads.length === 0) return
      const giveFilesBack = take(uploads)
      known.current = content
      typed.current = false
      show("")
      handle.setTyping(false)
      onSent()
      const mentions = mentionsOf(content)
      const result = await handle.send(isVisible(content) ? content : "", {
        replyTo,
        uploads,
        ...(mentions.length > 0 && { mentions }),
      })
      // The composer then still has the files; a message that is refused later has its own.
      if (!result.ok) giveFilesBack()
      if (!result.ok) giveBack(handle, result.content, reason(result.error))
      // The draft did not change when the message was refused, so the field is set directly.
      if (!result.ok && writing.current === "" && handle.draft.get() === result.content) {
        known.current = result.content
        typed.current = true
        show(result.content)
      }
    },
    [handle, show, onSent, replyTo, uploads, take],
  )

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

/** Puts refused text back into the conversation that it came from, and says why. */
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
      onClick: () => returnText(handle, content),
    },
  })
}
