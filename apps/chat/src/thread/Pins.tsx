import type { MessageRow } from "@lamplight/client"
import { Pin } from "lucide-react"
import { Popover } from "radix-ui"
import { useRef, useState } from "react"
import { useToday } from "../app/hooks"
import { listTime } from "../logic/time"
import { words } from "../strings"
import { useThreadActions } from "./actions"

/** So much of a pinned message is shown. */
const EXCERPT = 160

/** The pinned messages among those that are loaded, the newest first. A click leads to one. Nothing where there is none. */
export function Pins({ rows }: { rows: readonly MessageRow[] }) {
  const { jump, nameOf } = useThreadActions()
  const [open, setOpen] = useState(false)
  const today = useToday()
  // The message that was chosen takes the focus.
  const jumped = useRef(false)
  const pinned = rows.filter((row) => row.pinnedAt !== null && row.seq !== null).reverse()
  if (pinned.length === 0) return null
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger asChild>
        <button
          type="button"
          className="pins"
          data-testid="pins"
          aria-label={words.message.pins(pinned.length)}
          title={words.message.pins(pinned.length)}
        >
          <Pin size={18} aria-hidden="true" />
          <span aria-hidden="true">{pinned.length.toLocaleString()}</span>
        </button>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          className="menu pins-menu"
          align="end"
          sideOffset={6}
          collisionPadding={12}
          aria-label={words.message.pinnedMessages}
          onCloseAutoFocus={(event) => {
            if (jumped.current) event.preventDefault()
            jumped.current = false
          }}
        >
          <p className="menu-label">{words.message.pinnedMessages}</p>
          <ul className="menu-scroller">
            {pinned.map((row) => (
              <li key={row.key}>
                <button
                  type="button"
                  className="menu-item pin"
                  data-testid="pinned-message"
                  onClick={() => {
                    jumped.current = true
                    setOpen(false)
                    if (row.seq !== null) jump(row.seq)
                  }}
                >
                  <span className="row-line">
                    <span className="row-name" dir="auto">
                      {nameOf(row.senderId)}
                    </span>
                    <time className="row-time" dateTime={row.createdAt}>
                      {listTime(new Date(row.createdAt), today, words.time)}
                    </time>
                  </span>
                  <span className="hit-text" dir="auto">
                    {row.content.slice(0, EXCERPT)}
                  </span>
                </button>
              </li>
            ))}
          </ul>
          <p className="menu-hint pins-hint">{words.message.pinsHint}</p>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}
