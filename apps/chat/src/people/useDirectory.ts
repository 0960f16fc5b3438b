import { LamplightError, type User } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useEffect, useState } from "react"

/** Long enough for a word that is typed quickly to be one request. */
const PAUSE_MS = 200

interface DirectoryState {
  query: string
  status: "idle" | "loading" | "ready" | "error"
  users: readonly User[]
  cursor: string | null
  /** Whether this server accepts a conversation with an unknown id. */
  anyone: boolean
}

const idle: DirectoryState = { query: "", status: "idle", users: [], cursor: null, anyone: false }

/** Searches the directory while the user types. The last results stay until the next ones arrive. */
export function useDirectory(query: string) {
  const client = useLamplight()
  const [state, setState] = useState<DirectoryState>(idle)
  const [attempt, setAttempt] = useState(0)

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt asks the same again
  useEffect(() => {
    if (!query) {
      setState(idle)
      return
    }
    const abort = new AbortController()
    setState((before) => ({ ...before, query, status: "loading" }))
    const timer = setTimeout(() => {
      client.users(query, { signal: abort.signal }).then(
        (page) => {
          if (abort.signal.aborted) return
          setState({
            query,
            status: "ready",
            users: page.data,
            cursor: page.nextCursor ?? null,
            anyone: false,
          })
        },
        (thrown: unknown) => {
          if (abort.signal.aborted) return
          // A server without a directory: people who are online can still be found, and any id can be written
          // to.
          const none = thrown instanceof LamplightError && thrown.code === "not_found"
          setState({ query, status: none ? "ready" : "error", users: [], cursor: null, anyone: none })
        },
      )
    }, PAUSE_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [client, query, attempt])

  const isCurrent = state.query === query
  return {
    status: isCurrent ? state.status : query ? "loading" : "idle",
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
