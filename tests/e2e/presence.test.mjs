// Presence: roster modes, online and offline, statuses.
import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { conversationOf, crowd, get, somebody } from "./support/person.mjs"
import { OPEN, serve } from "./support/server.mjs"
import { pass, until } from "./support/wait.mjs"

const GRACE = 1_000
/** A change is sent within 1 s. The other tests of this file are a storm, in which the next waits for 1 s, and the machine may be loaded. */
const TOLD_WITHIN = 2_500
const server = await serve({ after }, OPEN)

const about = (userId) => (data) => data.userId === userId
const change = (type, userId) => (data) =>
  data.changes.some((one) => one.type === type && one.userId === userId)
/** All received events about a user. */
function eventsAbout(client, userId, since = 0) {
  return client.events.slice(since).flatMap(({ name, data, at }) => {
    if (name === "presence_changes")
      return data.changes.filter(about(userId)).map((one) => ({ ...one, name: one.type, at }))
    if (/^user_(online|offline|updated)$/.test(name) && data.userId === userId)
      return [{ ...data, name: name.slice(5), at }]
    return []
  })
}

describe("roster modes", { concurrency: 8 }, () => {
  test("full: the list comes at once with the caller, each change as an event, and the list again", async (t) => {
    const { join } = crowd(t, server)
    const [a, b] = [somebody("a"), somebody("b")]
    const asha = await join(a, { roster: "full", name: "Asha", avatarUrl: "https://example.org/a.png" })
    const list = await asha.sees("online_users", (data) => data.users.some(about(a)))
    const self = list.users.find(about(a))
    assert.deepEqual(self.user, { id: a, name: "Asha", avatarUrl: "https://example.org/a.png" })
    assert.equal(self.status, "online")
    assert.match(self.lastActiveAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.equal(list.count, list.users.length)
    assert.equal(list.truncated, false)
    assert.ok(Number.isSafeInteger(list.version) && list.version >= self.version)

    const since = asha.mark()
    const began = performance.now()
    const ben = await join(b)
    const online = await asha.sees("user_online", about(b))
    const took = performance.now() - began
    t.diagnostic(`coming was seen after ${took.toFixed(0)} ms`)
    assert.ok(took < TOLD_WITHIN, `${took} ms`)
    assert.equal(online.user.name, b)
    await asha.sees("online_users", (data) => data.users.some(about(b)), { since })
    await ben.must("set_status", { status: "busy", text: "in a meeting" })
    await asha.knows(b, (one) => one.status === "busy")
    const updated = await asha.sees("user_updated", about(b))
    assert.equal(updated.status, "busy")
    assert.equal(updated.text, "in a meeting")
    assert.ok(updated.version > online.version)
    ben.close()
    const offline = await asha.sees("user_offline", about(b))
    assert.deepEqual(Object.keys(offline).sort(), ["lastSeenAt", "reason", "userId", "version"])
    assert.equal(offline.reason, "closed")
    assert.ok(offline.version > updated.version)
    assert.equal(asha.all("presence_changes").length, 0)
  })

  test("full: the whole list comes at most once a second", async (t) => {
    const { join } = crowd(t, server)
    const watcher = await join(somebody("watcher"), { roster: "full" })
    await watcher.sees("online_users")
    const end = performance.now() + 30_000
    // A list of hundreds comes less often.
    while (watcher.all("online_users").length < 3 && performance.now() < end) {
      const one = await join(somebody("storm"))
      one.close()
      await pass(60)
    }
    const times = watcher.events.filter((event) => event.name === "online_users").map((event) => event.at)
    for (let at = 1; at < times.length; at++) {
      // Each is sent a second after the one before; one may be read late.
      assert.ok(times[at] - times[at - 1] > 700, `${times[at] - times[at - 1]} ms apart`)
    }
    assert.ok(times.length > 2)
  })

  test("diff: the list comes once, then changes in batches", async (t) => {
    const { join } = crowd(t, server)
    const [a, b] = [somebody("a"), somebody("b")]
    const asha = await join(a, { roster: "diff" })
    assert.equal(asha.joined.roster, "diff")
    const ben = await join(b)
    await asha.seesOnline(b)
    await ben.must("set_status", { status: "away" })
    await asha.sees("presence_changes", change("updated", b))
    ben.close()
    await asha.sees("presence_changes", change("offline", b))
    await pass(1_200)
    assert.equal(asha.all("online_users").length, 1)
    assert.equal(asha.all("user_online").length + asha.all("user_offline").length, 0)
    const versions = eventsAbout(asha, b).map((one) => one.version)
    assert.deepEqual(
      versions,
      [...versions].sort((x, y) => x - y),
      "P5: versions only grow",
    )
  })

  test("watch: only named users are sent, and the acknowledgement has their state, offline too", async (t) => {
    const { join } = crowd(t, server)
    const [a, b, c, d] = ["a", "b", "c", "d"].map(somebody)
    const ben = await join(b)
    const asha = await join(a, { roster: "watch" })
    const { users } = await asha.must("watch_presence", { userIds: [b, c] })
    assert.equal(users.find(about(b)).status, "online")
    const out = users.find(about(c))
    assert.deepEqual(Object.keys(out).sort(), ["lastSeenAt", "status", "userId", "version"])
    assert.equal(out.status, "offline")
    const carl = await join(c)
    await join(d)
    await asha.sees("presence_changes", change("online", c))
    carl.close()
    const gone = await asha.sees("presence_changes", change("offline", c))
    const seen = gone.changes.find(about(c)).lastSeenAt
    assert.ok(Math.abs(Date.parse(seen) - Date.now()) < 5_000)
    const again = await asha.must("watch_presence", { userIds: [c] })
    assert.equal(again.users[0].lastSeenAt, seen)

    await asha.must("unwatch_presence", { userIds: [b] })
    ben.close()
    await pass(GRACE + 700)
    assert.deepEqual(eventsAbout(asha, b), [])
    assert.deepEqual(eventsAbout(asha, d), [])
    assert.equal(asha.all("online_users").length, 0)
  })

  test("none: nothing is sent", async (t) => {
    const { join } = crowd(t, server)
    const asha = await join(somebody("a"), { roster: "none" })
    const ben = await join(somebody("b"))
    await ben.must("set_status", { status: "busy" })
    ben.close()
    await pass(GRACE + 700)
    assert.deepEqual(asha.events, [])
  })

  test("every join returns a fresh snapshot, and may change the mode", async (t) => {
    const { join } = crowd(t, server)
    const a = somebody("a")
    const asha = await join(a, { roster: "none" })
    await asha.must("join_user", { userId: a, roster: "diff" })
    await asha.sees("online_users")
    const since = asha.mark()
    await asha.must("join_user", { userId: a, roster: "diff" })
    await asha.sees("online_users", (data) => data.users.some(about(a)), { since })
    await asha.must("join_user", { userId: a, roster: "none" })
    const silent = asha.mark()
    await join(somebody("b"))
    await pass(400)
    assert.deepEqual(asha.events.slice(silent), [])
  })

  test("P6: no change between a snapshot and its stream is lost or repeated", async (t) => {
    const { join } = crowd(t, server)
    const storm = []
    const names = Array.from({ length: 30 }, () => somebody("p6"))
    const arrivals = names.map(async (name) => storm.push(await join(name)))
    const watchers = await Promise.all(
      ["full", "diff", "full", "diff"].map((roster) => join(somebody("watcher"), { roster })),
    )
    await Promise.all(arrivals)
    for (const watcher of watchers) {
      for (const name of names) {
        await until(
          () =>
            eventsAbout(watcher, name).length > 0 ||
            watcher.all("online_users").some((data) => data.users.some(about(name))),
        )
        assert.ok(eventsAbout(watcher, name).length <= 1, JSON.stringify(eventsAbout(watcher, name)))
      }
      const first = watcher.events.find((event) => /online_users/.test(event.name))
      for (const name of names.filter((name) => first.data.users.some(about(name)))) {
        assert.equal(eventsAbout(watcher, name).length, 0, "in the list and told again")
      }
    }
  })

  test("a list past the roster limit is truncated and has the true count", async (t) => {
    const small = await serve(t, { ...OPEN, ROSTER_LIMIT: "3" })
    const { join } = crowd(t, small)
    for (const name of ["1", "2", "3", "4", "5"]) await join(name)
    const asha = await join("6", { roster: "full" })
    const list = await asha.sees("online_users", (data) => data.count === 6)
    assert.equal(list.users.length, 3)
    assert.equal(list.truncated, true)
    const since = asha.mark()
    await join("7")
    await asha.sees("online_users", (data) => data.count === 7, { since })
    assert.equal(eventsAbout(asha, "7", since).length, 0, "a change of someone who is not listed")
    assert.equal((await get(small, "/api/online-users?countOnly=true")).body.count, 7)
    const watch = await asha.ask("watch_presence", { userIds: ["1", "2", "3", "4"] })
    assert.equal(watch.code, "too_long")
  })
})

describe("online and offline", { concurrency: 8 }, () => {
  test("user_offline follows a close within 1 s after the grace period", async (t) => {
    const { join } = crowd(t, server)
    const b = somebody("b")
    const asha = await join(somebody("a"), { roster: "full" })
    for (const end of ["close", "cut"]) {
      const since = asha.mark()
      const ben = await join(b)
      await asha.seesOnline(b)
      const began = performance.now()
      const wall = Date.now()
      ben[end]()
      const offline = await asha.sees("user_offline", about(b), { since })
      const took = performance.now() - began
      t.diagnostic(`${end}: sent after ${took.toFixed(0)} ms with a grace of ${GRACE} ms`)
      assert.ok(took >= GRACE - 20 && took < GRACE + TOLD_WITHIN, `${took} ms`)
      // The server may notice late, and sends it no sooner than the grace period later.
      const seen = Date.parse(offline.lastSeenAt)
      assert.ok(seen >= wall - 20 && seen <= Date.now() - GRACE + 20, `${seen - wall} ms after the end`)
    }
  })

  test("P4: a reload sends no event", async (t) => {
    const { join } = crowd(t, server)
    const b = somebody("b")
    const asha = await join(somebody("a"), { roster: "full" })
    const bob = await join(somebody("c"), { roster: "diff" })
    let ben = await join(b)
    await asha.seesOnline(b)
    await bob.seesOnline(b)
    // On a loaded machine a reload may take longer than the grace period, and then it is an event.
    let slowest = GRACE
    let marks = []
    for (let attempt = 0; attempt < 10 && slowest > GRACE - 200; attempt++) {
      await pass(attempt && GRACE + TOLD_WITHIN)
      marks = [asha.mark(), bob.mark()]
      slowest = 0
      for (let reload = 0; reload < 3; reload++) {
        const began = performance.now()
        ben.cut()
        await pass(150)
        ben = await join(b)
        slowest = Math.max(slowest, performance.now() - began)
      }
    }
    await pass(GRACE + TOLD_WITHIN)
    assert.deepEqual(eventsAbout(asha, b, marks[0]), [])
    assert.deepEqual(eventsAbout(bob, b, marks[1]), [])
  })

  test("P8: a user with three tabs is online until the last one closes, in any order", async (t) => {
    const { join } = crowd(t, server)
    const b = somebody("b")
    const asha = await join(somebody("a"), { roster: "full" })
    const tabs = [await join(b), await join(b), await join(b)]
    await asha.seesOnline(b)
    const since = asha.mark()
    tabs[1].close()
    tabs[1].close()
    await pass(GRACE + 300)
    tabs[0].cut()
    await pass(GRACE + 600)
    assert.deepEqual(eventsAbout(asha, b, since), [])
    tabs[2].close()
    await asha.sees("user_offline", about(b), { since })
    assert.equal(eventsAbout(asha, b).length, 2)
  })

  test("an aborted join leaves no user online", async (t) => {
    const alone = await serve(t, OPEN)
    const { connect } = crowd(t, alone)
    for (let round = 0; round < 30; round++) {
      const some = await Promise.all(Array.from({ length: 4 }, () => connect()))
      for (const [index, client] of some.entries()) {
        client.socket.emit("join_user", `ghost-${round}-${index}`)
        if (round % 2) setImmediate(() => client.cut())
        else client.close()
      }
    }
    await pass(GRACE)
    await until(
      async () => (await get(alone, "/api/online-users?countOnly=true")).body.count === 0,
      "nobody is online",
    )
  })

  test("a second heartbeat, a status or an idle report after the close changes nothing", async (t) => {
    const { join } = crowd(t, server)
    const b = somebody("b")
    const asha = await join(somebody("a"), { roster: "full" })
    const ben = await join(b)
    await asha.seesOnline(b)
    ben.socket.emit("user_activity")
    ben.close()
    await asha.sees("user_offline", about(b))
    assert.equal(eventsAbout(asha, b).at(-1).name, "offline")
  })

  test("a session without activity for PRESENCE_TTL times out, and the next activity brings it back", async (t) => {
    const brief = await serve(t, { ...OPEN, PRESENCE_TTL: "2s", PRESENCE_GRACE: "5m" })
    const { join } = crowd(t, brief)
    const asha = await join("a", { roster: "full" })
    const beat = setInterval(() => asha.socket.emit("user_activity"), 500)
    t.after(() => clearInterval(beat))
    // From before the last sign of life that the server can have seen: however late this hears of anything, it is not too early.
    const began = performance.now()
    const ben = await join("b")
    await asha.seesOnline("b")
    const offline = await asha.sees("user_offline", about("b"))
    const took = performance.now() - began
    assert.equal(offline.reason, "timeout")
    assert.ok(took >= 2_000, `${took} ms: not before its time, and without the grace period`)
    const since = asha.mark()
    await ben.must("user_activity")
    await asha.sees("user_online", about("b"), { since })
  })

  test("sending keeps a user online without heartbeats, and brings back a session that expired", async (t) => {
    const brief = await serve(t, { ...OPEN, PRESENCE_TTL: "2s", PRESENCE_GRACE: "5m" })
    const { join } = crowd(t, brief)
    const asha = await join("a", { roster: "full" })
    const beat = setInterval(() => asha.socket.emit("user_activity"), 500)
    t.after(() => clearInterval(beat))
    const ben = await join("b")
    await asha.seesOnline("b")
    const conversationId = await conversationOf(brief, "b", "a")
    for (let n = 0; n < 8; n++) {
      await ben.must("send_private_message", { conversationId, content: `still here ${n}` })
      await pass(500)
    }
    assert.deepEqual(
      eventsAbout(asha, "b").filter(({ name }) => name === "offline"),
      [],
    )
    assert.equal((await asha.sees("user_offline", about("b"))).reason, "timeout")
    const since = asha.mark()
    await ben.must("send_private_message", { conversationId, content: "back" })
    await asha.sees("user_online", about("b"), { since })
  })

  test("P13: lastSeenAt never decreases, even over a restart", async (t) => {
    const alone = await serve(t, OPEN)
    const { join } = crowd(t, alone)
    const watcher = await join("w", { roster: "full" })
    const ben = await join("b")
    await watcher.seesOnline("b")
    ben.close()
    const first = await watcher.sees("user_offline", about("b"))
    await alone.stop()
    await alone.start()
    const later = await join("w")
    const { users } = await later.must("watch_presence", { userIds: ["b"] })
    assert.equal(users[0].lastSeenAt, first.lastSeenAt)
    const fresh = await join("b")
    const online = (await get(alone, "/api/online-users")).body.data.find(about("b"))
    assert.ok(online.version > first.version, "versions grow over restarts")
    // Users who are online when the server stops were last seen at that moment.
    const stopped = Date.now()
    await alone.stop()
    fresh.close()
    await alone.start()
    const last = await join("w")
    // The nodes of a cluster find the user in Redis, in the grace period.
    const again = await until(async () => {
      const answer = await last.must("watch_presence", { userIds: ["b"] })
      return answer.users[0].status === "offline" && answer
    })
    assert.ok(Math.abs(Date.parse(again.users[0].lastSeenAt) - stopped) < 10_000)
  })
})

describe("statuses and activities", { concurrency: 8 }, () => {
  test("a status with its text and until applies on all devices and survives a restart", async (t) => {
    const alone = await serve(t, OPEN)
    const { join } = crowd(t, alone)
    const asha = await join("a", { roster: "full" })
    const ben = await join("b")
    await join("b")
    const until = new Date(Date.now() + 3_600_000).toISOString()
    const answer = await ben.must("set_status", { status: "busy", text: "focus", until })
    assert.equal(answer.status?.status, "busy")
    const shown = await asha.knows("b", (one) => one.status === "busy")
    assert.equal(shown.text, "focus")
    await alone.stop()
    await alone.start()
    const later = await join("a", { roster: "full" })
    const back = await join("b")
    const online = await later.seesOnline("b")
    assert.equal(online.status, "busy")
    assert.equal(online.text, "focus")
    await back.must("set_status", { status: "online" })
    const plain = await later.knows("b", (one) => one.status === "online")
    assert.ok(!plain.text)
  })

  test("a status reverts when its until has passed", async (t) => {
    const { join } = crowd(t, server)
    const b = somebody("b")
    const asha = await join(somebody("a"), { roster: "full" })
    const ben = await join(b)
    const until = new Date(Date.now() + 3_000).toISOString()
    await ben.must("set_status", { status: "busy", text: "a moment", until })
    await asha.knows(b, (one) => one.status === "busy")
    const over = await asha.knows(b, (one) => one.status === "online")
    assert.ok(!over.text)
    const late = Date.now() - Date.parse(until)
    assert.ok(late > -50 && late < 15_000, `${late} ms late`)
    const past = await ben.ask("set_status", { status: "busy", until: new Date(0).toISOString() })
    assert.equal(past.code, "invalid")
  })

  test("active:false on every device means away, and a plain heartbeat means online", async (t) => {
    const { join } = crowd(t, server)
    const b = somebody("b")
    const asha = await join(somebody("a"), { roster: "full" })
    const [one, two] = [await join(b), await join(b)]
    await asha.seesOnline(b)
    const since = asha.mark()
    await one.must("user_activity", { active: false })
    await pass(300)
    assert.deepEqual(eventsAbout(asha, b, since), [], "one device of two is idle")
    await two.must("user_activity", { active: false })
    await asha.sees("user_updated", (data) => data.userId === b && data.status === "away", { since })
    await one.must("user_activity")
    await asha.sees("user_updated", (data) => data.userId === b && data.status === "online", { since })
    const quiet = asha.mark()
    for (let beat = 0; beat < 5; beat++) await one.must("user_activity")
    await pass(300)
    assert.deepEqual(eventsAbout(asha, b, quiet), [], "a heartbeat is no event")
  })

  test("an activity belongs to its session and ends with it", async (t) => {
    const { join } = crowd(t, server)
    const [a, b] = [somebody("a"), somebody("b")]
    const conversation = await conversationOf(server, a, b)
    const asha = await join(a, { roster: "full" })
    const [one] = [await join(b), await join(b)]
    const activity = { kind: "in_call", label: "with Asha", conversationId: conversation }
    await one.must("set_activity", { activity })
    const shown = await asha.knows(b, (one) => one.activities?.length)
    const { conversationId: _, ...open } = activity
    assert.deepEqual(shown.activities, [open], "others are not told of a conversation")
    const since = asha.mark()
    one.close()
    await asha.knows(b, (one) => one.status && !one.activities?.length)
    assert.equal(eventsAbout(asha, b, since).at(-1).name, "updated")
    const foreign = await (await join(somebody("c"))).ask("set_activity", { activity })
    assert.equal(foreign.code, "not_found")
    assert.equal((await asha.ask("set_activity", { activity: { kind: "" } })).code, "invalid")
    assert.equal((await asha.ask("set_activity", {})).code, "invalid")
    await asha.must("set_activity", { activity: null })
  })
})
