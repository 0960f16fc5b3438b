/** Places in a conversation: its pinned messages, and the messages of a time. Loaded when first asked for. */
import type { Core } from "./core.js"
import type { PinnedPage } from "./types.js"
import type { Message, OfStore } from "./wire.js"

const path = (id: string) => `/api/privatechat/conversations/${encodeURIComponent(id)}`

export async function pinned(core: Core, id: string, before: number | undefined): Promise<PinnedPage> {
  const query = before === undefined ? "" : `?before=${before}`
  const { data, hasMore } = await core.http<{ data: Message[]; hasMore: boolean } & OfStore>(
    `${path(id)}/pins${query}`,
  )
  return { messages: data, hasMore }
}

export async function seqAt(core: Core, id: string, at: Date | string): Promise<number> {
  const time = new Date(at).toISOString()
  const { seq } = await core.http<{ seq: number } & OfStore>(`${path(id)}/seq?at=${encodeURIComponent(time)}`)
  return seq
}
