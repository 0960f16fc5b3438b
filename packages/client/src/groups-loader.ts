/** Groups and blocks load when they are used: most of their code is not needed to show the first thread. */
import type { Lamplight } from "./api.js"
import type { Core } from "./core.js"
import type { Groups, ThreadExtras } from "./groups/groups.js"
import type { GroupTools } from "./groups/tools.js"
import type { Page } from "./log.js"
import type {
  Blocks,
  BlocksState,
  ConversationFiles,
  ConversationFilesState,
  Members,
  MembersState,
  Store,
} from "./types.js"
import type { Conversation, GroupEntry, LogEntry } from "./wire.js"

const RETRY_MS = 3_000

/** The initial state of each store, until its own has loaded. */
const initial = {
  status: "loading",
  error: null,
  files: [],
  users: [],
  members: [],
  count: 0,
  role: null,
  hasMore: false,
  loadingMore: false,
} satisfies BlocksState & MembersState & Omit<ConversationFilesState, "users">
/** The actions of all stores. Each store exposes those of its type. */
const ACTIONS = ["loadMore", "reload", "add", "remove", "setRole", "leave", "block", "unblock"]
const noExtras: ThreadExtras = { systemRows: [], users: {} }

const isGroupEntry = ({ kind }: LogEntry): boolean => kind === "members" || kind === "details"

export interface GroupsLoader {
  /** The part that the client exposes. */
  api: Pick<Lamplight, "createGroup" | "updateGroup" | "members" | "files" | "blocks">
  see(entry: LogEntry): void
  /** A conversation after a newer entry. */
  fold(conversation: Conversation, entry: LogEntry): Conversation
  complete(id: string, page: Page): Promise<void>
  extras(id: string, from: number, to: number): ThreadExtras
}

export function createGroupsLoader(core: Core, tools: GroupTools): GroupsLoader {
  let loaded: Groups | undefined
  let loading: Promise<Groups> | undefined
  const stores: Record<string, unknown> = {}

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
    else need((groups) => groups.see(entry as GroupEntry))
  }

  /** Calls `use` once the module is loaded, and retries failed loads. */
  function need(use: (groups: Groups) => void): void {
    load().then(use, () => core.isUser(core.me()) && core.clock.after(RETRY_MS, () => need(use)))
  }

  /** A store whose state and actions load with its first use. The same key gives the same store. */
  function lazy<S extends Store<unknown>>(key: string, pick: (groups: Groups) => S): S {
    stores[key] ??= {
      get: () => (loaded ? pick(loaded).get() : initial),
      getServer: () => initial,
      subscribe(listener: () => void) {
        if (loaded) return pick(loaded).subscribe(listener)
        /** Null once it has ended. */
        let end: (() => void) | null = () => {}
        need((groups) => {
          if (!end) return
          end = pick(groups).subscribe(listener)
          listener()
        })
        return () => {
          end?.()
          end = null
        }
      },
      ...Object.fromEntries(
        ACTIONS.map((name) => [
          name,
          async (...given: unknown[]) =>
            (pick(await load())[name as keyof S] as (...given: unknown[]) => unknown)(...given),
        ]),
      ),
    }
    return stores[key] as S
  }

  core.events.on("stored", see)

  return {
    api: {
      createGroup: async (group) => (await load()).create(group),
      updateGroup: async (id, changes) => (await load()).update(id, changes),
      members: (id) => lazy<Members>(`m${id}`, (groups) => groups.members(id)),
      // Ids are not empty, and have no line breaks.
      files: (id, ...kinds) =>
        lazy<ConversationFiles>(`${id}\n${kinds}`, (groups) => groups.files(id, kinds)),
      blocks: lazy<Blocks>("", (groups) => groups.blocks),
    },
    see,
    fold(conversation, entry) {
      see(entry)
      if (loaded && isGroupEntry(entry)) return loaded.fold(conversation, entry as GroupEntry)
      return conversation
    },
    async complete(id, page) {
      const kind = tools.list.get(id)?.kind
      const done =
        (kind !== "direct" || page.users?.length) &&
        load().then(
          (groups) => groups.complete(id, page),
          () => {},
        )
      // Messages wait neither for the module to load nor for the list to show whether this is a group.
      if (loaded && kind) await done
    },
    extras: (id, from, to) => loaded?.extras(id, from, to) ?? noExtras,
  }
}
