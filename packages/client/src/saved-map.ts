import type { Core } from "./core.js"

/** A map by conversation that survives a reload, such as the drafts of a user. */
export function createSavedMap<T>(core: Core, name: string) {
  const map = new Map<string, T>()
  const key = () => `${name}:${core.scope}:${core.me()}`
  const save = () => void core.storage("set", key(), map.size ? Object.fromEntries(map) : undefined)
  return {
    map,
    /** Writes the whole map; an empty one is deleted. */
    save,
    /** Calls `take` with each value that an earlier page saved for the same user, then writes what is here besides. */
    async load(take: (conversationId: string, value: T) => void): Promise<void> {
      const me = core.me()
      const saved = await core.storage("get", key())
      if (!core.isUser(me)) return
      for (const [id, value] of Object.entries(saved?.value ?? {})) take(id, value as T)
      if (map.size) save()
    },
  }
}
