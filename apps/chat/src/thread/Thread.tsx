import type { User } from "@lamplight/client"
import { useConversation } from "@lamplight/react"
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react"
import { useReading } from "../app/hooks"
import { focusThread } from "../app/regions"
import { endJump } from "../app/route"
import { Composer } from "../composer/Composer"
import { NowPlaying } from "../files/Attachments"
import { Pictures } from "../files/Pictures"
import { conversationTitle, nameOf as nameOfUser, namesById } from "../logic/members"
import { firstUnreadIsKnown } from "../logic/rows"
import { useHandles } from "../people/handles"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { reason, showFailure } from "../ui/failure"
import { overlay } from "../ui/overlay"
import { Skeleton, State } from "../ui/State"
import { Announcer } from "./Announcer"
import { ThreadActionsContext } from "./actions"
import { Log, type LogControl } from "./Log"
import { NoWriting, useNoWriting } from "./NoWriting"
import { ThreadHead } from "./ThreadHead"
import { TypingStrip } from "./TypingStrip"
import { useArrival } from "./useArrival"
import { useDivider, useIsMarked } from "./useDivider"
import { useMessageActions } from "./useMessageActions"

const DeleteDialog = overlay((overlays) => overlays.DeleteDialog)
const EditMessage = overlay((overlays) => overlays.EditMessage)
const EmojiPopover = overlay((overlays) => overlays.EmojiPopover)
const JumpToDate = overlay((overlays) => overlays.JumpToDate)
const NoAccess = overlay((overlays) => overlays.NoAccess)

/**
 * How many pages are loaded on opening to find the first unread message. If it is further up, the view starts
 * at the end and a button leads there.
 */
const PAGES_TO_FIRST_UNREAD = 4
/** The size of a page. */
const PAGE = 50

const noMembers: readonly User[] = []

/**
 * One conversation: header, messages and composer. Remounted for each conversation, so that no state
 * passes to another.
 */
