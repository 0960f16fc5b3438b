import { useCallback, useEffect, useState } from "react"
import { showFailure } from "../ui/failure"

/** Loads the next page on one side before its end comes into view. After a failure it waits for the user. */
export function useLoadAhead(props: {
  /** Whether the view is near the end of what is loaded. */
  near: boolean
  hasMore: boolean
  loading: boolean
  load: () => Promise<void>
  /** The message at the end: a failure belongs to this place. */
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
      showFailure(failure, thrown)
    })
  }, [load, edge, failure])

  const wants = near && hasMore && !loading && !failed
  useEffect(() => {
    if (wants) fetch()
  }, [wants, fetch])

  return { failed, fetch }
}
