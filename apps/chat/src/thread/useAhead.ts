import { useCallback, useEffect, useState } from "react"
import { tellFailure } from "../ui/failure"

/**
 * Fetches what comes next on one side before anybody gets to see where the messages end. After a failure it waits for a
 * person, who is told.
 */
export function useAhead(props: {
  /** One is near the end of what is here. */
  near: boolean
  hasMore: boolean
  loading: boolean
  load: () => Promise<void>
  /** The message at which it ends: a failure is one of this place. */
  edge: string | undefined
  failure: string
}) {
  const { near, hasMore, loading, load, edge, failure } = props
  const [failedAt, setFailedAt] = useState<string | null>(null)
  const failed = hasMore && failedAt !== null && failedAt === edge

  const fetch = useCallback(() => {
    setFailedAt(null)
    load().catch((thrown: unknown) => {
      setFailedAt(edge ?? null)
      tellFailure(failure, thrown)
    })
  }, [load, edge, failure])

  const wants = near && hasMore && !loading && !failed
  useEffect(() => {
    if (wants) fetch()
  }, [wants, fetch])

  return { failed, fetch }
}
