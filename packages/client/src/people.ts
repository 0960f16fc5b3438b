/**
 * The roster as stores: feeds the reducer, watches the people that are shown, and says `unknown` when the
 * feed is lost.
 */
import type { Core } from "./core.js"
import { toError } from "./errors.js"
import { emptyRoster, type Person, type RosterEvent, type RosterModel, reduceRoster } from "./roster.js"
import { same, type View, view } from "./store.js"
import type { PresenceView, RosterState, Store } from "./types.js"
import type { Absence, Presence, PresenceChange, RosterMode } from "./wire.js"

/** Users per request: the server limits how many a connection watches, and an answer is at most 1 MB. */
const MAX_ASKED = 200
/**
 * A failed request for users is repeated after this many milliseconds, unless the server sends
 * `retryAfter`.
 */
const ASK_AGAIN_MS = 5_000
const TOO_MANY_MS = 60_000
/** After this long without a feed, presence is shown as unknown. */
const FEED_LOST_MS = 5_000
/**
 * After a reconnect, users who were online before and are missing in the first list keep their status for
 * this many milliseconds: after a restart of the server, the first clients to return get a nearly empty
 * list.
 */
const RETURN_MS = 5_000

export interface People {
  all: Store<RosterState>
  some(ids: readonly string[]): Store<Readonly<Record<string, PresenceView>>>
  one(id: string): Store<PresenceView>
  /** A join begins: what comes from now on belongs to the new socket. */
  joinStarted(): void
  /** The join is complete. */
  joinEnded(): void
}

