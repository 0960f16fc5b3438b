import { type RefObject, useRef } from "react"
import { useToday } from "../app/hooks"
import { describeFiles } from "../files/layout"
import type { Pin } from "../logic/pins"
import { plainStart } from "../logic/plain"
import { listTime } from "../logic/time"
import { words } from "../strings"
import { Panel } from "../ui/Panel"
import { useThreadActions } from "./actions"

/** So much of a pinned message is shown. */
const EXCERPT = 160

/** The list of pinned messages. It is open for as long as it is mounted. */
export function PinsMenu(props: {
  trigger: RefObject<HTMLButtonElement | null>
  pinned: readonly Pin[]
  onClose: () => void
}) {
  const { trigger, pinned, onClose } = props
  const { jump, nameOf } = useThreadActions()
  const today = useToday()
  // The message that was chosen takes the focus.
  const jumped = useRef(false)
  return (
    <Panel
      trigger={trigger}
      className="pins-menu"
      align="end"
      label={words.message.pinnedMessages}
      keepsFocus={() => jumped.current}
      onClose={onClose}
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
                onClose()
                jump(row.seq)
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
                {plainStart(row.content, EXCERPT) || describeFiles(row.attachments ?? [])}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </Panel>
  )
}
