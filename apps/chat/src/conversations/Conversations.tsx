import type { User } from "@lamplight/client"
import { MessageCirclePlus } from "lucide-react"
import { useLayer } from "../app/layers"
import type { PageActions } from "../palette/actions"
import { PresenceIcon } from "../presence/PresenceIcon"
import { StatusMenu } from "../presence/StatusMenu"
import { isSearching, noSearch, SearchField, type SearchRequest } from "../search/SearchField"
import { ariaShortcut, withKeys } from "../shortcuts/keyboard"
import { words } from "../strings"
import { IconButton } from "../ui/Button"
import { later } from "../ui/later"
import { Skeleton } from "../ui/State"
import { ConversationList } from "./ConversationList"

/** Loaded with the first search. */
const SearchResults = later(
  () => import("../search/SearchResults"),
  () => <Skeleton rows={4} kind="list" label={words.search.loading} />,
)

/** The conversations or search results, above the user's own status. */
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
  onPalette: (opener: HTMLElement) => void
  onFind: () => void
  page: PageActions
}) {
  const { self, mode, selected, shown, inert, search, onSearch, onSelect, onShow, onFind, page } = props
  useLayer(() => onSearch(noSearch), shown && isSearching(search), true)
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
          title={withKeys(words.groups.open, "newGroup")}
          {...ariaShortcut("newGroup")}
          className="ms-auto"
          data-testid="new-group"
          onClick={({ currentTarget }) => props.onNewGroup(currentTarget)}
        >
          <MessageCirclePlus size={20} aria-hidden="true" />
        </IconButton>
      </header>
      <SearchField search={search} onSearch={onSearch} onPalette={props.onPalette} />
      {isSearching(search) ? (
        <div className="scroller" key="results">
          <SearchResults self={self} search={search} onSelect={onSelect} onShow={onShow} />
        </div>
      ) : (
        <div className="scroller" data-testid="conversations">
          <ConversationList
            mode={mode}
            shown={shown}
            selected={selected}
            selfId={self.id}
            onSelect={onSelect}
            onFind={onFind}
          />
        </div>
      )}
      <StatusMenu self={self} page={page} />
    </nav>
  )
}