export function createPeople(core: Core, mode: RosterMode): People {
  const { clock, connection, events } = core
  let model: RosterModel = emptyRoster
  /** The roster since the join began; null while there is no join. */
  let fresh: RosterModel | null = null
  let lost = true
  let hasListed = false
  /** The feed was lost for so long that presence does not wait for the first list. */
  let isGivenUp = false
  let cancelLost: (() => void) | null = null
  let cancelReturning = () => {}
  /** Users who have time to return, with their last shown state. */
  const returning = new Map<string, PresenceView>()
  const watched = new Map<string, number>()
  /** Stores that have a listener. */
  const live = new Set<View<unknown>>()
  const stores = new Map<string, Store<unknown>>()
  const shown = new Map<string, { person: Person | undefined; lost: boolean; view: PresenceView }>()
  const byName = new Intl.Collator().compare

  function show(userId: string): PresenceView {
    const person = model.people.get(userId)
    const held = !person?.presence && returning.get(userId)
    if (held) return held
    const last = shown.get(userId)
    if (last && person && last.person === person && last.lost === lost) return last.view
    const presence = person?.presence
    const next = same<PresenceView>(last?.view, {
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

  /** Once the list of online users is complete, an unknown person is offline. */
  function missing(person: Person | undefined): "unknown" | "offline" {
    const complete = (mode === "full" || mode === "diff") && hasListed && !model.truncated
    return !lost && !person && complete ? "offline" : "unknown"
  }

  const all = view<RosterState>({ status: "loading", users: [], count: 0, truncated: false }, (last) => {
    const users: PresenceView[] = []
    let held = 0
    for (const [id, person] of model.people) {
      const isHeld = !person.presence && returning.has(id)
      if (isHeld) held++
      if (person.presence || isHeld) users.push(show(id))
    }
    users.sort((one, other) => byName(one.user?.name ?? "", other.user?.name ?? ""))
    return same(last, {
      status: !hasListed && !isGivenUp ? "loading" : lost ? "unknown" : "live",
      users: same(last.users, users),
      count: model.count + held,
      truncated: model.truncated,
    })
  })

  function touch(): void {
    all.touch()
    for (const one of live) one.touch()
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

  async function ask(all: string[]): Promise<void> {
    const userIds = all.slice(0, MAX_ASKED)
    if (all.length > MAX_ASKED) void ask(all.slice(MAX_ASKED))
    const socket = connection.socketId()
    try {
      const answer = await connection.ask<{ users: (Presence | Absence)[] }>("watch_presence", { userIds })
      dispatch({ type: "states", states: answer.users ?? [] })
    } catch (thrown) {
      const { retryAfterMs, retryable } = toError(thrown)
      // The next join or this timer requests them again. A permanent refusal: the connection watches too many users.
      clock.after(retryAfterMs ?? (retryable ? ASK_AGAIN_MS : TOO_MANY_MS), () => {
        const left = userIds.filter((id) => watched.has(id))
        if (left.length && connection.socketId() === socket) void ask(left)
      })
    }
  }

  function dispatch(event: RosterEvent): void {
    fresh &&= reduceRoster(fresh, event)
    const next = reduceRoster(model, event)
    if (next === model) return
    if (event.type === "snapshot" && !model.settled) hold(next)
    // Do not wait for a user who is reported as offline.
    if (event.type === "changes")
      for (const { type, userId } of event.changes) if (type === "offline") returning.delete(userId)
    model = next
    if (model.settled) {
      lost = false
      hasListed = true
      isGivenUp = false
      cancelLost?.()
      cancelLost = null
    }
    if (event.type !== "joined") touch()
  }

  /** Gives users who are missing in the first list of a join time to return. */
  function hold(next: RosterModel): void {
    cancelReturning()
    for (const [id, { presence }] of model.people)
      if (presence && next.people.get(id)?.unlisted) returning.set(id, show(id))
    cancelReturning = clock.after(RETURN_MS, () => {
      returning.clear()
      touch()
    })
  }

  function reset(): void {
    cancelLost?.()
    cancelLost = null
    cancelReturning()
    returning.clear()
    fresh = null
    model = emptyRoster
    lost = true
    hasListed = false
    isGivenUp = false
    shown.clear()
    touch()
  }

  function down(): void {
    cancelLost ??= clock.after(FEED_LOST_MS, () => {
      lost = true
      isGivenUp = true
      touch()
    })
  }

  /** `full` mode has an event for each change. */
  const changed = (type: PresenceChange["type"]) => (presence: object) =>
    dispatch({ type: "changes", changes: [{ type, ...presence } as PresenceChange] })

  connection.on("online_users", (list) => dispatch({ type: "snapshot", list }))
  connection.on("user_online", changed("online"))
  connection.on("user_updated", changed("updated"))
  connection.on("user_offline", changed("offline"))
  connection.on("presence_changes", (changes) => dispatch({ type: "changes", ...changes }))
  events.on("reset", reset)
  events.on("restored", () => {
    // Only what has come since the join began is valid.
    const since = fresh
    reset()
    if (!since) return
    fresh = model = since
    lost = !model.settled
    hasListed = model.settled
    touch()
  })
  events.on("joined", () => {
    if (watched.size) void ask([...watched.keys()])
  })
  events.on("disconnected", down)
  events.on("connection", ({ now }) => {
    // Also if there never was a socket.
    if (now.status === "offline") down()
  })

  /** Stores are cached by what they show, so that a call in each render returns the same store. */
  function remember<T>(key: string, ids: readonly string[], first: T, compute: (last: T) => T): Store<T> {
    const known = stores.get(key)
    if (known) return known as Store<T>
    const made: View<T> = view(first, compute, () => {
      live.add(made as View<unknown>)
      const unwatch = watch(ids)
      return () => {
        live.delete(made as View<unknown>)
        unwatch()
      }
    })
    // Only stores without listeners: replacing the others would end their watch.
    if (stores.size > 500)
      for (const [other, store] of stores) if (!live.has(store as View<unknown>)) stores.delete(other)
    stores.set(key, made)
    return made
  }

  return {
    all,
    some(ids) {
      const list = [...ids]
      return remember<Readonly<Record<string, PresenceView>>>(JSON.stringify(list), list, {}, (last) =>
        same(last, Object.fromEntries(list.map((id) => [id, show(id)]))),
      )
    },
    one: (id) => remember(JSON.stringify(id), [id], { ...UNKNOWN_VIEW, userId: id }, () => show(id)),
    joinStarted() {
      fresh = emptyRoster
      dispatch({ type: "joined", listed: mode === "full" || mode === "diff" })
      if (model.settled) touch()
    },
    joinEnded() {
      fresh = null
    },
  }
}

const NO_ACTIVITIES: readonly [] = []
const UNKNOWN_VIEW: Omit<PresenceView, "userId"> = {
  user: null,
  status: "unknown",
  text: null,
  lastActiveAt: null,
  lastSeenAt: null,
  activities: NO_ACTIVITIES,
}
