import type { LamplightError, SearchHit, SearchOptions } from "@lamplight/client"
import { useCallback, useEffect, useMemo, useRef, useState } from "react"
import { useLamplight } from "./provider.js"

/** A pause in typing that is this long starts a search. */
const PAUSE_MS = 250

/** The filters of a search. */
export type SearchFilter = Omit<SearchOptions, "cursor" | "signal">

/** The result of `useSearch`. */
export interface SearchView {
  /** `idle`: the query is empty. While `loading`, `hits` are those of the query before. */
  status: "idle" | "loading" | "ready" | "error"
  /** The query that found the hits. */
  query: string
  /** Newest first. */
  hits: readonly SearchHit[]
  hasMore: boolean
  loadingMore: boolean
  error: LamplightError | null
  /** Loads the next page. Safe to call twice. */
  loadMore(): void
  /** Searches again, after an error or because something has changed. */
  retry(): void
}

type State = Pick<SearchView, "status" | "query" | "hits" | "error" | "loadingMore"> & {
  cursor: string | null
}

const idle: State = { status: "idle", query: "", hits: [], error: null, loadingMore: false, cursor: null }

/**
 * Searches messages while the user types: after a pause, and only the newest query counts. An earlier search is aborted. For
 * another filter, pass other values: the object may be a new one each time.
 */
export function useSearch(query: string, filter: SearchFilter = {}): SearchView {
  const client = useLamplight()
  const text = query.trim()
  const key = JSON.stringify(filter)
  const [state, setState] = useState(idle)
  const [attempt, setAttempt] = useState(0)
  const latest = useRef<{ text: string; filter: SearchFilter; signal: AbortSignal } | null>(null)
  const busy = useRef(false)

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt searches for the same again
  useEffect(() => {
    if (!text) return setState(idle)
    const abort = new AbortController()
    const mine = { text, filter: JSON.parse(key) as SearchFilter, signal: abort.signal }
    latest.current = mine
    busy.current = false
    setState((last) => ({ ...last, status: "loading", error: null, loadingMore: false, cursor: null }))
    const timer = setTimeout(() => {
      client.search(text, { ...mine.filter, signal: abort.signal }).then(
        ({ hits, nextCursor }) => {
          if (!abort.signal.aborted)
            setState({ ...idle, status: "ready", query: text, hits, cursor: nextCursor })
        },
        (error: LamplightError) => {
          if (!abort.signal.aborted) setState({ ...idle, status: "error", query: text, error })
        },
      )
    }, PAUSE_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [client, text, key, attempt])

  const { cursor } = state
  const loadMore = useCallback(() => {
    const mine = latest.current
    if (!mine || cursor === null || busy.current) return
    busy.current = true
    setState((last) => ({ ...last, loadingMore: true, error: null }))
    client
      .search(mine.text, { ...mine.filter, cursor, signal: mine.signal })
      .then(
        ({ hits, nextCursor }) => ({ hits, cursor: nextCursor, error: null }),
        (error: LamplightError) => ({ hits: [], cursor, error }),
      )
      .then(({ hits, ...rest }) => {
        if (mine.signal.aborted) return
        busy.current = false
        setState((last) => ({ ...last, ...rest, hits: [...last.hits, ...hits], loadingMore: false }))
      })
  }, [client, cursor])
  const retry = useCallback(() => setAttempt((n) => n + 1), [])

  return useMemo(() => {
    const { cursor, ...view } = state
    return { ...view, hasMore: cursor !== null, loadMore, retry }
  }, [state, loadMore, retry])
}
