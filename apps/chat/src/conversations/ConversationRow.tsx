import { type ConversationItem, isVisible, type PresenceView } from "@lamplight/client"
import { useTyping } from "@lamplight/react"
import { EllipsisVertical } from "lucide-react"
import { memo } from "react"
import { describeFiles } from "../files/layout"
import { conversationTitle, nameOf, newestOf } from "../logic/members"
import { plainStart } from "../logic/plain"
import { listTime } from "../logic/time"
import type { PresenceIconState } from "../presence/PresenceIcon"
import { words } from "../strings"
import { ConversationAvatar } from "../ui/ConversationAvatar"
import { MutedMark, RowName, UnreadBadge } from "../ui/row-parts"

/**
 * One conversation: the other person and their presence, the last or unsent message, and the unread count.
 */
export const ConversationRow = memo(function ConversationRow(props: {
  item: ConversationItem
  presence: PresenceView | undefined
  unsent: string
  /** Distinguishes the other person from others of the same name. */
  handle: string | undefined
  selfId: string
  selected: boolean
  tabIndex: 0 | -1
  entry: boolean
  today: Date
  menuOpen: boolean
  onOpen: (id: string) => void
}) {
  const { item, presence, unsent, handle, selfId, selected } = props
  const { tabIndex, entry, today, menuOpen, onOpen } = props
  const other = newestOf(presence?.user, item.other)
  const name = other ? nameOf(other) : conversationTitle(item, selfId) || item.id
  // Several people have no single presence, and a deleted account has none.
  const state: PresenceIconState | undefined =
    item.other && !item.other.deleted ? (presence?.status ?? "unknown") : undefined
  const at = item.lastMessage?.createdAt ?? item.createdAt
  return (
    <li className="row-frame">
      <button
        type="button"
        className="row"
        data-testid="conversation-item"
        data-conversation-id={item.id}
        data-user-id={item.other?.id}
        data-unread={item.unread > 0 ? item.unread : undefined}
        data-muted={item.muted ? "" : undefined}
        data-menu={menuOpen ? "" : undefined}
        data-roving={item.id}
        data-region-entry={entry ? "" : undefined}
        aria-current={selected ? "true" : undefined}
        tabIndex={tabIndex}
        onClick={() => onOpen(item.id)}
      >
        <ConversationAvatar
          item={item}
          selfId={selfId}
          other={item.other && other}
          presence={state}
          size="lg"
        />
        <span className="row-text">
          <span className="row-line">
            <RowName name={name} handle={handle} state={state} />
            <MutedMark item={item} />
            <time className="row-time" dateTime={at}>
              {listTime(new Date(at), today, words.time)}
            </time>
          </span>
          <span className="row-line">
            <Preview item={item} unsent={unsent} selfId={selfId} />
            <UnreadBadge item={item} />
          </span>
        </span>
      </button>
      {/* The keyboard opens the menu from the row, by the menu key or Shift + F10. */}
      <button
        type="button"
        className="row-menu"
        data-testid="conversation-menu"
        data-menu-of={item.id}
        aria-label={words.settings.menu(name)}
        aria-haspopup="menu"
        aria-expanded={menuOpen}
        title={words.settings.menu(name)}
        tabIndex={-1}
      >
        <EllipsisVertical size={18} aria-hidden="true" />
      </button>
    </li>
  )
})

/** The second line: a failed message first, then a draft, then who is typing, then the last message. */
function Preview({ item, unsent, selfId }: { item: ConversationItem; unsent: string; selfId: string }) {
  const typing = useTyping(item.id).userIds.length > 0
  if (item.failed > 0) return <Line kind="failed" mark={words.list.unsent} text={unsent} />
  if (isVisible(item.draft)) return <Line kind="draft" mark={words.list.draft} text={item.draft} />
  if (typing) return <Line kind="typing" mark={words.list.typing} text="" />
  if (item.waiting > 0) return <Line kind="plain" mark={words.list.sending} text={unsent} />
  if (!item.lastMessage) return <Line kind="plain" mark={words.list.nothing} text="" />
  const { senderId } = item.lastMessage
  const sender = item.other ? null : item.members.find((member) => member.id === senderId)
  const mark = senderId === selfId ? words.list.you : sender ? words.list.by(nameOf(sender)) : ""
  return <Line kind="plain" mark={mark} text={lastText(item)} />
}

/** The most characters of a message in its row. */
const PREVIEW = 160

function Line({ kind, mark, text }: { kind: string; mark: string; text: string }) {
  return (
    <span className="row-preview row-said">
      {mark && (
        <>
          <span className="row-mark" data-kind={kind}>
            {mark}
          </span>{" "}
        </>
      )}
      {/* A box of its own, so that right-to-left text is cut at its end too. */}
      <span className="row-words" dir="auto">
        {oneLine(text)}
      </span>
    </span>
  )
}

function lastText(item: ConversationItem): string {
  // Until the server has sent the previous message.
  if (item.lastMessage?.deletedAt) return words.message.deleted
  return (
    plainStart(item.lastMessage?.content ?? "", PREVIEW) || describeFiles(item.lastMessage?.attachments ?? [])
  )
}

/** A preview is one short line. */
function oneLine(text: string): string {
  return text.slice(0, PREVIEW).replace(/\s+/g, " ").trim()
}
