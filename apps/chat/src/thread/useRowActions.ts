import { type PointerEvent, type TouchEvent, useMemo, useRef, useState } from "react"

/** A finger that rests this long on a message opens its menu. */
const LONG_PRESS_MS = 500
/** A finger that moves farther scrolls. */
const SLOP_PX = 10

/** Which row shows its actions: the one under the pointer, and the one whose menu is open. */
export function useRowActions(enabled: boolean) {
  const [hovered, setHovered] = useState<string | null>(null)
  const [menu, setMenu] = useState<string | null>(null)
  const press = useRef<{ timer: number; x: number; y: number } | null>(null)
  /** The finger that opened the menu is still down. */
  const pressed = useRef(false)

  const pointer = useMemo(() => {
    const keyOf = (target: EventTarget) =>
      (target as HTMLElement).closest<HTMLElement>(".message")?.dataset.key ?? null
    const end = () => {
      clearTimeout(press.current?.timer)
      press.current = null
    }
    return {
      onPointerOver(event: PointerEvent<HTMLElement>) {
        if (enabled && event.pointerType === "mouse") setHovered(keyOf(event.target))
      },
      onPointerLeave() {
        setHovered(null)
      },
      onPointerDown({ target, pointerType, clientX: x, clientY: y }: PointerEvent<HTMLElement>) {
        pressed.current = false
        const key = keyOf(target)
        if (!enabled || pointerType !== "touch" || key === null) return
        end()
        const open = () => {
          pressed.current = true
          setMenu(key)
        }
        press.current = { timer: window.setTimeout(open, LONG_PRESS_MS), x, y }
      },
      onPointerMove({ clientX, clientY }: PointerEvent<HTMLElement>) {
        const from = press.current
        if (from && Math.hypot(clientX - from.x, clientY - from.y) > SLOP_PX) end()
      },
      onPointerUp: end,
      onPointerCancel: end,
      // No mouse events follow, which would move the focus out of the menu and so close it, or follow a link.
      onTouchEnd(event: TouchEvent<HTMLElement>) {
        if (pressed.current) event.preventDefault()
        pressed.current = false
      },
    }
  }, [enabled])

  return { hovered, menu, setMenu, pointer }
}
