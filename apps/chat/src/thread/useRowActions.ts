import { type PointerEvent, useMemo, useRef, useState } from "react"

/** A finger that rests this long on a message opens its menu. */
const LONG_PRESS_MS = 500
/** A finger that moves farther scrolls. */
const SLOP_PX = 10

/** Which row shows its actions: the one under the pointer, and the one whose menu is open. */
export function useRowActions(enabled: boolean) {
  const [hovered, setHovered] = useState<string | null>(null)
  const [menu, setMenu] = useState<string | null>(null)
  const press = useRef<{ timer: number; x: number; y: number } | null>(null)

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
        const key = keyOf(target)
        if (!enabled || pointerType !== "touch" || key === null) return
        end()
        press.current = { timer: window.setTimeout(() => setMenu(key), LONG_PRESS_MS), x, y }
      },
      onPointerMove({ clientX, clientY }: PointerEvent<HTMLElement>) {
        const from = press.current
        if (from && Math.hypot(clientX - from.x, clientY - from.y) > SLOP_PX) end()
      },
      onPointerUp: end,
      onPointerCancel: end,
    }
  }, [enabled])

  return { hovered, menu, setMenu, pointer }
}
