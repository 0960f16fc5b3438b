import type { User } from "@lamplight/client"
import { useConversations, useOutbox, usePresences } from "@lamplight/react"
import { MessageCirclePlus } from "lucide-react"
import { useCallback, useMemo } from "react"
import { useToday } from "../app/hooks"
import { describeFiles } from "../files/layout"
import { PresenceIcon } from "../presence/PresenceIcon"
import { StatusMenu } from "../presence/StatusMenu"
import { isSearching, SearchField, type SearchRequest } from "../search/SearchField"
import { words } from "../strings"
import { Button, IconButton } from "../ui/Button"
import { showFailure } from "../ui/failure"
import { later } from "../ui/later"
import { useRoving } from "../ui/roving"
import { Skeleton, State } from "../ui/State"
import { ConversationRow } from "./ConversationRow"
import { useHeldOrder } from "./useHeldOrder"

/** Loaded with the first search. */
const SearchResults = later(
  () => import("../search/SearchResults"),
  <Skeleton rows={4} kind="list" label={words.search.loading} />,
)

/**
 * The list of conversations, newest first. It does not reorder while the user points at it or moves through
 * it.
 */
export function Conversations(props: {
  self: User
  mode: "local" | "open" | "token"
  selected: string | null
  shown: boolean
  inert: boolean
  search: SearchRequest
  onSearch: (search: SearchRequest) => void
  onSelect: (conversationId: string, focus: boolean) => void
  onShow: (conversationId: string, seq: number) => void
  /** `opener` takes the focus back. */
  onNewGroup: (opener: HTMLElement) => void
  onFind: () => void
  onLeave: () => void
}) {
  const { self, mode, selected, shown, inert, search, onSearch, onSelect, onShow, onFind, onLeave } = props
  return (
    <nav
      className="panel"
      data-region="conversations"
      data-shown={shown}
      aria-label={words.regions.conversations}
      inert={inert}
      tabIndex={-1}
    >
      <header className="panel-head">
        <p className="wordmark" aria-hidden="true">
          <PresenceIcon state="online" size={20} />
          {words.product}
        </p>
        <IconButton
          label={words.groups.open}
          className="ms-auto"
          data-testid="new-group"
          onClick={({ currentTarget }) => props.onNewGroup(currentTarget)}
        >
          <MessageCirclePlus size={20} aria-hidden="true" />
        </IconButton>
      </header>
      <SearchField search={search} onSearch={onSearch} />
      {isSearching(search) ? (
        <div className="scroller" key="results">
          <SearchResults self={self} search={search} onSelect={onSelect} onShow={onShow} />
        </div>
      ) : (
        <div className="scroller" data-testid="conversations">
          <List selected={selected} selfId={self.id} onSelect={onSelect} onFind={onFind} />
        </div>
      )}
      <StatusMenu self={self} mode={mode} onLeave={onLeave} look="card" />
    </nav>
  )
}

function List(props: {
  selected: string | null
  selfId: string
  onSelect: (conversationId: string, focus: boolean) => void
  onFind: () => void
}) {
  const { selected, selfId, onSelect, onFind } = props
  const list = useConversations()
  const byId = useMemo(() => new Map(list.items.map((item) => [item.id, item])), [list.items])
  const { ids, hold } = useHeldOrder(list.items)
  const others = useMemo(
    () => [...new Set(list.items.flatMap((item) => (item.other ? [item.other.id] : [])))].sort(),
    [list.items],
  )
  const presences = usePresences(others)
  const roving = useRoving(ids, selected)
  const today = useToday()
  const { items: unsent } = useOutbox()
  // The last waiting or failed message of each conversation: the row shows it instead of the last sent one.
  const unsentText = useMemo(
    () =>
      new Map(
        unsent
          .filter((it) => !it.write)
          .map((it) => [it.conversationId, it.content || describeFiles(it.files ?? [])]),
      ),
    [unsent],
  )
  const open = useCallback((id: string) => onSelect(id, true), [onSelect])

  if (list.status === "loading") return <Skeleton rows={6} kind="list" label={words.list.loading} />
  if (list.status === "error") {
    return (
      <State
        kind="error"
        title={words.list.failed}
        action={
          <Button
            look="line"
            onClick={() => list.reload().catch((thrown) => showFailure(words.list.failed, thrown))}
          >
            {words.list.retry}
          </Button>
        }
      />
    )
  }
  if (list.items.length === 0) {
    return (
      <State
        kind="empty"
        title={words.list.empty}
        lead={words.list.emptyLead}
        action={
          <Button look="line" onClick={onFind}>
            {words.list.emptyAction}
          </Button>
        }
      />
    )
  }
  return (
    <div className="rows" {...hold} {...roving.handlers}>
      <ul>
        {ids.map((id) => {
          const item = byId.get(id)
          if (!item) return null
          return (
            <ConversationRow
              key={id}
              item={item}
              presence={item.other ? presences[item.other.id] : undefined}
              unsent={unsentText.get(id) ?? ""}
              selfId={selfId}
              selected={id === selected}
              tabIndex={roving.tabStop(id)}
              entry={id === roving.current}
              today={today}
              onOpen={open}
            />
          )
        })}
      </ul>
      {list.hasMore && (
        <p className="pt-2 text-center">
          <Button
            look="text"
            disabled={list.loadingMore}
            onClick={() => list.loadMore().catch((thrown) => showFailure(words.list.failed, thrown))}
          >
            {words.list.more}
          </Button>
        </p>
      )}
    </div>
  )
}
