import type { User } from "@lamplight/client"
import { useLamplight, useMessages, useStore } from "@lamplight/react"
import { X } from "lucide-react"
import { useEffect } from "react"
import { words } from "../strings"
import { IconButton } from "../ui/Button"
import { Skeleton } from "../ui/State"
import { DirectDetails } from "./DirectDetails"
import { GroupDetails } from "./GroupDetails"

/** The panel about a conversation: who is in it, and what the user may change. */
export function Details({ id, self, onClose }: { id: string; self: User; onClose: () => void }) {
  const item = useStore(useLamplight().conversation(id).item)
  const { isRemoved } = useMessages(id)
  useEffect(() => {
    if (isRemoved) onClose()
  }, [isRemoved, onClose])
  return (
    <>
      <header className="panel-head details-head">
        <h2 className="panel-title min-w-0 flex-1">
          {item?.other ? words.details.title : words.details.titleGroup}
        </h2>
        <IconButton
          label={words.details.close}
          data-testid="close-details"
          data-region-entry=""
          onClick={onClose}
        >
          <X size={20} aria-hidden="true" />
        </IconButton>
      </header>
      <div className="scroller details-body">
        {!item ? (
          <Skeleton rows={5} kind="people" label={words.details.loading} />
        ) : item.other ? (
          <DirectDetails item={item} other={item.other} self={self} />
        ) : (
          <GroupDetails item={item} self={self} />
        )}
      </div>
    </>
  )
}
