/**
 * The heights of rows as they were laid out when a conversation was shown last. With them it opens again with each row at its final
 * place: with estimates, rows are drawn that turn out to be out of view, and all of them move once they are measured. Nothing relies
 * on them: each row is measured when it is drawn.
 */

/** So many conversations are remembered, those shown last. */
const CONVERSATIONS = 20
/** So many rows of each are remembered, those at its end. */
const ROWS = 200

interface Heights {
  /** The width of the log: with another one, texts break elsewhere. */
  width: number
  byKey: ReadonlyMap<string, number>
}

const remembered = new Map<string, Heights>()
const none: ReadonlyMap<string, number> = new Map()

/** The heights in pixels by the keys of the rows. Empty if the conversation was not shown in this width. */
export function heightsOf(conversationId: string, width: number): ReadonlyMap<string, number> {
  const heights = remembered.get(conversationId)
  return heights?.width === width ? heights.byKey : none
}

/** `sizes` has the heights that were not as remembered or estimated, and may have those of rows that are gone. */
export function rememberHeights(
  conversationId: string,
  width: number,
  rows: readonly { key: string }[],
  sizes: ReadonlyMap<unknown, number>,
): void {
  const before = heightsOf(conversationId, width)
  const byKey = new Map<string, number>()
  for (const { key } of rows.slice(-ROWS)) {
    const size = sizes.get(key) ?? before.get(key)
    if (size !== undefined) byKey.set(key, size)
  }
  remembered.delete(conversationId)
  remembered.set(conversationId, { width, byKey })
  for (const id of remembered.keys()) {
    if (remembered.size <= CONVERSATIONS) return
    remembered.delete(id)
  }
}
