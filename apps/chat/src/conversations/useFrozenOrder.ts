import type { ConversationItem } from "@lamplight/client"
import { type FocusEvent, type PointerEvent, useEffect, useRef, useState } from "react"
import { createHold } from "../logic/hold"
import { frozenOrder } from "../logic/order"

/**
 * The ids in the order to show, and the handlers that freeze the order while the user points at the list or
 * moves through it.
 */
export function useFrozenOrder(items: readonly ConversationItem[]) {
  const [held, setHeld] = useState(false)
  const [hold] = useState(() => createHold(setHeld))
  const list = useRef<HTMLDivElement>(null)
  const shown = useRef<readonly string[]>([])
  const wanted = items.map((item) => item.id)
  shown.current = frozenOrder(shown.current, wanted, held)

  useEffect(() => hold.dispose, [hold])

  useEffect(() => {
    if (!held) return
    const look = ({ target }: Event) => {
      if (!(target instanceof Node && list.current?.contains(target))) hold.movedElsewhere()
    }
    addEventListener("keydown", look, true)
    addEventListener("focusin", look, true)
    return () => {
      removeEventListener("keydown", look, true)
      removeEventListener("focusin", look, true)
    }
  }, [held, hold])

  return {
    ids: shown.current,
    hold: {
      ref: list,
      // Touch points only while it is down.
      onPointerEnter: hold.pointerMoved,
      onPointerMove: hold.pointerMoved,
      onPointerLeave: hold.pointerLeft,
      onPointerCancel: hold.pointerLeft,
      onPointerUp: (event: PointerEvent) => {
        if (event.pointerType === "touch") hold.pointerLeft()
      },
      onFocusCapture: (event: FocusEvent<HTMLElement>) => {
        if (event.target.matches(":focus-visible")) hold.focusChanged(true)
      },
      onBlurCapture: (event: FocusEvent<HTMLElement>) => {
        if (!event.currentTarget.contains(event.relatedTarget)) hold.focusChanged(false)
      },
    },
  }
}
