/** Parts shared by rows of people and of conversations. */
import type { ConversationItem } from "@lamplight/client"
import { BellOff } from "lucide-react"
import { badge } from "../logic/title"
import type { PresenceIconState } from "../presence/PresenceIcon"
import { stateLabel } from "../presence/view"
import { words } from "../strings"

/**
 * A name, in a `row-line`: "Asha, online" as an accessible name where there is a presence, and beside it the user name of somebody whose
 * name others have too.
 */
export function RowName(props: {
  name: string
  handle?: string | undefined
  state?: PresenceIconState | undefined
}) {
  const { name, handle, state } = props
  const whole = words.people.withHandle(name, handle)
  return (
    <>
      <span className="sr-only">{state ? words.presence.named(whole, stateLabel(state)) : whole}</span>
      <span className="row-name" dir="auto" aria-hidden="true">
        {name}
      </span>
      {handle && (
        <span className="row-handle" dir="auto" aria-hidden="true">
          {handle}
        </span>
      )}
    </>
  )
}

/** That a conversation is muted. */
export function MutedMark({ item }: { item: ConversationItem }) {
  if (!item.muted) return null
  return (
    <span className="row-muted">
      <BellOff size={14} aria-hidden="true" />
      <span className="sr-only">, {words.settings.muted}</span>
    </span>
  )
}

/** How many messages of a conversation are unread, if there are any. */
export function UnreadBadge({ item }: { item: ConversationItem }) {
  if (item.unread === 0) return null
  return (
    <span className="unread-badge" data-testid="unread">
      <span aria-hidden="true">{badge(item.unread)}</span>
      <span className="sr-only">, {words.list.unread(item.unread)}</span>
    </span>
  )
}
