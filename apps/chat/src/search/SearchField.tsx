import { Command, Search, X } from "lucide-react"
import type { KeyboardEvent } from "react"
import { Keys } from "../shortcuts/Keys"
import { ariaShortcut, withKeys } from "../shortcuts/keyboard"
import { shortcuts } from "../shortcuts/registry"
import { words } from "../strings"
import { IconButton } from "../ui/Button"

/** The server's limit for a query. */
const MAX_QUERY = 200

/** The query and its conversation; null searches all conversations. */
export interface SearchRequest {
  query: string
  scope: { id: string; name: string } | null
}

export const noSearch: SearchRequest = { query: "", scope: null }

export const isSearching = ({ query, scope }: SearchRequest): boolean => query.trim() !== "" || scope !== null

/** The field of the search over conversations and messages. The results are below it in the same panel. */
export function SearchField(props: {
  search: SearchRequest
  onSearch: (search: SearchRequest) => void
  /** Opens the palette. `opener` takes the focus back. */
  onPalette: (opener: HTMLElement) => void
}) {
  const { search, onSearch, onPalette } = props
  const { query, scope } = search

  function onKeyDown(event: KeyboardEvent<HTMLInputElement>) {
    if (event.nativeEvent.isComposing) return
    if (event.key === "Escape" && isSearching(search)) {
      event.preventDefault()
      // First the text, then the conversation.
      onSearch(query ? { ...search, query: "" } : noSearch)
    } else if (event.key === "Backspace" && !query && scope) {
      onSearch(noSearch)
    } else if (event.key === "ArrowDown" || (event.key === "Enter" && query.trim())) {
      const row = event.currentTarget.closest("nav")?.querySelector<HTMLElement>("[data-roving]")
      if (!row) return
      event.preventDefault()
      if (event.key === "Enter") row.click()
      else row.focus()
    }
  }

  return (
    <search className="search" data-scoped={scope ? "" : undefined}>
      <Search size={16} className="search-icon" aria-hidden="true" />
      {scope && (
        <span className="search-scope">
          <span className="truncate">{words.search.inside(scope.name)}</span>
          <button
            type="button"
            className="search-scope-end"
            aria-label={words.search.everywhere}
            title={words.search.everywhere}
            onClick={() => onSearch({ query, scope: null })}
          >
            <X size={14} aria-hidden="true" />
          </button>
        </span>
      )}
      <input
        className="field"
        type="text"
        inputMode="search"
        enterKeyHint="search"
        data-testid="search"
        data-search-field=""
        aria-label={scope ? words.search.fieldIn(scope.name) : words.search.field}
        placeholder={scope ? "" : words.search.field}
        title={withKeys(words.search.field, "search")}
        {...ariaShortcut("search")}
        autoComplete="off"
        spellCheck={false}
        dir="auto"
        maxLength={MAX_QUERY}
        value={query}
        onChange={(event) => onSearch({ ...search, query: event.target.value })}
        onKeyDown={onKeyDown}
      />
      {!isSearching(search) && (
        <button
          type="button"
          className="open-palette"
          data-testid="open-palette"
          title={withKeys(words.palette.title, "palette")}
          aria-haspopup="dialog"
          {...ariaShortcut("palette")}
          onClick={({ currentTarget }) => onPalette(currentTarget)}
        >
          <span className="sr-only">{words.palette.title}</span>
          <Keys keys={shortcuts.palette.keys[0] ?? ""} />
          <Command size={16} aria-hidden="true" />
        </button>
      )}
      {isSearching(search) && (
        <IconButton
          label={words.search.clear}
          className="search-clear"
          onClick={({ currentTarget }) => {
            onSearch(noSearch)
            currentTarget.closest("search")?.querySelector("input")?.focus()
          }}
        >
          <X size={16} aria-hidden="true" />
        </IconButton>
      )}
    </search>
  )
}

/** After the next paint, since the field may not be visible yet. */
export function focusSearch(): void {
  requestAnimationFrame(() => document.querySelector<HTMLInputElement>("[data-search-field]")?.focus())
}
