import type { ConversationInfo, MessageRow, PresenceView, User } from "@lamplight/client"
import { usePresence, useUnread } from "@lamplight/react"
import { ChevronLeft, Search, UsersRound } from "lucide-react"
import { useNow } from "../app/hooks"
import { goBack } from "../app/route"
import { faceOf } from "../logic/members"
import { badge } from "../logic/title"
import { PresenceLabel } from "../presence/PresenceIcon"
import { presenceDetail } from "../presence/view"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { IconButton } from "../ui/Button"
import { Pins } from "./Pins"

/** The header of a conversation with one person: name and presence. */
export function ThreadHead(props: {
  item: ConversationInfo | null
  self: User
  name: string
  wide: boolean
  /** The messages that are loaded. */
  rows: readonly MessageRow[]
  onSearch: () => void
  onPeople: () => void
}) {
  const { item, self, name, wide, rows, onSearch, onPeople } = props
  const unread = useUnread().total
  return (
    <header className="panel-head thread-head">
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
      {item?.other ? (
        <Person other={item.other} name={name} />
      ) : item ? (
        <Company item={item} selfId={self.id} name={name} />
      ) : (
        <div className="flex-1" />
      )}
      <Pins rows={rows} />
      {item && (
        <IconButton label={words.search.here} data-testid="search-here" onClick={onSearch}>
          <Search size={20} aria-hidden="true" />
        </IconButton>
      )}
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
        <h2 className="panel-title w-fit max-w-full truncate" dir="auto" data-testid="thread-name">
          {name}
        </h2>
        <p className="thread-presence" data-testid="thread-presence">
          <PresenceLabel state={presence.status} detail={presenceDetail(presence, now)} />
        </p>
      </div>
    </>
  )
}

/** The header of a conversation with several people, who have no single presence. */
function Company({ item, selfId, name }: { item: ConversationInfo; selfId: string; name: string }) {
  return (
    <>
      <Avatar id={item.id} name={faceOf(item.members, selfId)} />
      <div className="min-w-0 flex-1">
        <h2 className="panel-title w-fit max-w-full truncate" dir="auto" data-testid="thread-name">
          {name}
        </h2>
        <p className="thread-presence">{words.thread.company(item.members.length - 1)}</p>
      </div>
    </>
  )
}
