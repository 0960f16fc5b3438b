import type { User } from "@lamplight/client"
import { useBlocks, usePresence } from "@lamplight/react"
import { Ban, CircleCheck } from "lucide-react"
import { type ReactNode, useMemo, useState } from "react"
import { useNow } from "../app/hooks"
import { focusDetails } from "../app/regions"
import { nameOf, newestOf } from "../logic/members"
import { useHandles } from "../people/handles"
import { PresenceLabel } from "../presence/PresenceIcon"
import { presenceDetail } from "../presence/view"
import { words } from "../strings"
import { ConversationAvatar } from "../ui/ConversationAvatar"
import { showFailure } from "../ui/failure"
import { Confirm } from "../ui/Modal"
import { Notices } from "./Notices"
import type { DetailsProps } from "./props"

/** The details of a direct conversation: the other person, and the button to block them. */
export function DirectDetails(props: DetailsProps & { other: User; files: ReactNode }) {
  const { item, other, self, files } = props
  const presence = usePresence(other.id)
  const now = useNow(30_000)
  const { status, users, block, unblock } = useBlocks()
  const [opener, setOpener] = useState<HTMLElement | null>(null)
  const isBlocked = users.some(({ id }) => id === other.id)
  const person = newestOf(presence.user, other)
  const name = nameOf(person)
  const handle = useHandles(
    useMemo(() => [other], [other]),
    true,
  ).get(other.id)
  return (
    <>
      <div className="details-hero">
        <ConversationAvatar item={item} selfId={self.id} other={person} size="xl" />
        <p className="details-name" dir="auto">
          {name}
        </p>
        {handle && !other.deleted && (
          <p className="details-sub" dir="auto" data-testid="details-handle">
            {handle}
          </p>
        )}
        {!other.deleted && (
          <p className="thread-presence">
            <PresenceLabel state={presence.status} detail={presenceDetail(presence, now)} />
          </p>
        )}
      </div>
      <Notices item={item} />
      {files}
      {item.other && other.id !== self.id && !other.deleted && (
        <section className="details-section" aria-label={words.details.privacy}>
          {isBlocked && <p className="details-note">{words.details.blockedNote(name)}</p>}
          <button
            type="button"
            className="details-action"
            data-danger={isBlocked ? undefined : ""}
            data-testid={isBlocked ? "unblock" : "block"}
            aria-disabled={status === "loading"}
            onClick={({ currentTarget }) => {
              if (status === "loading") return
              if (!isBlocked) setOpener(currentTarget)
              else unblock(other.id).catch((thrown) => showFailure(words.details.unblockFailed, thrown))
            }}
          >
            {isBlocked ? <CircleCheck size={18} aria-hidden="true" /> : <Ban size={18} aria-hidden="true" />}
            {isBlocked ? words.details.unblock(name) : words.details.block(name)}
          </button>
        </section>
      )}
      {opener && (
        <Confirm
          title={words.details.blockTitle(name)}
          lead={words.details.blockLead(name)}
          confirm={words.details.blockConfirm}
          focus={{ opener, otherwise: focusDetails }}
          onConfirm={() => block(other.id)}
          onClose={() => setOpener(null)}
        />
      )}
    </>
  )
}
