import type { MessageRow } from "@lamplight/client"
import { Copy, Link, PencilLine, Pin, PinOff, Reply, SmilePlus, Trash2 } from "lucide-react"
import { DropdownMenu } from "radix-ui"
import { type ReactNode, useRef, useState } from "react"
import { useLayer } from "../app/layers"
import { moment } from "../logic/time"
import { words } from "../strings"
import { isKeyboardInUse } from "../ui/keyboard"
import { useThreadActions } from "./actions"

/** The menu of the actions on a message, at the element around it. It is open for as long as it is mounted. */
export function MessageMenu(props: {
  row: MessageRow
  emoji: readonly string[]
  /** The button that opened it, which closes it by itself. */
  trigger: () => Element | null
  onPickEmoji: () => void
  /** The message takes the focus back when the menu closes. */
  focusMessage: () => void
  onClose: () => void
}) {
  const { row, emoji, trigger, onPickEmoji, focusMessage, onClose } = props
  const actions = useThreadActions()
  // The chosen action moves the focus itself.
  const moved = useRef(false)
  const [byKeyboard] = useState(isKeyboardInUse)
  const isEntered = useRef(false)
  useLayer(onClose)

  function item(icon: ReactNode, label: string, run: () => void, danger = false) {
    return (
      <DropdownMenu.Item
        className="menu-item"
        data-danger={danger ? "" : undefined}
        onSelect={() => {
          moved.current = true
          run()
        }}
      >
        {icon}
        {label}
      </DropdownMenu.Item>
    )
  }

  return (
    <DropdownMenu.Root defaultOpen modal={false} onOpenChange={(open) => !open && onClose()}>
      <DropdownMenu.Trigger asChild>
        <span className="menu-anchor" aria-hidden="true" tabIndex={-1} />
      </DropdownMenu.Trigger>
      {/* Within a landmark, as assistive technology expects of all content. */}
      <DropdownMenu.Portal container={document.querySelector("main")}>
        <DropdownMenu.Content
          className="menu message-menu"
          align={row.mine ? "end" : "start"}
          sideOffset={6}
          collisionPadding={12}
          aria-label={words.message.bar}
          aria-labelledby={undefined}
          onFocus={({ target, currentTarget: menu }) => {
            if (!byKeyboard || isEntered.current || target !== menu) return
            isEntered.current = true
            // Radix sees the keys that were pressed since the menu is mounted; this one opened it.
            requestAnimationFrame(() => {
              if (document.activeElement === menu)
                menu.querySelector<HTMLElement>('[role="menuitem"]')?.focus({ preventScroll: true })
            })
          }}
          onInteractOutside={(event) => {
            if (trigger()?.contains(event.target as Node)) event.preventDefault()
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault()
            if (!moved.current) focusMessage()
            moved.current = false
          }}
        >
          {/* Where a finger cannot hover, these are nowhere else. */}
          <DropdownMenu.Label className="menu-label" data-testid="message-time">
            {moment(new Date(row.createdAt))}
            {row.editedAt !== null && (
              <span className="block">{words.message.editedAt(moment(new Date(row.editedAt)))}</span>
            )}
          </DropdownMenu.Label>
          <div className="menu-emoji">
            {emoji.map((one) => (
              <DropdownMenu.Item
                key={one}
                className="menu-emoji-item"
                aria-label={words.message.reactWith(one)}
                onSelect={() => actions.react(row, one)}
              >
                {one}
              </DropdownMenu.Item>
            ))}
            <DropdownMenu.Item
              className="menu-emoji-item"
              aria-label={words.message.otherEmoji}
              onSelect={() => {
                moved.current = true
                onPickEmoji()
              }}
            >
              <SmilePlus size={19} aria-hidden="true" />
            </DropdownMenu.Item>
          </div>
          {item(<Reply size={17} aria-hidden="true" />, words.message.reply, () => actions.reply(row))}
          {row.mine &&
            item(<PencilLine size={17} aria-hidden="true" />, words.message.edit, () => actions.edit(row))}
          <DropdownMenu.Item className="menu-item" onSelect={() => actions.copy(row)}>
            <Copy size={17} aria-hidden="true" />
            {words.message.copy}
          </DropdownMenu.Item>
          <DropdownMenu.Item className="menu-item" onSelect={() => actions.copyLink(row)}>
            <Link size={17} aria-hidden="true" />
            {words.message.copyLink}
          </DropdownMenu.Item>
          <DropdownMenu.Item className="menu-item" onSelect={() => actions.pin(row)}>
            {row.pinnedAt === null ? (
              <Pin size={17} aria-hidden="true" />
            ) : (
              <PinOff size={17} aria-hidden="true" />
            )}
            {row.pinnedAt === null ? words.message.pin : words.message.unpin}
          </DropdownMenu.Item>
          {row.mine &&
            item(
              <Trash2 size={17} aria-hidden="true" />,
              words.message.remove,
              () => actions.remove(row),
              true,
            )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}
