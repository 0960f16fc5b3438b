import type { MessageRow } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import type { Virtualizer } from "@tanstack/react-virtual"
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react"
import type { Row } from "../logic/rows"
import { words } from "../strings"
import { showFailure } from "../ui/failure"
import { toast } from "../ui/toast"

/** How long the message that was gone to is marked. */
const MARKED_MS = 2_500

/**
 * Goes to a message by its `seq`: scrolls there, or loads the messages around it first. With `orNext`, an entry that is no message
 * stands for the message after it.
 */
export function useShow(props: {
  id: string
  rows: readonly Row<MessageRow>[]
  virtualizer: Virtualizer<HTMLDivElement, HTMLDivElement>
  pin: (isPinned: boolean) => void
  setCurrent: (key: string) => void
}) {
  const { id, rows, virtualizer, pin, setCurrent } = props
  const handle = useLamplight().conversation(id)
  /** A new object for each request, so that the same message can be gone to twice. */
  const [wanted, setWanted] = useState<{ seq: number } | null>(null)
  const [target, setTarget] = useState<string | null>(null)
  const frame = useRef(0)

  const show = useCallback(
    (seq: number, orNext = false) => {
      pin(false)
      setWanted({ seq })
      handle.jumpTo(seq).then(
        () => {
          const { rows } = handle.messages.get()
          if (rows.some((row) => row.seq === seq)) return
          const next = orNext
            ? (rows.find((row) => (row.seq ?? 0) > seq) ?? rows.findLast((row) => row.seq !== null))
            : undefined
          setWanted(next?.seq ? { seq: next.seq } : null)
          if (!orNext) toast(words.message.gone)
        },
        (thrown: unknown) => {
          setWanted(null)
          showFailure(words.message.quoteGone, thrown)
        },
      )
    },
    [handle, pin],
  )

  const index = wanted
    ? rows.findIndex((row) => row.kind === "message" && row.message.seq === wanted.seq)
    : -1
  const key = rows[index]?.key
  // Before the paint: the former rows must not be shown at the new place.
  useLayoutEffect(() => {
    if (key === undefined) return
    pin(false)
    virtualizer.scrollToIndex(index, { align: "center" })
    setCurrent(key)
    setTarget(key)
    setWanted(null)
    // The row is drawn after the scroll.
    cancelAnimationFrame(frame.current)
    frame.current = requestAnimationFrame(() => {
      virtualizer.scrollToIndex(index, { align: "center" })
      document
        .querySelector<HTMLElement>(`.message[data-key="${CSS.escape(key)}"]`)
        ?.focus({ preventScroll: true })
    })
  }, [key, index, virtualizer, pin, setCurrent])

  useEffect(() => () => cancelAnimationFrame(frame.current), [])

  useEffect(() => {
    if (target === null) return
    const timer = setTimeout(() => setTarget(null), MARKED_MS)
    return () => clearTimeout(timer)
  }, [target])

  return { show, target }
}
