import type { Message, MessageRow } from "@lamplight/client"
import { useConnection, useLamplight } from "@lamplight/react"
import { Pin } from "lucide-react"
import { useEffect, useMemo, useRef, useState } from "react"
import { number } from "../languages/format"
import { mergePins } from "../logic/pins"
import { words } from "../strings"
import { overlay } from "../ui/overlay"

const PinsMenu = overlay((overlays) => overlays.PinsMenu)

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
      // Most conversations have none: nothing is rendered for another empty list.
      if (isMounted) setListed(messages.length > 0 ? messages : none)
    }
    // The loaded pins are listed without it, and the next opening requests it again.
    take().catch(() => {})
    return () => {
      isMounted = false
    }
  }, [client, id, isConnected, open])
  return listed
}

/** The pinned messages of the conversation, the newest first. A click leads to one. Nothing where there is none. */
export function Pins({ id, rows }: { id: string; rows: readonly MessageRow[] }) {
  const [open, setOpen] = useState(false)
  const button = useRef<HTMLButtonElement>(null)
  const listed = useListed(id, open)
  const pinned = useMemo(() => mergePins(listed, rows), [listed, rows])
  if (pinned.length === 0) return null
  return (
    <>
      <button
        ref={button}
        type="button"
        className="pins"
        data-testid="pins"
        aria-label={words.message.pins(pinned.length)}
        title={words.message.pins(pinned.length)}
        aria-haspopup="dialog"
        aria-expanded={open}
        onPointerEnter={PinsMenu.preload}
        onClick={() => setOpen(!open)}
      >
        <Pin size={18} aria-hidden="true" />
        <span aria-hidden="true">{number(pinned.length)}</span>
      </button>
      {open && <PinsMenu trigger={button} pinned={pinned} onClose={() => setOpen(false)} />}
    </>
  )
}
