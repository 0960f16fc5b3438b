import { type MouseEvent, type PointerEvent, type TouchEvent, useCallback, useRef, useState } from "react"
import { isRightToLeft } from "../ui/keyboard"

/** A finger that rests this long on a row opens its menu. */
const LONG_PRESS_MS = 500
/** A finger that moves farther scrolls. */
const SLOP_PX = 10

/** The open menu of a row, and where it is. */
export interface RowMenu {
  id: string
  x: number
  y: number
}

/**
 * The menu of a row: by its button, by the right mouse button, by the menu key or Shift + F10, and by a finger that rests on it.
 * The handlers belong to the element around the rows.
 */
export function useRowMenu() {
  const [menu, setMenu] = useState<RowMenu | null>(null)
  const press = useRef<{ timer: number; x: number; y: number } | null>(null)
  /** The finger that opened the menu is still down: lifting it opens no conversation. */
  const pressed = useRef(false)

  const rowOf = (target: EventTarget) =>
    (target as HTMLElement).closest<HTMLElement>("[data-conversation-id]")
  const end = () => {
    clearTimeout(press.current?.timer)
    press.current = null
  }

  const close = useCallback(
    (takesFocus: boolean) => {
      setMenu(null)
      if (!takesFocus) return
      const own = `[data-conversation-id="${CSS.escape(menu?.id ?? "")}"]`
      // The action may have moved or removed the row.
      requestAnimationFrame(() => {
        const row = document.querySelector<HTMLElement>(own)
        const list = document.querySelector<HTMLElement>('[data-region="conversations"] [data-region-entry]')
        ;(row ?? list)?.focus({ preventScroll: true })
      })
    },
    [menu],
  )

  const handlers = {
    onContextMenu(event: MouseEvent<HTMLElement>) {
      const row = rowOf(event.target)
      if (!row?.dataset.conversationId) return
      event.preventDefault()
      // Some browsers report a long press by this event too.
      if (pressed.current) return
      pressed.current = press.current !== null
      end()
      const box = row.getBoundingClientRect()
      // A key has no place: Chromium gives the middle of the row, Safari nothing.
      const isKey = event.button !== 2 || (event.clientX === 0 && event.clientY === 0)
      const place = isKey
        ? { x: isRightToLeft(row) ? box.right - 56 : box.left + 56, y: box.bottom - 8 }
        : { x: event.clientX, y: event.clientY }
      setMenu({ id: row.dataset.conversationId, ...place })
    },
    onPointerDown({ target, pointerType, clientX: x, clientY: y }: PointerEvent<HTMLElement>) {
      pressed.current = false
      const id = rowOf(target)?.dataset.conversationId
      if (pointerType !== "touch" || id === undefined) return
      end()
      const open = () => {
        pressed.current = true
        setMenu({ id, x, y })
      }
      press.current = { timer: window.setTimeout(open, LONG_PRESS_MS), x, y }
    },
    onPointerMove({ clientX, clientY }: PointerEvent<HTMLElement>) {
      const from = press.current
      if (from && Math.hypot(clientX - from.x, clientY - from.y) > SLOP_PX) end()
    },
    onPointerUp: end,
    onPointerCancel: end,
    // No mouse events follow, which would move the focus out of the menu and open the conversation.
    onTouchEnd(event: TouchEvent<HTMLElement>) {
      if (pressed.current) event.preventDefault()
    },
    onClickCapture(event: MouseEvent<HTMLElement>) {
      const button = (event.target as HTMLElement).closest<HTMLElement>("[data-menu-of]")
      if (button?.dataset.menuOf) {
        const box = button.getBoundingClientRect()
        const { menuOf: id } = button.dataset
        setMenu((open) =>
          open?.id === id ? null : { id, x: isRightToLeft(button) ? box.right : box.left, y: box.bottom },
        )
      } else if (!pressed.current) return
      event.preventDefault()
      event.stopPropagation()
    },
  }
  return { menu, close, handlers }
}
