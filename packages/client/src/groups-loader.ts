/** Groups and blocks load when they are used: most of their code is not needed to show the first thread. */
import type { Lamplight } from "./api.js"
import type { Core } from "./core.js"
import type { Groups, ThreadExtras } from "./groups/groups.js"
import type { GroupTools } from "./groups/tools.js"
import type { Page } from "./log.js"
import type { BlocksState, Members, MembersState, Store } from "./types.js"
import type { Conversation, GroupEntry, LogEntry } from "./wire.js"

const RETRY_MS = 3_000

const loadingState = { status: "loading" as const, error: null }
const noBlocks: BlocksState = { ...loadingState, users: [] }
const noMembers: MembersState = {
  ...loadingState,
  members: [],
  count: 0,
  role: null,
  hasMore: false,
  loadingMore: false,
}
const noExtras: ThreadExtras = { systemRows: [], users: {} }

const isGroupEntry = ({ kind }: LogEntry): boolean => kind === "members" || kind === "details"

export interface GroupsLoader extends Pick<Lamplight, "createGroup" | "updateGroup" | "members" | "blocks"> {
  see(entry: LogEntry): void
  /** A conversation after a newer entry. */
  fold(conversation: Conversation, entry: LogEntry): Conversation
  complete(id: string, page: Page): Promise<void>
  extras(id: string, from: number, to: number): ThreadExtras
}

export function createGroupsLoader(core: Core, tools: GroupTools): GroupsLoader {
  let loaded: Groups | undefined
  let loading: Promise<Groups> | undefined
  const stores = new Map<string, Members>()

  const load = () =>
    (loading ??= import("./groups/groups.js").then(
      ({ createGroups }) => (loaded = createGroups(core, tools)),
      (thrown) => {
        loading = undefined
        throw tools.toError(thrown)
      },
    ))

  function see(entry: LogEntry): void {
    if (!isGroupEntry(entry)) return
    if (loaded) loaded.see(entry as GroupEntry)
    else retrying((groups) => groups.see(entry as GroupEntry))
  }

  /** Calls `use` once it is loaded. Returns what gives that up. */
  function retrying(use: (groups: Groups) => void): () => void {
    let isOver = false
    let cancel = () => {}
    const begin = () => {
      load().then(
        (groups) => isOver || use(groups),
        () => {
          if (!isOver) cancel = core.clock.after(RETRY_MS, begin)
        },
      )
    }
    begin()
    return () => {
      isOver = true
      cancel()
    }
  }

  /** A store whose state and actions load with its first use. */
  function lazy<T, S extends Store<T>>(
    initial: T,
    pick: (groups: Groups) => S,
    actions: readonly (keyof S & string)[],
  ): S {
    return {
      get: () => (loaded ? pick(loaded).get() : initial),
      getServer: () => initial,
      subscribe(listener: () => void) {
        if (loaded) return pick(loaded).subscribe(listener)
        const cancel = retrying((groups) => {
          end = pick(groups).subscribe(listener)
          listener()
        })
        let end = cancel
        return () => {
          cancel()
          end()
        }
      },
      ...Object.fromEntries(
        actions.map((name) => [
          name,
          async (...given: unknown[]) =>
            (pick(await load())[name] as (...given: unknown[]) => unknown)(...given),
        ]),
      ),
    } as unknown as S
  }

  /** Pages of conversations of which the list does not tell yet whether they are groups. */
  let early: [id: string, page: Page][] = []

  async function complete(id: string, page: Page): Promise<void> {
    const conversation = tools.list.get(id)
    if (!conversation) early.push([id, page])
    if (page.users?.length || conversation?.kind === "group")
      await load().then(
        (groups) => groups.complete(id, page),
        () => {},
      )
  }

  core.events.on("stored", see)
  core.events.on("reset", () => {
    early = []
  })
  core.events.on("conversation", (known) => {
    const pages = early.filter(([id]) => id === known)
    early = early.filter(([id]) => id !== known)
    for (const [id, page] of pages) void complete(id, page)
  })

  return {
    createGroup: async (group) => (await load()).create(group),
    updateGroup: async (id, changes) => (await load()).update(id, changes),
    members(id) {
      const known =
        stores.get(id) ??
        lazy<MembersState, Members>(noMembers, (groups) => groups.members(id), [
          "loadMore",
          "reload",
          "add",
          "remove",
          "setRole",
          "leave",
        ])
      stores.set(id, known)
      return known
    },
    blocks: lazy(noBlocks, (groups) => groups.blocks, ["block", "unblock", "reload"]),
    see,
    fold(conversation, entry) {
      see(entry)
      if (loaded && isGroupEntry(entry)) return loaded.fold(conversation, entry as GroupEntry)
      return conversation
    },
    complete,
    extras: (id, from, to) => loaded?.extras(id, from, to) ?? noExtras,
  }
}
