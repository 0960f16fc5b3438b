import type { User } from "@lamplight/client"
import { usePresence } from "@lamplight/react"
import { MessageSquareText, Search } from "lucide-react"
import type { ReactNode } from "react"
import { useToday } from "../app/hooks"
import { conversationTitle, nameOf } from "../logic/members"
import { listTime } from "../logic/time"
import { PresenceIcon } from "../presence/PresenceIcon"
import { Found } from "../search/Found"
import { Keys } from "../shortcuts/Keys"
import { shortcuts } from "../shortcuts/registry"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { ConversationAvatar } from "../ui/ConversationAvatar"
import { MutedMark, RowName, UnreadBadge } from "../ui/row-parts"
import { type Entry, personOf } from "./usePaletteEntries"

/** One choice of the palette. The field keeps the focus. */
export function EntryRow(props: {
  id: string
  entry: Entry
  self: User
  /** The user names of people whose names look alike. */
  handles: ReadonlyMap<string, string>
  isCurrent: boolean
  isBusy: boolean
  onPoint: () => void
  onTake: () => void
}) {
  const { id, entry, self, handles, isCurrent, isBusy, onPoint, onTake } = props
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the keys
    // biome-ignore lint/a11y/useFocusableInteractive: the field has the focus
    <div
      id={id}
      role="option"
      className="palette-row"
      data-testid="palette-entry"
      data-kind={entry.kind}
      data-muted={entry.kind === "conversation" && entry.item.muted ? "" : undefined}
      aria-selected={isCurrent}
      aria-busy={isBusy}
      // Only a moving pointer: a pointer at rest where the list appears must not select an entry.
      onPointerMove={({ pointerType }) => {
        if (pointerType === "mouse" && !isCurrent) onPoint()
      }}
      onPointerDown={(event) => event.preventDefault()}
      onClick={onTake}
    >
      <Content entry={entry} self={self} handles={handles} />
    </div>
  )
}

function Content(props: { entry: Entry; self: User; handles: ReadonlyMap<string, string> }) {
  const { entry, self, handles } = props
  const user = personOf(entry)
  if (user)
    return (
      <PersonContent
        user={user}
        handle={handles.get(user.id)}
        item={entry.kind === "conversation" ? entry.item : null}
      />
    )
  if (entry.kind === "conversation")
    return (
      <>
        <ConversationAvatar item={entry.item} selfId={self.id} />
        <Name>{conversationTitle(entry.item, self.id) || entry.item.id}</Name>
        <Marks item={entry.item} />
      </>
    )
  if (entry.kind === "person") return null
  if (entry.kind === "message") return <MessageContent entry={entry} self={self} />
  if (entry.kind === "search")
    return (
      <>
        <span className="palette-icon">
          <Search size={18} aria-hidden="true" />
        </span>
        <Name>{words.palette.searchAll(entry.query)}</Name>
      </>
    )
  const { label, icon: Icon, shortcut } = entry.action
  return (
    <>
      <span className="palette-icon">
        {typeof Icon === "string" ? (
          <PresenceIcon state={Icon} size={18} />
        ) : (
          <Icon size={18} aria-hidden="true" />
        )}
      </span>
      <Name>{label}</Name>
      {shortcut && <Keys keys={shortcuts[shortcut].keys[0] ?? ""} />}
    </>
  )
}

type Conversation = Extract<Entry, { kind: "conversation" }>["item"]

function PersonContent(props: { user: User; handle: string | undefined; item: Conversation | null }) {
  const { user, handle, item } = props
  const presence = usePresence(user.id)
  const person = presence.user ?? user
  const name = nameOf(person)
  return (
    <>
      <Avatar id={user.id} name={name} avatarUrl={person.avatarUrl} presence={presence.status} />
      <span className="row-text row-line">
        <RowName name={name} handle={handle} state={presence.status} />
      </span>
      {item && <Marks item={item} />}
    </>
  )
}

function MessageContent({ entry, self }: { entry: Extract<Entry, { kind: "message" }>; self: User }) {
  const { hit, item } = entry
  const { content, createdAt, senderId } = hit.message
  const today = useToday()
  const member = item?.members.find(({ id }) => id === senderId)
  const author = senderId === self.id ? words.thread.you : member ? nameOf(member) : ""
  const title = item ? conversationTitle(item, self.id) : author
  return (
    <>
      {item ? (
        <ConversationAvatar item={item} selfId={self.id} />
      ) : (
        <span className="palette-icon">
          <MessageSquareText size={18} aria-hidden="true" />
        </span>
      )}
      <span className="row-text">
        <span className="row-line">
          <span className="row-name" dir="auto">
            {title}
          </span>
          <time className="row-time" dateTime={createdAt}>
            {listTime(new Date(createdAt), today, words.time)}
          </time>
        </span>
        <span className="hit-text" dir="auto">
          {author && author !== title && <span className="hit-mark">{words.list.by(author)} </span>}
          <Found content={content} highlights={hit.highlights} length={100} />
        </span>
      </span>
    </>
  )
}

function Name({ children }: { children: ReactNode }) {
  return (
    <span className="row-text row-line">
      <span className="row-name" dir="auto">
        {children}
      </span>
    </span>
  )
}

/** The badges of a conversation: muted, and the unread count. */
function Marks({ item }: { item: Conversation }) {
  return (
    <>
      <MutedMark item={item} />
      {item.archived && <span className="palette-mark">{words.settings.archivedTitle}</span>}
      <UnreadBadge item={item} />
    </>
  )
}
