import type { MessageRow } from "@lamplight/client"
import { Copy, Ellipsis, Link, PencilLine, Pin, PinOff, Reply, SmilePlus, Trash2 } from "lucide-react"
import { DropdownMenu } from "radix-ui"
import { type ReactNode, useRef } from "react"
import { recentEmoji } from "../logic/recent-emoji"
import { words } from "../strings"
import { useThreadActions } from "./actions"

/** So many emoji are one click away. */
const AT_ONCE = 3

/** The actions on a message, above its bubble: it takes no space, so that no row moves. */
export function ActionBar(props: {
  row: MessageRow
  open: boolean
  onOpen: (open: boolean) => void
  /** The message takes the focus back when the menu closes. */
  focusMessage: () => void
}) {
  const { row, open, onOpen, focusMessage } = props
  const actions = useThreadActions()
  const bar = useRef<HTMLDivElement>(null)

  /** The bar may be gone when the picker is open, and its bubble is not. */
  function pickEmoji() {
    const bubble = bar.current?.closest<HTMLElement>(".bubble-line")
    if (bubble) actions.pickEmoji(row, bubble)
  }

  // What was chosen moves the focus itself.
  const moved = useRef(false)
  const emoji = recentEmoji()

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
    <div
      ref={bar}
      className="action-bar"
      role="toolbar"
      aria-label={words.message.bar}
      data-testid="action-bar"
      data-open={open ? "" : undefined}
    >
      {emoji.slice(0, AT_ONCE).map((one) => (
        <button
          key={one}
          type="button"
          className="action"
          aria-label={words.message.reactWith(one)}
          title={words.message.reactWith(one)}
          onClick={() => actions.react(row, one)}
        >
          {one}
        </button>
      ))}
      <button
        type="button"
        className="action"
        data-testid="react"
        aria-label={words.message.otherEmoji}
        title={words.message.otherEmoji}
        onClick={pickEmoji}
      >
        <SmilePlus size={17} aria-hidden="true" />
      </button>
      <button
        type="button"
        className="action"
        data-testid="reply"
        aria-label={words.message.reply}
        title={words.message.reply}
        onClick={() => actions.reply(row)}
      >
        <Reply size={17} aria-hidden="true" />
      </button>
      <DropdownMenu.Root open={open} onOpenChange={onOpen} modal={false}>
        <DropdownMenu.Trigger asChild>
          <button
            type="button"
            className="action"
            data-testid="message-menu"
            aria-label={words.message.menu}
            title={words.message.menu}
          >
            <Ellipsis size={17} aria-hidden="true" />
          </button>
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content
            className="menu message-menu"
            align={row.mine ? "end" : "start"}
            sideOffset={6}
            collisionPadding={12}
            aria-label={words.message.bar}
            onCloseAutoFocus={(event) => {
              event.preventDefault()
              if (!moved.current) focusMessage()
              moved.current = false
            }}
          >
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
                  pickEmoji()
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
    </div>
  )
}
