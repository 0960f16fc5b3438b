/** Searches of messages. Loaded with the first search, since most visits have none. */
import type { SearchOptions, SearchPage } from "./api.js"
import type { Core } from "./core.js"
import type { ClientTools } from "./tools.js"
import type { PageAnswer, SearchHit } from "./wire.js"

/** The total number of attempts with a busy server. */
const MAX_TRIES = 5
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 8_000
/** How many pages without a hit are skipped, for example after deletions that are not in the index yet. */
const MAX_EMPTY = 10

const moment = (time: Date | string | undefined) => (time instanceof Date ? time.toISOString() : time)

export async function searchMessages(
  core: Core,
  { delayAfter, toError, query, LamplightError }: ClientTools,
  text: string,
  options: SearchOptions,
): Promise<SearchPage> {
  const { signal, before, after, cursor, ...rest } = options
  const me = core.me()
  const parts = { query: text, ...rest, before: moment(before), after: moment(after) }

  const check = () => {
    if (!signal?.aborted && (me === null || core.isUser(me))) return
    const message = "The search was given up."
    throw new LamplightError({ code: "aborted", message, retryable: false })
  }

  async function ask(from: string | undefined): Promise<PageAnswer<SearchHit>> {
    const path = `/api/privatechat/search${query({ ...parts, cursor: from })}`
    for (let tries = 1; ; tries++) {
      check()
      try {
        const answer = await core.http<PageAnswer<SearchHit>>(path, undefined, { signal })
        check()
        return answer
      } catch (thrown) {
        check()
        const error = toError(thrown)
        const isBusy = error.code === "rate_limited" || error.code === "unavailable"
        if (!isBusy || tries === MAX_TRIES) throw error
        await pause(delayAfter(error, tries - 1, FIRST_RETRY_MS, LAST_RETRY_MS, core.random))
      }
    }
  }

  /** Ends early if the search is aborted. */
  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const end = () => {
        cancel()
        signal?.removeEventListener("abort", end)
        resolve()
      }
      const cancel = core.clock.after(ms, end)
      signal?.addEventListener("abort", end)
    })

  let from = cursor
  for (let empty = 0; ; empty++) {
    const { data, nextCursor } = await ask(from)
    if (data.length || !nextCursor || empty === MAX_EMPTY)
      return { hits: data, nextCursor: nextCursor ?? null }
    from = nextCursor
  }
}
