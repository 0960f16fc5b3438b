/** The users whom the user has blocked. */
import type { Core } from "../core.js"
import type { LamplightError } from "../errors.js"
import type { Blocks, BlocksState } from "../types.js"
import type { PageAnswer, User } from "../wire.js"
import type { Request } from "./request.js"
import type { GroupTools } from "./tools.js"

const PAGE = 200

const noBlocks: BlocksState = { status: "loading", users: [], error: null }

export interface BlocksStore extends Blocks {
  /** Reloads the list while it has subscribers: another device or tab may have changed it. */
  renew(): void
  reset(): void
}

export function createBlocks(
  core: Core,
  { query, same, single, toError, view }: GroupTools,
  request: Request,
  profile: (userId: string) => User | null,
): BlocksStore {
  let users: readonly User[] = []
  let loaded = false
  let watched = false
  let error: LamplightError | null = null
  /** Counts changes: a list that was requested before one lacks it. */
  let changes = 0

  const store = view<BlocksState>(
    noBlocks,
    (last) => same(last, { status: loaded ? "ready" : error ? "error" : "loading", users, error }),
    () => {
      watched = true
      if (!loaded) void load().catch(() => {})
      return () => {
        watched = false
      }
    },
  )

  const load = single(
    async () => {
      const epoch = core.epoch()
      try {
        let found: User[]
        let began: number
        do {
          began = changes
          found = []
          let cursor: string | undefined
          do {
            const page = await core.http<PageAnswer<User>>(`/api/blocks${query({ cursor, limit: PAGE })}`)
            if (!core.isCurrent(epoch)) return
            found.push(...page.data)
            cursor = page.nextCursor
          } while (cursor !== undefined)
        } while (began !== changes)
        users = found
        loaded = true
        error = null
      } catch (thrown) {
        if (!core.isCurrent(epoch)) return
        const failure = toError(thrown)
        // A server from before there were blocks.
        if (failure.code === "not_found") loaded = true
        else {
          error = failure
          throw failure
        }
      }
    },
    () => store.touch(),
  )

  function apply(userId: string, isBlocked: boolean): void {
    changes++
    const others = users.filter(({ id }) => id !== userId)
    users = isBlocked ? [...others, profile(userId) ?? { id: userId, name: "", avatarUrl: null }] : others
    store.touch()
  }

  async function set(userId: string, isBlocked: boolean): Promise<void> {
    const me = core.me()
    const method = isBlocked ? "PUT" : "DELETE"
    await request(`/api/blocks/${encodeURIComponent(userId)}`, {}, { method })
    if (!core.isUser(me) || me === null) return
    apply(userId, isBlocked)
    core.post({ type: "blocks", userId: me })
    // To sort the new user by name, and to include changes from other devices.
    if (watched) void load().catch(() => {})
  }

  function renew(): void {
    if (watched) void load().catch(() => {})
    else loaded = false
  }

  return {
    ...store,
    block: (userId) => set(userId, true),
    unblock: (userId) => set(userId, false),
    reload: () => load(),
    renew,
    reset() {
      load.drop()
      users = []
      loaded = false
      error = null
      store.touch()
      renew()
    },
  }
}
