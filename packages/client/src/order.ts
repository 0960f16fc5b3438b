/**
 * The order of the conversations, newest first, by what only grows. The server's list knows it; between two answers of the list, a
 * conversation with a new entry goes to the front. Times decide only where nothing else tells, since the server's clock can be set back.
 */
export interface ConversationOrder {
  /** The known conversations, newest first. */
  sort(known: Iterable<string>): string[]
  /** How many conversations have gone to the front so far: a moment, for the functions below. */
  moment(): number
  /** This conversation has an entry that is newer than all others from before `since`. Those from after it go by their times. */
  toFront(id: string, since: number): void
  /** Whether a conversation of this time, whose place is not known, goes behind one from before `since`. */
  isFurtherDown(its: string, since: number): boolean
  /**
   * A page of the server's list, which was asked for at `since`. `hasNewer` tells the conversations of which more is known here
   * than the page says; `isFirst` is false for one that follows others. Whether the order has changed.
   */
  page(ids: readonly string[], since: number, hasNewer: (id: string) => boolean, isFirst: boolean): boolean
  remove(id: string): void
  reset(): void
}

/** `time` gives a conversation's newest time, as a text whose order is that of the times. */
export function createOrder(time: (id: string) => string): ConversationOrder {
  /** Those whose place is known. The others are further down, by their times. */
  let placed: string[] = []
  let moves = 0
  /** When a conversation went to the front. */
  const movedAt = new Map<string, number>()

  const hasMoved = (id: string | undefined, since: number) => (movedAt.get(id as string) ?? 0) > since

  /** Where a time belongs among those of the conversations that went to the front after `since`. */
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
      // Told of before any page: what is newer than the page is above it, and only its time tells where.
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
