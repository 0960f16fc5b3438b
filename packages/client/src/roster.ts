/**
 * The roster as a pure reducer: server messages go in, the roster comes out.
 *
 * Two rules make every order of arrival end in the same roster. A state of a user is dropped unless its version is newer than
 * the one known of that user (versions of two users are never compared, and the version of a list is not used); leaves are kept
 * for that comparison too. Changes that arrive before the snapshot of a join wait for it.
 */
import type { Absence, OnlineUsers, Presence, PresenceChange } from "./wire.js"

export interface Person {
  /** The newest version seen. */
  version: number
  /** Null while the user is offline. */
  presence: Presence | null
  lastSeenAt: string | null
  /**
   * Missing in a list, which carries no version of the user: the same version again makes the user online.
   */
  unlisted: boolean
  /** The number of the snapshot after which this was learned. */
  learned: number
}

export interface RosterModel {
  people: ReadonlyMap<string, Person>
  /** How many are online; more than are known if truncated. */
  count: number
  truncated: boolean
  /** Whether a snapshot has come since the last join. */
  settled: boolean
  /** Changes that wait for the snapshot. */
  queue: readonly PresenceChange[]
  snapshots: number
}

export type RosterEvent =
  /** A socket joined: a snapshot follows, unless `listed` is false. */
  | { type: "joined"; listed: boolean }
  | { type: "snapshot"; list: OnlineUsers }
  | { type: "changes"; changes: readonly PresenceChange[]; count?: number }
  /** The answer to `watch_presence`. */
  | { type: "states"; states: readonly (Presence | Absence)[] }

export const emptyRoster: RosterModel = {
  people: new Map(),
  count: 0,
  truncated: false,
  settled: false,
  queue: [],
  snapshots: 0,
}

/** The roster after an event; the same object if nothing changed. */
export function reduceRoster(model: RosterModel, event: RosterEvent): RosterModel {
  switch (event.type) {
    case "joined":
      return { ...model, settled: !event.listed, queue: [] }
    case "snapshot":
      return apply(applyList(model, event.list), model.queue)
    case "changes":
      return model.settled
        ? withCount(apply(model, event.changes), event.count)
        : { ...model, queue: [...model.queue, ...event.changes] }
    case "states":
      return apply(
        model,
        event.states.map((state) =>
          state.status === "offline"
            ? { type: "offline", reason: "closed", ...state }
            : { type: "updated", ...state },
        ),
        true,
      )
  }
}

function applyList(model: RosterModel, list: OnlineUsers): RosterModel {
  const people = new Map(model.people)
  const snapshots = model.snapshots + 1
  const listed = new Set<string>()
  for (const presence of list.users) {
    const { userId } = presence
    listed.add(userId)
    const known = people.get(userId)
    if (known && isOld(known, presence.version)) continue
    people.set(userId, { ...online(presence, known), learned: snapshots })
  }
  for (const [userId, person] of people) {
    if (!person.presence || listed.has(userId)) continue
    // They may have come online after the list was made, if that was reported since the list before it, in
    // this join. Versions of a user and of a list are never compared.
    const newer = model.settled && person.learned === model.snapshots
    // Beyond the limit a user may be online without being listed: nothing changes then.
    if (newer || list.truncated) continue
    people.set(userId, { ...person, presence: null, unlisted: true })
  }
  return {
    people,
    snapshots,
    count: list.truncated ? list.count : countOnline(people),
    truncated: list.truncated,
    settled: true,
    queue: [],
  }
}

/** `quiet`: the change does not affect the count. */
function apply(model: RosterModel, changes: readonly PresenceChange[], quiet = false): RosterModel {
  let people: Map<string, Person> | null = null
  let { count } = model
  for (const change of changes) {
    const known = (people ?? model.people).get(change.userId)
    if (known && isOld(known, change.version)) continue
    people ??= new Map(model.people)
    if (change.type === "offline") {
      if (!quiet && (known?.presence || (!known && model.truncated))) count--
      people.set(change.userId, {
        version: change.version,
        presence: null,
        lastSeenAt: change.lastSeenAt ?? known?.lastSeenAt ?? null,
        unlisted: false,
        learned: model.snapshots,
      })
    } else {
      const { type, ...presence } = change
      if (!quiet && !known?.presence && type === "online") count++
      people.set(change.userId, { ...online(presence, known), learned: model.snapshots })
    }
  }
  if (!people) return model
  return { ...model, people, count: Math.max(0, model.truncated ? count : countOnline(people)) }
}

/** Beyond the limit only the server knows the count. */
function withCount(model: RosterModel, count: number | undefined): RosterModel {
  return model.truncated && count !== undefined && count !== model.count ? { ...model, count } : model
}

/** Whether this version is not newer than the known one. */
function isOld(known: Person, version: number): boolean {
  return known.unlisted ? version < known.version : version <= known.version
}

function online(presence: Presence, known: Person | undefined): Omit<Person, "learned"> {
  return { version: presence.version, presence, lastSeenAt: known?.lastSeenAt ?? null, unlisted: false }
}

function countOnline(people: ReadonlyMap<string, Person>): number {
  let count = 0
  for (const person of people.values()) if (person.presence) count++
  return count
}
