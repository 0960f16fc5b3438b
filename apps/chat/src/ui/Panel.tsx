import { Popover } from "radix-ui"
import { type ReactNode, type RefObject, useRef } from "react"
import { useLayer } from "../app/layers"

/** A small panel beside the button that opened it. It is open for as long as it is mounted. */
export function Panel(props: {
  trigger: RefObject<HTMLButtonElement | null>
  className?: string
  label: string
  align: "start" | "end"
  side?: "top" | "bottom"
  /** The element inside that takes the focus; by default the first one that can. */
  entry?: string
  /** Whether something else has, or is about to have, the focus when it closes. */
  keepsFocus?: () => boolean
  onClose: () => void
  children: ReactNode
}) {
  const {
    trigger,
    className = "",
    label,
    align,
    side = "bottom",
    entry,
    keepsFocus,
    onClose,
    children,
  } = props
  const isOutside = useRef(false)
  useLayer(onClose)
  return (
    <Popover.Root open onOpenChange={(open) => open || onClose()}>
      <Popover.Anchor virtualRef={trigger as RefObject<HTMLButtonElement>} />
      <Popover.Portal>
        <Popover.Content
          className={`menu ${className}`}
          align={align}
          side={side}
          sideOffset={6}
          collisionPadding={12}
          aria-label={label}
          onOpenAutoFocus={(event) => {
            const first = entry && (event.target as HTMLElement).querySelector<HTMLElement>(entry)
            if (!first) return
            event.preventDefault()
            first.focus()
          }}
          onInteractOutside={(event) => {
            // A press on the button closes it by itself.
            if (trigger.current?.contains(event.target as Node)) event.preventDefault()
            else isOutside.current = true
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault()
            if (!isOutside.current && !keepsFocus?.()) trigger.current?.focus()
          }}
        >
          {children}
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}
