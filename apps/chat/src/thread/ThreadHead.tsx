import type { ConversationInfo, MessageRow, PresenceView, User } from "@lamplight/client"
import { usePresence, useUnread } from "@lamplight/react"
import { BellOff, ChevronLeft, EllipsisVertical, Search, UsersRound } from "lucide-react"
import { type ReactNode, useRef, useState } from "react"
import { useNow } from "../app/hooks"
import { goBack } from "../app/route"
import type { MenuPlace } from "../conversations/ConversationMenu"
import { number } from "../languages/format"
import { newestOf } from "../logic/members"
import { badge } from "../logic/title"
import { PresenceLabel } from "../presence/PresenceIcon"
import { presenceDetail } from "../presence/view"
import { words } from "../strings"
import { IconButton } from "../ui/Button"
import { ConversationAvatar } from "../ui/ConversationAvatar"
import { isRightToLeft } from "../ui/keyboard"
import { overlay } from "../ui/overlay"
import { useThreadActions } from "./actions"
import { Pins } from "./Pins"

const ConversationMenu = overlay((overlays) => overlays.ConversationMenu)

/** The header of a conversation: who it is with, which opens the details about it. */
export function ThreadHead(props: {
  item: ConversationInfo | null
  self: User
  name: string
  wide: boolean
  /** The messages that are loaded. */
  rows: readonly MessageRow[]
  /** Whether the details are open. */
  details: boolean
  onDetails: () => void
  onSearch: () => void
  onPeople: () => void
}) {
  const { item, self, name, wide, rows, details, onDetails, onSearch, onPeople } = props
  const unread = useUnread().total
  const title = (
    <div className="thread-name-line">
      <h2 className="panel-title w-fit max-w-full truncate" dir="auto" data-testid="thread-name">
        <button
          type="button"
          className="thread-title"
          data-testid="open-details"
          aria-expanded={details}
          title={words.details.title}
          onClick={onDetails}
        >
          {name}
        </button>
      </h2>
      {item?.muted && (
        <span className="row-muted" title={words.settings.muted} data-testid="muted">
          <BellOff size={15} aria-hidden="true" />
          <span className="sr-only">{words.settings.muted}</span>
        </span>
      )}
    </div>
  )
  return (
    <header className="panel-head thread-head">
      <IconButton
        label={unread > 0 ? `${words.regions.back}, ${unreadLabel(unread)}` : words.regions.back}
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
      {item ? (
        <div className="thread-who">
          {item.other ? (
            <Person item={item} other={item.other} self={self} title={title} />
          ) : (
            <Company item={item} self={self} title={title} />
          )}
        </div>
      ) : (
        <div className="flex-1" />
      )}
      {item && <Pins id={item.id} rows={rows} />}
      {item && (
        <IconButton
          label={words.search.here}
          className="head-search"
          data-testid="search-here"
          onClick={onSearch}
        >
          <Search size={20} aria-hidden="true" />
        </IconButton>
      )}
      {item && <Settings item={item} name={name} onSearch={onSearch} />}
      {!wide && (
        <IconButton label={words.regions.openPeople} className="only-wide-enough" onClick={onPeople}>
          <UsersRound size={20} aria-hidden="true" />
        </IconButton>
      )}
    </header>
  )
}

/** It has the text of the badge in it: who says what they see to the page must reach the button. */
function unreadLabel(unread: number): string {
  const shown = badge(unread)
  return shown === number(unread) ? words.list.unread(unread) : words.list.unreadAbove(shown)
}

function Settings(props: { item: ConversationInfo; name: string; onSearch: () => void }) {
  const { item, name, onSearch } = props
  const { pickDate } = useThreadActions()
  const [at, setAt] = useState<MenuPlace | null>(null)
  const button = useRef<HTMLButtonElement>(null)
  return (
    <>
      <IconButton
        ref={button}
        label={words.settings.menu(name)}
        data-testid="thread-menu"
        aria-haspopup="menu"
        aria-expanded={at !== null}
        onPointerEnter={ConversationMenu.preload}
        onClick={({ currentTarget }) => {
          const { left, right, bottom } = currentTarget.getBoundingClientRect()
          setAt((open) => (open ? null : { x: isRightToLeft(currentTarget) ? left : right, y: bottom }))
        }}
      >
        <EllipsisVertical size={20} aria-hidden="true" />
      </IconButton>
      {at && (
        <ConversationMenu
          item={item}
          name={name}
          at={at}
          align="end"
          onSearch={onSearch}
          onDate={() => button.current && pickDate(button.current, new Date())}
          trigger={() => button.current}
          onClose={(takesFocus) => {
            setAt(null)
            if (takesFocus) button.current?.focus({ preventScroll: true })
          }}
        />
      )}
    </>
  )
}

interface WhoProps {
  item: ConversationInfo
  self: User
  title: ReactNode
}

function Person({ item, other, self, title }: WhoProps & { other: User }) {
  const presence: PresenceView = usePresence(other.id)
  const now = useNow(30_000)
  return (
    <>
      <ConversationAvatar item={item} selfId={self.id} other={newestOf(presence.user, other)} />
      <div className="min-w-0 flex-1">
        {title}
        {!other.deleted && (
          <p className="thread-presence" data-testid="thread-presence">
            <PresenceLabel state={presence.status} detail={presenceDetail(presence, now)} />
          </p>
        )}
      </div>
    </>
  )
}

/** The header of a group, which has no single presence. */
function Company({ item, self, title }: WhoProps) {
  return (
    <>
      <ConversationAvatar item={item} selfId={self.id} />
      <div className="min-w-0 flex-1">
        {title}
        <p className="thread-presence" data-testid="member-count">
          {words.thread.company(item.memberCount ?? item.members.length)}
        </p>
      </div>
    </>
  )
}