export function Thread(props: {
  id: string
  self: User
  wide: boolean
  /** The `seq` of a message to show; null: none. */
  target: number | null
  onSearch: (scope: { id: string; name: string }) => void
  /** Whether the details about the conversation are open. */
  details: boolean
  onDetails: () => void
  onPeople: () => void
  onOut: () => void
}) {
  const { id, self, wide, target, details, onSearch, onDetails, onPeople, onOut } = props
  const conversation = useConversation(id)
  const { messages, item } = conversation
  const reading = useReading()
  const isMarked = useIsMarked(item)
  const divider = useDivider(messages, item, isMarked, self.id, reading)
  const log = useRef<LogControl>(null)
  const members = item?.members ?? noMembers
  const name = item ? conversationTitle(item, self.id) : ""
  const { users } = messages
  const isGroup = item?.kind === "group"
  const names = useMemo(() => namesById(members), [members])
  const handles = useHandles(isGroup ? members : noMembers)
  // Messages of people who left the conversation are still there.
  const nameOf = useCallback(
    (userId: string) => {
      const former = users[userId]
      return (
        names.get(userId) ?? (former ? nameOfUser(former) : isGroup ? words.thread.unknownMember : userId)
      )
    },
    [names, users, isGroup],
  )

  // Leaving the conversation ends the typing notice.
  const { setTyping } = conversation
  useEffect(() => () => setTyping(false), [setTyping])

  const options = { hasOlder: messages.hasOlder, unreadAfter: divider.unreadAfter, selfId: self.id }
  const [pages, setPages] = useState(0)
  const isArriving = useArrival(conversation, target)
  const placed =
    // The messages around the one to show are there, wherever the first unread one is.
    messages.hasNewer ||
    divider.unreadAfter === null ||
    firstUnreadIsKnown(messages.rows, options) ||
    pages >= PAGES_TO_FIRST_UNREAD ||
    // The first unread message is too far up for the pages that would be loaded.
    messages.headSeq - divider.unreadAfter > (PAGES_TO_FIRST_UNREAD + 1) * PAGE
  const [started, setStarted] = useState(false)
  const { loadOlder } = conversation
  const ready = isMarked && messages.status === "ready"
  // Set while rendering: an effect would render the thread twice in each switch of conversation.
  if (ready && placed && !started) setStarted(true)
  const isSearching = ready && !placed && !started && !messages.loadingOlder
  useEffect(() => {
    if (!isSearching) return
    // A page that fails does not stop the start: the log tries again and shows the failure.
    void loadOlder()
      .catch(() => {})
      .then(() => setPages((n) => n + 1))
  }, [isSearching, loadOlder])

  const noWriting = useNoWriting(item, messages.rows)

  const todo = useMessageActions({ id, selfId: self.id, nameOf, log })
  const { actions, reply, editing, deleting, reacting, dating, endReply, endEdit, endReacting, editLast } =
    todo
  const { setDeleting, remove, viewing, endViewing } = todo

  const isShown =
    messages.rows.length + messages.systemRows.length > 0 &&
    (started || placed) &&
    isMarked &&
    !isArriving &&
    messages.status !== "loading"
  // Before the paint, so that the end is not shown first.
  useLayoutEffect(() => {
    if (target === null || !isShown) return
    log.current?.show(target)
    endJump()
  }, [target, isShown])

  const lastName = useRef("")
  if (name) lastName.current = name
  const denied = messages.status === "error" && messages.error?.code === "not_found"
  if (denied) return <NoAccess rows={messages.rows} isRemoved={messages.isRemoved} name={lastName.current} />

  return (
    <ThreadActionsContext.Provider value={actions}>
      <ThreadHead
        item={item}
        self={self}
        name={name}
        wide={wide}
        rows={messages.rows}
        details={details}
        onDetails={onDetails}
        onSearch={() => onSearch({ id, name })}
        onPeople={onPeople}
      />
      <NowPlaying key={id} />
      <div className="log-frame">
        {isShown ? (
          <Log
            ref={log}
            conversation={conversation}
            self={self}
            members={members}
            isGroup={isGroup}
            name={name}
            nameOf={nameOf}
            handles={handles}
            unreadAfter={divider.unreadAfter}
            reading={reading}
            onOut={onOut}
          />
        ) : messages.status === "error" ? (
          <State
            kind="error"
            size="page"
            title={words.thread.failed}
            lead={reason(messages.error)}
            action={
              <Button
                look="line"
                onClick={() =>
                  conversation.reload().catch((thrown) => showFailure(words.thread.failed, thrown))
                }
              >
                {words.thread.retry}
              </Button>
            }
          />
        ) : messages.isEmpty && !messages.catchingUp ? (
          <State
            kind="empty"
            size="page"
            title={words.thread.emptyTitle(name)}
            lead={item?.other ? words.thread.emptyLead : words.thread.emptyLeadMany}
          />
        ) : (
          <Skeleton kind="thread" rows={7} label={words.thread.loading} />
        )}
      </div>
      <TypingStrip id={id} nameOf={nameOf} />
      {editing && (
        <EditMessage key={editing.key} row={editing} members={members} selfId={self.id} onDone={endEdit} />
      )}
      {noWriting && <NoWriting why={noWriting} />}
      {/* It stays mounted meanwhile, so that nothing of its text is lost. */}
      <div hidden={editing !== null || noWriting !== null}>
        <Composer
          id={id}
          name={name}
          members={members}
          selfId={self.id}
          reply={reply}
          replyName={reply ? actions.nameOf(reply.senderId) : ""}
          onReplyDone={endReply}
          onEditLast={editLast}
          onReplyLast={todo.replyLast}
          onOut={onOut}
          onSent={() => {
            divider.sent(log.current?.unseen() ?? 0, log.current?.seenSeq() ?? null)
            log.current?.toEnd()
          }}
        />
      </div>
      {reacting && (
        <EmojiPopover
          anchor={reacting.anchor}
          align={reacting.row.mine ? "end" : "start"}
          onPick={(emoji) => {
            actions.react(reacting.row, emoji)
            endReacting(true)
          }}
          onClose={endReacting}
        />
      )}
      {viewing && <Pictures id={id} {...viewing} onClose={endViewing} />}
      {dating && (
        <JumpToDate at={dating.at} from={dating.from} onPick={todo.toDay} onClose={todo.endDating} />
      )}
      {deleting && (
        <DeleteDialog
          row={deleting}
          onDelete={() => remove(deleting)}
          onClose={() => {
            setDeleting(null)
            focusThread()
          }}
        />
      )}
      <Announcer rows={messages.rows} ready={ready} nameOf={nameOf} />
    </ThreadActionsContext.Provider>
  )
}
