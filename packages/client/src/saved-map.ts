import type { Core } from "./core.js"

/** A map by conversation that survives a reload, such as the drafts of a user. */
export function createSavedMap<T>(core: Core, name: string) {
  const map = new Map<string, T>()
  const key = () => `${name}:${core.scope}:${core.me()}`
  /**
   * The running load, and the values to save after it. Saved earlier, they would overwrite values that
   * are not loaded yet.
   */
  let loading: { key: string; newer?: Record<string, T> } | null = null

  /** Writes the whole map; an empty one is deleted. */
  function save(): void {
    const all = map.size ? Object.fromEntries(map) : undefined
    if (loading?.key === key()) loading.newer = all ?? {}
    else void core.storage("set", key(), all)
  }

  return {
    map,
    save,
    /**
     * Calls `take` with each value that an earlier page saved for the same user, once `ready` has resolved too, then writes the other
     * local values.
     */
    async load(take: (conversationId: string, value: T) => void, ready?: Promise<unknown>): Promise<void> {
      const me = core.me()
      const mine: NonNullable<typeof loading> = { key: key() }
      loading = mine
      const [saved] = await Promise.all([core.storage("get", mine.key), ready])
      if (loading === mine) loading = null
      const before = Object.entries((saved?.value ?? {}) as Record<string, T>)
      if (core.isUser(me)) {
        for (const [id, value] of before) take(id, value)
        if (map.size || mine.newer) save()
        // The user has left, and their newest values with them.
      } else if (mine.newer)
        void core.storage("set", mine.key, { ...Object.fromEntries(before), ...mine.newer })
    },
  }
}
