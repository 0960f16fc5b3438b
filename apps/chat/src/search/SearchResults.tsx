import type { ConversationItem, SearchHit, User } from "@lamplight/client"
import { useConversations, usePresences, useSearch } from "@lamplight/react"
import { useMemo } from "react"
import { useToday } from "../app/hooks"
import { conversationTitle, nameOf } from "../logic/members"
import { fold } from "../logic/names"
import { listTime } from "../logic/time"
import { useHandles } from "../people/handles"
import { words } from "../strings"
import { Avatar } from "../ui/Avatar"
import { Button } from "../ui/Button"
import { ConversationAvatar } from "../ui/ConversationAvatar"
import { reason } from "../ui/failure"
import { useRoving } from "../ui/roving"
import { RowName } from "../ui/row-parts"
import { Skeleton, State } from "../ui/State"
import { Found } from "./Found"
import type { SearchRequest } from "./SearchField"

/** The most conversations listed by name. */
const MAX_CONVERSATIONS = 8

/** The results of a search: conversations by name, from the list, and messages, from the server. */
export default function SearchResults(props: {
  self: User
  search: SearchRequest
  onSelect: (conversationId: string, focus: boolean) => void
  onShow: (conversationId: string, seq: number) => void
}) {
  const { self, search, onSelect, onShow } = props
  const query = search.query.trim()
  const { items: shown, archived } = useConversations()
  const items = useMemo(() => [...shown, ...archived], [shown, archived])
  const found = useSearch(query, search.scope ? { conversationId: search.scope.id } : {})
  const today = useToday()

  const byName = useMemo(() => {
    const wanted = fold(query)
    if (search.scope || !wanted) return []
    return items.filter((item) => fold(conversationTitle(item, self.id)).includes(wanted))
  }, [items, query, search.scope, self.id])
  const byId = useMemo(() => new Map(items.map((item) => [item.id, item])), [items])
  const names = useNames(found.hits, byId)
  const conversations = byName.slice(0, MAX_CONVERSATIONS)
  const handles = useHandles(useMemo(() => items.flatMap(({ other }) => (other ? [other] : [])), [items]))
  const ids = useMemo(
    () => [...conversations.map(({ id }) => id), ...found.hits.map(({ message }) => message.id)],
    [conversations, found.hits],
  )
  const roving = useRoving(ids, null)
  // A query without a letter or digit is refused, and finds nothing.
  const error = found.error?.code === "invalid" ? null : found.error
  const isEmpty = ids.length === 0 && found.status !== "loading" && !error

  if (!query) return <p className="search-hint">{words.search.hint}</p>
  return (
    <div className="rows" data-testid="search-results" {...roving.handlers}>
      <p className="sr-only" role="status">
        {found.status === "ready" && words.search.found(found.hits.length, found.hasMore)}
      </p>
      {conversations.length > 0 && (
        <>
          <h2 className="rows-title">{words.search.conversations}</h2>
          <ul>
            {conversations.map((item) => (
              <li key={item.id}>
                <button
                  type="button"
                  className="row row-person"
                  data-testid="found-conversation"
                  data-roving={item.id}
                  tabIndex={roving.tabStop(item.id)}
                  onClick={() => onSelect(item.id, true)}
                >
                  <ConversationAvatar item={item} selfId={self.id} size="lg" />
                  <span className="row-text">
                    <span className="row-line">
                      <RowName
                        name={conversationTitle(item, self.id)}
                        handle={item.other ? handles.get(item.other.id) : undefined}
                      />
                    </span>
                  </span>
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
      {found.hits.length > 0 && (
        <>
          <h2 className="rows-title">{words.search.messages}</h2>
          <ul>
            {found.hits.map((hit) => (
              <li key={hit.message.id}>
                <Hit
                  hit={hit}
                  item={byId.get(hit.message.conversationId)}
                  author={hit.message.senderId === self.id ? words.thread.you : names(hit.message.senderId)}
                  self={self}
                  isScoped={search.scope !== null}
                  today={today}
                  tabIndex={roving.tabStop(hit.message.id)}
                  onOpen={() => onShow(hit.message.conversationId, hit.message.seq)}
                />
              </li>
            ))}
          </ul>
        </>
      )}
      {found.status === "loading" && found.hits.length === 0 && (
        <Skeleton rows={4} kind="list" label={words.search.loading} />
      )}
      {isEmpty && <State kind="empty" title={words.search.none(query)} lead={words.search.noneLead} />}
      {error && (
        <State
          kind="error"
          title={words.search.failed}
          lead={reason(error)}
          action={
            <Button look="line" onClick={found.status === "error" ? found.retry : found.loadMore}>
              {words.list.retry}
            </Button>
          }
        />
      )}
      {found.hasMore && !found.error && (
        <p className="pt-2 text-center">
          <Button look="text" disabled={found.loadingMore} onClick={found.loadMore}>
            {found.loadingMore ? words.search.loading : words.search.more}
          </Button>
        </p>
      )}
    </div>
  )
}

function Hit(props: {
  hit: SearchHit
  item: ConversationItem | undefined
  author: string
  self: User
  isScoped: boolean
  today: Date
  tabIndex: 0 | -1
  onOpen: () => void
}) {
  const { hit, item, author, self, isScoped, today, tabIndex, onOpen } = props
  const { content, createdAt, id, seq, senderId } = hit.message
  const sender = item?.members.find((member) => member.id === senderId) ?? { id: senderId, avatarUrl: null }
  const title = item && !isScoped ? conversationTitle(item, self.id) : author
  // In a conversation of two its title names the author already.
  const mark = isScoped || (item?.other && title === author) ? "" : words.list.by(author)
  return (
    <button
      type="button"
      className="row hit"
      data-testid="hit"
      data-seq={seq}
      data-roving={id}
      tabIndex={tabIndex}
      onClick={onOpen}
    >
      {item && !isScoped ? (
        <ConversationAvatar item={item} selfId={self.id} size="lg" />
      ) : (
        <Avatar
          id={sender.id}
          name={sender.id === self.id ? nameOf(self) : author}
          avatarUrl={sender.avatarUrl}
          size="lg"
        />
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
          {mark && <span className="hit-mark">{mark} </span>}
          <Found content={content} highlights={hit.highlights} />
        </span>
      </span>
    </button>
  )
}

/** The names of people: by the conversations in the list, or else by their profile. */
function useNames(hits: readonly SearchHit[], byId: ReadonlyMap<string, ConversationItem>) {
  const known = useMemo(() => {
    const all = [...byId.values()].flatMap(({ members }) => members)
    return new Map(all.map((member) => [member.id, nameOf(member)]))
  }, [byId])
  const unknown = useMemo(() => {
    const ids = hits.map(({ message }) => message.senderId).filter((id) => !known.has(id))
    return [...new Set(ids)].sort()
  }, [hits, known])
  const profiles = usePresences(unknown)
  return (id: string) => known.get(id) ?? profiles[id]?.user?.name ?? id
}
