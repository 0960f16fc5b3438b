import { LamplightError, type User } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useEffect, useRef, useState } from "react"

/** Long enough for a word that is typed quickly to be one request. */
const PAUSE_MS = 200
/** The list of all users is reloaded when it is shown this long after the last request. */
const FRESH_MS = 60_000

interface DirectoryState {
  query: string
  status: "idle" | "loading" | "ready" | "error"
  users: readonly User[]
  cursor: string | null
  /** Whether this server accepts a conversation with an unknown id. */
  anyone: boolean
}

const idle: DirectoryState = { query: "", status: "idle", users: [], cursor: null, anyone: false }

/**
 * Searches the directory while the user types. The last results stay until the next ones arrive. Without a query it is
 * empty or, with `all`, lists all users page by page; further pages keep the loaded ones.
 */
export function useDirectory(query: string, all?: "now" | "later") {
  const client = useLamplight()
  const [state, setState] = useState<DirectoryState>(idle)
  const [attempt, setAttempt] = useState(0)
  const loadedAt = useRef(Number.NEGATIVE_INFINITY)
  const isWanted = query !== "" || all !== undefined
  const isPaused = query === "" && all === "later"

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt asks the same again
  useEffect(() => {
    if (!isWanted) setState(idle)
    const isFresh = !query && performance.now() - loadedAt.current < FRESH_MS
    if (!isWanted || isPaused || isFresh) return
    const abort = new AbortController()
    setState((before) => ({ ...before, query, status: "loading" }))
    // Of another query.
    loadedAt.current = Number.NEGATIVE_INFINITY
    const ask = () =>
      client.users(query, { signal: abort.signal }).then(
        ({ data, nextCursor }) => {
          if (abort.signal.aborted) return
          if (!query) loadedAt.current = performance.now()
          setState({ query, status: "ready", users: data, cursor: nextCursor ?? null, anyone: false })
        },
        (thrown: unknown) => {
          if (abort.signal.aborted) return
          // A server without a directory: people who are online can still be found, and any id can be written
          // to.
          const none = thrown instanceof LamplightError && thrown.code === "not_found"
          setState({ query, status: none ? "ready" : "error", users: [], cursor: null, anyone: none })
        },
      )
    const timer = setTimeout(ask, query ? PAUSE_MS : 0)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [client, query, isWanted, isPaused, attempt])

  const isCurrent = state.query === query && state.status !== "idle"
  return {
    status: !isWanted ? "idle" : isCurrent ? state.status : "loading",
    /** While `status` is "loading", the results of the query before. */
    users: state.users,
    more: state.cursor !== null,
    anyone: state.anyone,
    retry: () => setAttempt((n) => n + 1),
    loadMore() {
      const { cursor } = state
      if (cursor === null) return
      client.users(query, { cursor }).then(
        (page) =>
          setState((before) =>
            before.query === query && before.cursor === cursor
              ? { ...before, users: [...before.users, ...page.data], cursor: page.nextCursor ?? null }
              : before,
          ),
        () => setState((before) => (before.query === query ? { ...before, status: "error" } : before)),
      )
    },
  }
}
