import type { Message, MessageRow } from "@lamplight/client"
import { useConnection, useLamplight } from "@lamplight/react"
import { Pin } from "lucide-react"
import { Popover } from "radix-ui"
import { useEffect, useMemo, useRef, useState } from "react"
import { useToday } from "../app/hooks"
import { describeFiles } from "../files/layout"
import { mergePins } from "../logic/pins"
import { listTime } from "../logic/time"
import { words } from "../strings"
import { useThreadActions } from "./actions"

/** So much of a pinned message is shown. */
const EXCERPT = 160

const none: readonly Message[] = []

/** The pinned messages that the server lists: when the thread is shown, when the connection is back, and when the list opens. */
function useListed(id: string, open: boolean): readonly Message[] {
  const client = useLamplight()
  const isConnected = useConnection().status === "connected"
  const [listed, setListed] = useState(none)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a list that opens is fetched anew
  useEffect(() => {
    if (!isConnected) return
    let isMounted = true
    const take = async () => {
      const { messages } = await client.conversation(id).pinned()
      if (isMounted) setListed(messages)
    }
    // What is loaded is listed without it, and the next occasion asks again.
    take().catch(() => {})
    return () => {
      isMounted = false
    }
  }, [client, id, isConnected, open])
  return listed
}

/** The pinned messages of the conversation, the newest first. A click leads to one. Nothing where there is none. */
export function Pins({ id, rows }: { id: string; rows: readonly MessageRow[] }) {
  const { jump, nameOf } = useThreadActions()
  const [open, setOpen] = useState(false)
  const today = useToday()
  // The message that was chosen takes the focus.
  const jumped = useRef(false)
  const listed = useListed(id, open)
  const pinned = useMemo(() => mergePins(listed, rows), [listed, rows])
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
                    {row.content.slice(0, EXCERPT) || describeFiles(row.attachments ?? [])}
                  </span>
                </button>
              </li>
            ))}
          </ul>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  )
}
