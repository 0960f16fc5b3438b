import { Popover } from "radix-ui"
import { useRef } from "react"
import { useTouch } from "../app/hooks"
import { useLayer } from "../app/layers"
import { words } from "../strings"
import { later } from "../ui/later"

/** Loaded when it is first opened. */
const EmojiPanel = later(
  () => import("./EmojiPanel"),
  () => (
    <p className="emoji-wait" role="status">
      {words.emoji.loading}
    </p>
  ),
)

/** The emoji picker beside an element. It is open for as long as it is mounted. */
export function EmojiPopover(props: {
  anchor: HTMLElement
  align: "start" | "end"
  onPick: (emoji: string) => void
  /** Escape returns the focus to its former place; a click elsewhere has already moved it. */
  onClose: (isEscape: boolean) => void
}) {
  const { anchor, align, onPick, onClose } = props
  const virtual = useRef(anchor)
  const isEscape = useRef(false)
  const touch = useTouch()
  useLayer(() => onClose(true))
  return (
    <Popover.Root open onOpenChange={(open) => open || onClose(isEscape.current)}>
      <Popover.Anchor virtualRef={virtual} />
      <Popover.Portal>
        <Popover.Content
          className="menu emoji-menu"
          data-testid="emoji-picker"
          side="top"
          align={align}
          sideOffset={8}
          collisionPadding={12}
          aria-label={words.emoji.label}
          // On touch a keyboard would cover the emoji.
          onOpenAutoFocus={(event) => {
            if (!touch) return
            event.preventDefault()
            ;(event.target as HTMLElement).focus()
          }}
          // A press on the button that opened it closes it by itself.
          onInteractOutside={(event) => {
            if (anchor.matches("button") && anchor.contains(event.target as Node)) event.preventDefault()
          }}
          onEscapeKeyDown={() => {
            isEscape.current = true
          }}
          // The opener decides about the focus afterwards.
          onCloseAutoFocus={(event) => event.preventDefault()}
        >
          <EmojiPanel onPick={onPick} />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}
