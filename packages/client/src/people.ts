/** The roster as stores: feeds the reducer, watches whom somebody looks at, and says `unknown` when the feed is lost. */
import type { Connection } from "./connection.js"
import type { Clock } from "./options.js"
import { emptyRoster, type Person, type RosterEvent, type RosterModel, reduceRoster } from "./roster.js"
import { sameList, sameShape, type View, view } from "./store.js"
import type { PresenceView, RosterState, Store } from "./types.js"
import type { Absence, Presence, PresenceChange, RosterMode } from "./wire.js"

/** After this long without a feed, what was known of it is no longer shown as true. */
const FEED_LOST_MS = 5_000

/** The people around. */
export interface People {
  all: Store<RosterState>
  some(ids: readonly string[]): Store<Readonly<Record<string, PresenceView>>>
  one(id: string): Store<PresenceView>
  /** What the server said of it. */
  happened(event: RosterEvent): void
  /** The socket is about to be joined: what comes from now on is of this join. */
  joined(): void
  /** Says again, after a join, who is watched. */
  watchAgain(): void
  down(): void
  reset(): void
}

/** Changes as the single events of `full` mode tell them. */
export function asChange(type: "online" | "updated" | "offline", payload: object): PresenceChange {
  return { type, ...payload } as PresenceChange
}

export function createPeople(mode: RosterMode, clock: Clock, connection: Connection): People {
  let model: RosterModel = emptyRoster
  let lost = true
  let everListed = false
  let cancelLost = () => {}
  const watched = new Map<string, number>()
  const views = new Set<View<unknown>>()
  const some = new Map<string, Store<Readonly<Record<string, PresenceView>>>>()
  const singles = new Map<string, Store<PresenceView>>()
  const shown = new Map<string, { person: Person | undefined; lost: boolean; view: PresenceView }>()
  const byName = new Intl.Collator().compare

  function show(userId: string): PresenceView {
    const person = model.people.get(userId)
    const last = shown.get(userId)
    if (last && person && last.person === person && last.lost === lost) return last.view
    const presence = person?.presence
    const next = sameShape<PresenceView>(last?.view, {
      userId,
      user: presence?.user ?? last?.view.user ?? null,
      status: lost || !person ? missing(person) : (presence?.status ?? "offline"),
      text: presence?.text ?? null,
      lastActiveAt: presence?.lastActiveAt ?? null,
      lastSeenAt: person?.lastSeenAt ?? null,
      activities: presence?.activities ?? NO_ACTIVITIES,
    })
    shown.set(userId, { person, lost, view: next })
    return next
  }

  /** Somebody nothing is known of: not there, if everybody who is there has been listed. */
  function missing(person: Person | undefined): "unknown" | "offline" {
    const complete = (mode === "full" || mode === "diff") && everListed && !model.truncated
    return !lost && !person && complete ? "offline" : "unknown"
  }

  const all = view<RosterState>({ status: "loading", users: [], count: 0, truncated: false }, (last) => {
    const users: PresenceView[] = []
    for (const [id, person] of model.people) if (person.presence) users.push(show(id))
    users.sort((one, other) => byName(one.user?.name ?? "", other.user?.name ?? ""))
    return sameShape(last, {
      status: !everListed ? "loading" : lost ? "unknown" : "live",
      users: sameList(last.users, users),
      count: model.count,
      truncated: model.truncated,
    })
  })
  views.add(all as View<unknown>)

  function touch(): void {
    for (const one of views) one.touch()
  }

  function watch(ids: readonly string[]): () => void {
    const fresh = ids.filter((id) => !watched.has(id))
    for (const id of ids) watched.set(id, (watched.get(id) ?? 0) + 1)
    if (fresh.length && connection.joined()) void ask(fresh)
    return () => {
      const gone: string[] = []
      for (const id of ids) {
        const left = (watched.get(id) ?? 1) - 1
        if (left) watched.set(id, left)
        else {
          watched.delete(id)
          gone.push(id)
        }
      }
      if (gone.length) connection.emit("unwatch_presence", { userIds: gone })
    }
  }

  async function ask(userIds: string[]): Promise<void> {
    try {
      const answer = await connection.ask<{ users: (Presence | Absence)[] }>("watch_presence", { userIds })
      happened({ type: "states", states: answer.users ?? [] })
    } catch {
      // Asked again with the next join.
    }
  }

  function happened(event: RosterEvent): void {
    const next = reduceRoster(model, event)
    if (next === model) return
    model = next
    if (model.settled) {
      lost = false
      everListed = true
      cancelLost()
    }
    if (event.type !== "joined") touch()
  }

  /** Views are remembered by what they show, so that asking again in each render gives the same store. */
  function remember<T>(
    kept: Map<string, Store<T>>,
    key: string,
    ids: readonly string[],
    made: () => View<T>,
  ) {
    let store = kept.get(key)
    if (!store) {
      if (kept.size > 500) kept.clear()
      const fresh = made()
      const { subscribe } = fresh
      fresh.subscribe = (listener) => {
        views.add(fresh as View<unknown>)
        const off = subscribe(listener)
        const unwatch = watch(ids)
        return () => {
          off()
          unwatch()
        }
      }
      views.add(fresh as View<unknown>)
      kept.set(key, fresh)
      store = fresh
    }
    return store
  }

  return {
    all,
    some(ids) {
      const list = [...ids]
      return remember(some, JSON.stringify(list), list, () =>
        view({}, (last) => sameShape(last, Object.fromEntries(list.map((id) => [id, show(id)])))),
      )
    },
    one(id) {
      const nobody: PresenceView = { ...NOBODY, userId: id }
      return remember(singles, id, [id], () => view(nobody, () => show(id)))
    },
    happened,
    joined() {
      happened({ type: "joined", listed: mode === "full" || mode === "diff" })
      if (model.settled) touch()
    },
    watchAgain() {
      if (watched.size) void ask([...watched.keys()])
    },
    down() {
      cancelLost()
      cancelLost = clock.after(FEED_LOST_MS, () => {
        lost = true
        touch()
      })
    },
    reset() {
      cancelLost()
      model = emptyRoster
      lost = true
      everListed = false
      shown.clear()
      touch()
    },
  }
}

const NO_ACTIVITIES: readonly [] = []
const NOBODY: Omit<PresenceView, "userId"> = {
  user: null,
  status: "unknown",
  text: null,
  lastActiveAt: null,
  lastSeenAt: null,
  activities: NO_ACTIVITIES,
}
