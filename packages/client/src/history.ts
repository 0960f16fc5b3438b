/** Requests pages of a conversation's history. */
import type { Core } from "./core.js"
import { query } from "./http.js"
import type { Page } from "./log.js"
import type { HistoryAnswer } from "./wire.js"

export type HistoryRequest = Pick<Page, "direction" | "at"> & {
  limit: number
  /** Entries of all kinds instead of messages, to include changes of messages before the page. */
  raw?: boolean
}

export interface History {
  /** Changes of messages up to the entry `forgotten` may be unknown: an older page is requested again. */
  take(request: HistoryRequest, forgotten: () => number): Promise<Page>
  /** Whether the server's pages have messages in their current form. Servers that know no kinds return entries. */
  isFolded(): boolean
}

/** How often a page is requested again if it is older than the known data, for example from a replica. */
const MAX_TRIES = 3

export function createHistory(core: Core, conversationId: string): History {
  const path = `/api/privatechat/messages/${encodeURIComponent(conversationId)}`
  let isFolded = false

  async function take(
    request: HistoryRequest,
    forgotten: () => number,
    tries: number = MAX_TRIES,
  ): Promise<Page> {
    const { direction, at, limit, raw } = request
    const asksRaw = raw && isFolded
    const parts = { [direction]: at, limit, kind: asksRaw ? "all" : undefined }
    const answer = await core.http<HistoryAnswer>(path + query(parts))
    const { data: entries, hasMore, hasBefore, hasAfter, fromSeq, toSeq, asOfSeq, users } = answer
    const page: Page = { direction, at, entries, hasBefore, hasAfter, users }
    if (direction === "after") page.hasAfter = hasMore
    else if (direction !== "around") page.hasBefore = hasMore
    if (asksRaw || fromSeq === undefined || toSeq === undefined) return page
    isFolded = true
    // The server's abilities are known from here on.
    if (raw) return take(request, forgotten, tries)
    page.range = { from: fromSeq, to: toSeq, asOf: asOfSeq ?? toSeq }
    if (page.range.asOf < forgotten() && tries > 1) return take(request, forgotten, tries - 1)
    return page
  }

  return { take: (request, forgotten) => take(request, forgotten), isFolded: () => isFolded }
}
