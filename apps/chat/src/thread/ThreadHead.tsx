import type { PresenceView, User } from "@lamplight/client"
import { usePresence, useUnread } from "@lamplight/react"
import { ChevronLeft, UsersRound } from "lucide-react"
import { useNow } from "../app/hooks"
import { goBack } from "../app/route"
import { badge } from "../logic/title"
import { LampWord } from "../presence/Lamp"
import { presenceDetail } from "../presence/view"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { IconButton } from "../ui/Button"

/** Who one is talking to, and whether they are in. */
export function ThreadHead(props: { other: User | null; name: string; wide: boolean; onPeople: () => void }) {
  const { other, name, wide, onPeople } = props
  const unread = useUnread().total
  return (
    <header className="room-head thread-head">
      <IconButton
        label={unread > 0 ? `${words.regions.back}, ${words.list.unread(unread)}` : words.regions.back}
        className="only-phone back"
        onClick={goBack}
        data-testid="back"
      >
        <ChevronLeft size={24} aria-hidden="true" />
        {unread > 0 && (
          <span className="unread-badge" aria-hidden="true">
            {badge(unread)}
          </span>
        )}
      </IconButton>
      {other ? <Person other={other} name={name} /> : <div className="flex-1" />}
      {!wide && (
        <IconButton label={words.regions.openPeople} className="only-wide-enough" onClick={onPeople}>
          <UsersRound size={20} aria-hidden="true" />
        </IconButton>
      )}
    </header>
  )
}

function Person({ other, name }: { other: User; name: string }) {
  const presence: PresenceView = usePresence(other.id)
  const now = useNow(30_000)
  return (
    <>
      <Avatar id={other.id} name={name} avatarUrl={presence.user?.avatarUrl ?? other.avatarUrl} />
      <div className="min-w-0 flex-1">
        <h2 className="room-title w-fit max-w-full truncate" dir="auto" data-testid="thread-name">
          {name}
        </h2>
        <p className="thread-presence" data-testid="thread-presence">
          <LampWord state={presence.status} detail={presenceDetail(presence, now)} />
        </p>
      </div>
    </>
  )
}
