import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { emptyRoster, type RosterEvent, type RosterModel, reduceRoster } from "../src/roster.js"
import type { OnlineUsers, Presence, PresenceChange } from "../src/wire.js"

const presence = (userId: string, version: number, text?: string): Presence => ({
  userId,
  user: { id: userId, name: userId, avatarUrl: null },
  status: "online",
  lastActiveAt: "2026-03-01T12:00:00.000Z",
  version,
  ...(text === undefined ? {} : { text }),
})
const online = (userId: string, version: number, text?: string): PresenceChange => ({
  type: "online",
  ...presence(userId, version, text),
})
const offline = (userId: string, version: number): PresenceChange => ({
  type: "offline",
  userId,
  lastSeenAt: "2026-03-01T12:00:00.000Z",
  reason: "closed",
  version,
})
const list = (users: Presence[], version: number): OnlineUsers => ({
  users,
  count: users.length,
  truncated: false,
  version,
})
const run = (events: RosterEvent[], from: RosterModel = emptyRoster) => events.reduce(reduceRoster, from)
const shown = (model: RosterModel) =>
  [...model.people]
    .filter(([, person]) => person.presence)
    .map(([id, person]) => [id, person.version, person.presence?.text])
    .sort()

/** A history of comings, changes and goings, and what is true after each step. */
const histories = fc
  .array(fc.record({ user: fc.constantFrom("a", "b", "c", "d"), go: fc.boolean() }), { maxLength: 30 })
  .map((steps) => {
    const there = new Map<string, Presence>()
    const changes: PresenceChange[] = []
    const lists: OnlineUsers[] = [list([], 0)]
    let version = 0
    for (const { user, go } of steps) {
      if (go && !there.has(user)) continue
      version++
      if (go) {
        there.delete(user)
        changes.push(offline(user, version))
      } else {
        const isNew = !there.has(user)
        there.set(user, presence(user, version, `text ${version}`))
        changes.push({ type: isNew ? "online" : "updated", ...(there.get(user) as Presence) })
      }
      // What a list's version is compares with nothing.
      lists.push(list([...there.values()], version % 2 ? 0 : 1_000))
    }
    return { changes, lists }
  })

describe("the roster", () => {
  test("P5 P6 a stale snapshot and the changes after it, in any order and twice, equal a fresh snapshot", () => {
    fc.assert(
      fc.property(
        histories,
        fc.nat(),
        fc.nat(),
        fc.array(fc.nat(), { maxLength: 80 }),
        fc.boolean(),
        ({ changes, lists }, when, since, shuffle, twice) => {
          const taken = when % lists.length
          // The stream began before the snapshot was taken: some changes come that it holds already.
          const begun = since % (taken + 1)
          const stream = changes.slice(begun)
          const events: RosterEvent[] = (twice ? [...stream, ...stream] : stream).map((change) => ({
            type: "changes",
            changes: [change],
          }))
          events.push({ type: "snapshot", list: lists[taken] as OnlineUsers })
          for (const [index, at] of shuffle.entries()) {
            const one = index % events.length
            const other = at % events.length
            const kept = events[one] as RosterEvent
            events[one] = events[other] as RosterEvent
            events[other] = kept
          }
          const end = run([{ type: "joined", listed: true }, ...events])
          const fresh = run([
            { type: "joined", listed: true },
            { type: "snapshot", list: lists.at(-1) as OnlineUsers },
          ])
          expect(shown(end)).toEqual(shown(fresh))
          expect(end.count).toBe(fresh.count)
        },
      ),
      { numRuns: 500 },
    )
  })

  test("P5 the versions of a user never decrease, over rejoins too", () => {
    fc.assert(
      fc.property(
        histories,
        fc.array(fc.nat(), { minLength: 1, maxLength: 60 }),
        ({ changes, lists }, picks) => {
          let model = emptyRoster
          for (const pick of picks) {
            const before = model
            const kind = pick % 5
            if (kind === 0) model = reduceRoster(model, { type: "joined", listed: true })
            else if (kind === 1) {
              model = reduceRoster(model, {
                type: "snapshot",
                list: lists[pick % lists.length] as OnlineUsers,
              })
            } else if (changes.length) {
              const change = changes[pick % changes.length] as PresenceChange
              model = reduceRoster(model, { type: "changes", changes: [change] })
            }
            for (const [id, person] of before.people) {
              expect(model.people.get(id)?.version).toBeGreaterThanOrEqual(person.version)
            }
          }
        },
      ),
    )
  })

  test("P6 changes that arrive before the snapshot wait for it", () => {
    const before = run([
      { type: "joined", listed: true },
      { type: "changes", changes: [online("a", 5)] },
    ])
    expect(shown(before)).toEqual([])
    expect(shown(reduceRoster(before, { type: "snapshot", list: list([], 3) }))).toEqual([
      ["a", 5, undefined],
    ])
  })

  test("a user who left between connections is offline after the next join", () => {
    const first = run([{ type: "snapshot", list: list([presence("a", 1), presence("b", 2)], 2) }])
    const second = run(
      [
        { type: "joined", listed: true },
        { type: "snapshot", list: list([presence("b", 2)], 3) },
      ],
      first,
    )
    expect(shown(second).map(([id]) => id)).toEqual(["b"])
    // It is the list that said so, without a version: the same version brings them back.
    expect(
      shown(reduceRoster(second, { type: "changes", changes: [online("a", 1)] })).map(([id]) => id),
    ).toEqual(["a", "b"])
  })

  test("the shown roster stays until the snapshot of a rejoin", () => {
    const first = run([{ type: "snapshot", list: list([presence("a", 1)], 1) }])
    expect(shown(reduceRoster(first, { type: "joined", listed: true }))).toHaveLength(1)
  })

  test("a list older than a user's arrival does not remove that user", () => {
    const first = run([
      { type: "snapshot", list: list([], 1) },
      { type: "changes", changes: [online("a", 5)] },
      { type: "snapshot", list: list([], 9) },
    ])
    expect(shown(first).map(([id]) => id)).toEqual(["a"])
    // But no user stays forever.
    expect(shown(reduceRoster(first, { type: "snapshot", list: list([], 9) }))).toEqual([])
  })

  test("past the limit the count includes users who are not listed", () => {
    const many = { users: [presence("a", 1)], count: 1000, truncated: true, version: 9 }
    const model = run([
      { type: "snapshot", list: many },
      { type: "changes", changes: [online("z", 10), offline("never-listed", 11)] },
    ])
    expect(model.count).toBe(1000)
    expect(reduceRoster(model, { type: "changes", changes: [], count: 1003 }).count).toBe(1003)
    expect(reduceRoster(model, { type: "changes", changes: [offline("a", 12)] }).count).toBe(999)
  })

  test("without changes the same object is returned", () => {
    const model = run([{ type: "snapshot", list: list([presence("a", 3)], 3) }])
    expect(reduceRoster(model, { type: "changes", changes: [online("a", 3), offline("a", 2)] })).toBe(model)
  })
})
