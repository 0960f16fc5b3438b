import type { ConversationFile, User } from "@lamplight/client"
import { useLamplight, useMessages, useStore } from "@lamplight/react"
import { ArrowLeft, X } from "lucide-react"
import { type ReactNode, useEffect, useRef, useState } from "react"
import { useMedia } from "../app/hooks"
import { useLayer } from "../app/layers"
import { focusDetails } from "../app/regions"
import { go } from "../app/route"
import { WIDE } from "../design/breakpoints"
import { words } from "../strings"
import { IconButton } from "../ui/Button"
import { Skeleton } from "../ui/State"
import { AllFiles } from "./AllFiles"
import { DirectDetails } from "./DirectDetails"
import { GroupDetails } from "./GroupDetails"
import type { DetailsProps } from "./props"
import { SharedFiles } from "./SharedFiles"
import { useSharedFiles } from "./useSharedFiles"

/** The panel about a conversation: its members, shared files, and settings. */
export function Details({ id, self, onClose }: { id: string; self: User; onClose: () => void }) {
  const item = useStore(useLamplight().conversation(id).item)
  const { isRemoved } = useMessages(id)
  useEffect(() => {
    if (isRemoved) onClose()
  }, [isRemoved, onClose])
  if (item) return <KnownDetails item={item} self={self} onClose={onClose} />
  return (
    <Panel title={words.details.titleGroup} onClose={onClose}>
      <Skeleton rows={5} kind="people" label={words.details.loading} />
    </Panel>
  )
}

function KnownDetails({ item, self, onClose }: DetailsProps & { onClose: () => void }) {
  const shared = useSharedFiles({ item, self })
  const [showsAll, setShowsAll] = useState(false)
  const isWide = useMedia(WIDE)
  const isBack = useRef(false)
  const back = () => {
    isBack.current = true
    setShowsAll(false)
  }
  useLayer(back, showsAll)

  // The way back leads to where it came from.
  useEffect(() => {
    if (showsAll || !isBack.current) return
    isBack.current = false
    const opener = document.querySelector<HTMLElement>('[data-testid="shared-all"]')
    if (opener) opener.focus()
    else focusDetails()
  }, [showsAll])

  /** Beside the conversation the panel stays; over it, it closes. */
  function show({ seq }: ConversationFile) {
    go({ view: "thread", conversationId: item.id, seq, ...(isWide && { details: true }) })
  }

  if (showsAll)
    return (
      <Panel key="files" title={words.shared.title} onClose={onClose} onBack={back}>
        <AllFiles shared={shared} onShow={show} />
      </Panel>
    )
  const files = (
    <SharedFiles
      shared={shared}
      onShow={show}
      onAll={() => {
        setShowsAll(true)
        focusDetails()
      }}
    />
  )
  return (
    <Panel key="about" title={item.other ? words.details.title : words.details.titleGroup} onClose={onClose}>
      {item.other ? (
        <DirectDetails item={item} other={item.other} self={self} files={files} />
      ) : (
        <GroupDetails item={item} self={self} files={files} />
      )}
    </Panel>
  )
}

function Panel(props: { title: string; onClose: () => void; onBack?: () => void; children: ReactNode }) {
  const { title, onClose, onBack, children } = props
  return (
    <>
      <header className="panel-head details-head">
        {onBack && (
          <IconButton
            label={words.shared.back}
            className="-ms-2"
            data-testid="shared-back"
            data-region-entry=""
            onClick={onBack}
          >
            <ArrowLeft size={20} aria-hidden="true" />
          </IconButton>
        )}
        <h2 className="panel-title min-w-0 flex-1">{title}</h2>
        <IconButton
          label={words.details.close}
          data-testid="close-details"
          data-region-entry=""
          onClick={onClose}
        >
          <X size={20} aria-hidden="true" />
        </IconButton>
      </header>
      <div className="scroller details-body">{children}</div>
    </>
  )
}
