import type { MessageRow } from "@lamplight/client"
import { Ellipsis, Reply, SmilePlus } from "lucide-react"
import { useRef } from "react"
import { recentEmoji } from "../logic/recent-emoji"
import { words } from "../strings"
import { overlay } from "../ui/overlay"
import { useThreadActions } from "./actions"

const MessageMenu = overlay((overlays) => overlays.MessageMenu)

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
  const more = useRef<HTMLButtonElement>(null)

  /** The bar may be gone when the picker is open, and its bubble is not. */
  function pickEmoji() {
    const bubble = bar.current?.closest<HTMLElement>(".bubble-line")
    if (bubble) actions.pickEmoji(row, bubble)
  }

  const emoji = recentEmoji()

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
      <span className="menu-frame">
        <button
          ref={more}
          type="button"
          className="action"
          data-testid="message-menu"
          aria-label={words.message.menu}
          title={words.message.menu}
          aria-haspopup="menu"
          aria-expanded={open}
          onPointerEnter={MessageMenu.preload}
          onClick={() => onOpen(!open)}
        >
          <Ellipsis size={17} aria-hidden="true" />
        </button>
        {open && (
          <MessageMenu
            row={row}
            emoji={emoji}
            trigger={() => more.current}
            onPickEmoji={pickEmoji}
            focusMessage={focusMessage}
            onClose={() => onOpen(false)}
          />
        )}
      </span>
    </div>
  )
}
