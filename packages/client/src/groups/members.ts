/** The members of conversations as stores: pages of the server, kept up to date by entries of the log. */
import type { Core } from "../core.js"
import type { LamplightError } from "../errors.js"
import type { Members, MembersState } from "../types.js"
import type { GroupAnswer, GroupEntry, Member, PageAnswer, Role, User } from "../wire.js"
import { applyMembers, applyPage, type Registers, since } from "./member-registers.js"
import type { Request } from "./request.js"
import { isGroupEntry } from "./system-rows.js"
import type { GroupTools } from "./tools.js"

const PAGE = 100
/** Entries that arrive within this time cause one request. */
const RELOAD_MS = 300

const noMembers: MembersState = {
  status: "loading",
  members: [],
  count: 0,
  role: null,
  hasMore: false,
  loadingMore: false,
  error: null,
}

export interface MembersStore extends Members {
  see(entry: GroupEntry): void
  /** The conversation or the connection changed. */
  touch(): void
  /** Reloads while there are subscribers. */
  renew(): void
  /** Another user is signed in, or the server's data went back in time. */
  reset(): void
}

/** The parts of the module that the members of one conversation need. */
export interface MembersOptions {
  request: Request
  /** The profile of a user, if it is known. */
  profile(userId: string): User | null
  learn(users: readonly User[]): void
  /** The server made this change. */
  made(entry: GroupEntry): void
}

export function createMembers(
  core: Core,
  { query, refusal, same, single, toError, view, list }: GroupTools,
  { request, profile, learn, made }: MembersOptions,
  id: string,
): MembersStore {
  const path = `/api/privatechat/conversations/${encodeURIComponent(id)}/members`
  let known: Registers = new Map()
  let loaded = false
  let cursor: string | undefined
  /** How many pages are loaded, and reloaded later. */
  let pages = 1
  let watched = false
  let error: LamplightError | null = null
  let isTimed = false

  const store = view<MembersState>(
    noMembers,
    (last) => {
      const members: Member[] = []
      const before = new Map(last.members.map((member) => [member.id, member]))
      for (const [userId, { isIn, role }] of known) {
        if (!isIn) continue
        const user = profile(userId) ?? { name: "", avatarUrl: null }
        members.push(same(before.get(userId), { ...user, id: userId, role }))
      }
      members.sort((one, other) => (one.id < other.id ? -1 : 1))
      const conversation = list.get(id)
      const own = known.get(core.me() ?? "")
      return same(last, {
        status: loaded ? "ready" : error ? "error" : "loading",
        members: loaded ? same(last.members, members) : noMembers.members,
        count:
          cursor === undefined && loaded ? members.length : (conversation?.memberCount ?? members.length),
        role: (own?.isIn && conversation?.kind !== "direct" ? own.role : conversation?.role) ?? null,
        hasMore: cursor !== undefined,
        loadingMore: more.busy(),
        error,
      })
    },
    () => {
      watched = true
      if (!loaded) void first().catch(() => {})
      return () => {
        watched = false
      }
    },
  )

  const isOf = () => {
    const epoch = core.epoch()
    const { me } = core
    return () => core.isCurrent(epoch) && me() !== null
  }

  async function page(from: string | undefined): Promise<PageAnswer<Member>> {
    const answer = await core.http<PageAnswer<Member>>(path + query({ cursor: from, limit: PAGE }))
    learn(answer.data)
    return answer
  }

  async function attempt(work: (isCurrent: () => boolean) => Promise<void>): Promise<void> {
    const isCurrent = isOf()
    try {
      await work(isCurrent)
      if (isCurrent()) error = null
    } catch (thrown) {
      if (!isCurrent()) return
      error = toError(thrown)
      throw error
    }
  }

  const touch = () => store.touch()
  const first = single(
    () =>
      attempt(async (isCurrent) => {
        // The pages include all entries up to the current head.
        const head = list.get(id)?.headSeq ?? 0
        let next: string | undefined
        let found: Member[] = []
        for (let count = 0; count < pages; count++) {
          const { data, nextCursor } = await page(next)
          if (!isCurrent()) return
          found = [...found, ...data]
          next = nextCursor
          if (next === undefined) break
        }
        known = applyPage(since(known, head), found)
        cursor = next
        loaded = true
      }),
    touch,
  )
  const more = single(
    () =>
      attempt(async (isCurrent) => {
        const from = cursor
        const { data, nextCursor } = await page(from)
        // Reloaded meanwhile.
        if (!isCurrent() || cursor !== from) return
        known = applyPage(known, data)
        cursor = nextCursor
        pages++
      }),
    touch,
  )

  function reloadSoon(): void {
    if (isTimed) return
    isTimed = true
    core.clock.after(RELOAD_MS, () => {
      isTimed = false
      if (first.busy()) return reloadSoon()
      if (watched) void first().catch(() => {})
      else loaded = false
    })
  }

  function see(entry: GroupEntry): void {
    if (entry.kind !== "members") {
      touch()
      return
    }
    const next = applyMembers(known, entry)
    if (next === known) return
    known = next
    // Only a page has the profiles of those who are new here.
    if (entry.added.some((userId) => !profile(userId))) reloadSoon()
    touch()
  }

  async function change(at: string, body: object, method?: "PUT" | "DELETE"): Promise<void> {
    const own = { ...body, clientMessageId: core.newId() }
    const { entry } = await request<GroupAnswer>(path + at, own, method ? { method } : {})
    if (entry && isGroupEntry(entry)) made(entry)
  }

  const remove = (userId: string) => change(`/${encodeURIComponent(userId)}`, {}, "DELETE")

  return {
    ...store,
    see,
    touch,
    renew() {
      if (watched) reloadSoon()
      else loaded = false
    },
    reset() {
      first.drop()
      more.drop()
      known = new Map()
      loaded = false
      cursor = undefined
      pages = 1
      error = null
      touch()
      if (watched) reloadSoon()
    },
    loadMore() {
      if (cursor === undefined) return Promise.resolve()
      const done = more()
      touch()
      return done
    },
    reload: () => first(),
    async add(userIds) {
      if (!userIds.length)
        throw refusal("invalid", "No user is given.", "Pass the id of at least one user to add.")
      await change("", { userIds })
    },
    remove,
    setRole: (userId: string, role: Role) => change(`/${encodeURIComponent(userId)}`, { role }, "PUT"),
    async leave() {
      const me = core.me()
      if (me !== null) await remove(me)
    },
  }
}
