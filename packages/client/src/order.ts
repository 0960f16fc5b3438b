/**
 * The order of the conversations, newest first. The server's list defines it; between two answers of the
 * list, a conversation with a new message moves to the front. Times decide only as a last resort,
 * since the server's clock can be set back.
 */
export interface ConversationOrder {
  /** The known conversations, newest first. */
  sort(known: Iterable<string>): string[]
  /** How many conversations have moved to the front so far: a moment, for the functions below. */
  moment(): number
  /**
   * This conversation has a message that is newer than all from before `since`. Conversations that moved
   * after it are compared by time.
   */
  toFront(id: string, since: number): void
  /** Whether a conversation of this time, whose place is unknown, belongs behind one from before `since`. */
  isFurtherDown(its: string, since: number): boolean
  /**
   * Applies a page of the server's list that was requested at `since`. `hasNewer` tells whether a
   * conversation has a newer message here than on the page; `isFirst` is false for later pages. Returns
   * whether the order changed.
   */
  page(ids: readonly string[], since: number, hasNewer: (id: string) => boolean, isFirst: boolean): boolean
  remove(id: string): void
  reset(): void
}

/** `time` returns a conversation's newest time, as a text that sorts like the time. */
export function createOrder(time: (id: string) => string): ConversationOrder {
  /** The conversations whose place is known. All others follow, by their times. */
  let placed: string[] = []
  let moves = 0
  /** The moment at which each conversation moved to the front. */
  const movedAt = new Map<string, number>()

  const hasMoved = (id: string | undefined, since: number) => (movedAt.get(id as string) ?? 0) > since

  /** The place of a time among the conversations that moved to the front after `since`. */
  function placeOf(its: string, since: number): number {
    let at = 0
    while (hasMoved(placed[at], since) && time(placed[at] as string) > its) at++
    return at
  }

  function remove(id: string): void {
    placed = placed.filter((one) => one !== id)
    movedAt.delete(id)
  }

  return {
    sort(known) {
      const others = new Set(known)
      const sorted = placed.filter((id) => others.delete(id))
      return [...sorted, ...[...others].sort((one, other) => (time(one) < time(other) ? 1 : -1))]
    },
    moment: () => moves,
    toFront(id, since) {
      remove(id)
      placed.splice(placeOf(time(id), since), 0, id)
      movedAt.set(id, ++moves)
    },
    isFurtherDown(its, since) {
      const next = placed[placeOf(its, since)]
      return next !== undefined && time(next) > its
    },
    page(ids, since, hasNewer, isFirst) {
      const last = placed
      placed = [...last]
      // A conversation that is newer than the page belongs above it; only its time tells where.
      for (const id of ids)
        if (hasNewer(id) && !placed.includes(id)) placed.splice(placeOf(time(id), -1), 0, id)
      const listed = new Set(ids.filter((id) => !hasNewer(id)))
      const others = placed.filter((id) => !listed.has(id))
      const isAbove = (id: string) => !isFirst || hasNewer(id) || hasMoved(id, since)
      placed = [...others.filter(isAbove), ...listed, ...others.filter((id) => !isAbove(id))]
      return placed.some((id, at) => id !== last[at])
    },
    remove,
    reset() {
      placed = []
      movedAt.clear()
    },
  }
}
