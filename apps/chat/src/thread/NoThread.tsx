import { useConversations } from "@lamplight/react"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { overlay } from "../ui/overlay"
import { State } from "../ui/State"

const FirstRun = overlay((overlays) => overlays.FirstRun)

/** The thread panel while no conversation is selected. */
export function NoThread({ mode, onFind }: { mode: "local" | "open" | "token"; onFind: () => void }) {
  const { status, items, archived, hasMore } = useConversations()
  if (status === "loading") return null
  if (status === "ready" && items.length + archived.length === 0 && !hasMore)
    return <FirstRun mode={mode} title={words.list.empty} onFind={onFind} />
  return (
    <State
      kind="empty"
      size="page"
      title={words.thread.none}
      lead={words.thread.noneLead}
      action={
        <Button look="line" onClick={onFind}>
          {words.list.emptyAction}
        </Button>
      }
    />
  )
}
