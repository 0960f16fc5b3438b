// A blocker looks offline to the blocked user, in every answer. Not with AUTH=open, where users are not authenticated.
import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { token } from "./support/jwt.mjs"
import { crowd, get, request, somebody } from "./support/person.mjs"
import { JWT, OPEN, serve } from "./support/server.mjs"
import { until } from "./support/wait.mjs"

/** Generous, for machines with other work. */
const PATIENCE = { within: 20_000 }
const LIMIT = 20_000

const server = await serve({ after }, JWT)

const account = (name) => {
  const id = somebody(name)
  return { user: { id }, token: token(id) }
}
async function block(by, whom, method = "PUT") {
  const answer = await request(server, method, `/api/blocks/${whom.user.id}`, { token: by.token })
  assert.equal(answer.status, 200, answer.text)
}
const online = async (by, query = "") =>
  (await get(server, `/api/online-users?${query}`, { token: by.token })).body

/** All received events about a user, and all lists with the user. */
function eventsAbout(client, userId, since) {
  return client.events.slice(since).filter(({ name, data }) => {
    if (name === "presence_changes") return data.changes.some((one) => one.userId === userId)
    if (name === "online_users") return data.users.some((one) => one.userId === userId)
    return /^user_(online|offline|updated)$/.test(name) && data.userId === userId
  })
}

for (const roster of ["full", "diff", "watch"]) {
  describe(roster, () => {
    test("p11 a blocker looks offline to the blocked user until the block ends", async (t) => {
      const { enter } = crowd(t, server)
      const [asha, ben, cara] = [account("asha"), account("ben"), account("cara")]
      const clients = { asha: await enter(asha, { roster: "full" }), cara: await enter(cara) }
      const follow = async () => {
        const client = await enter(ben, { roster })
        const userIds = [asha.user.id, cara.user.id]
        const { users } = await client.must("watch_presence", { userIds })
        return { client, state: users.find((one) => one.userId === asha.user.id) }
      }
      const { client, state } = await follow()
      assert.equal(state.status, "online")
      if (roster !== "watch") await client.seesOnline(asha.user.id, LIMIT)
      // A marker: all earlier events of the node have arrived.
      let text = 0
      const marker = async (to) => {
        text += 1
        await clients.cara.must("set_status", { status: "busy", text: `${text}` })
        await to.knows(cara.user.id, (one) => one.text === `${text}`, LIMIT)
      }
      await marker(client)

      let since = client.mark()
      await block(asha, ben)
      // A list from before the block may come first.
      const leave = () =>
        eventsAbout(client, asha.user.id, since)
          .map(({ data }) => data.changes?.find((one) => one.userId === asha.user.id) ?? data)
          .find((one) => one.reason)
      await until(leave, "asha goes", LIMIT)
      const change = leave()
      assert.equal(change.lastSeenAt, null)
      assert.equal(change.reason, "closed")
      assert.ok(change.version > state.version, "newer than what was seen before")
      since = client.mark()
      await clients.asha.must("set_status", { status: "away", text: "hidden" })
      await marker(client)
      assert.deepEqual(eventsAbout(client, asha.user.id, since), [])

      const lists = async () => [await online(ben), await online(cara)]
      const [list, whole] = await lists()
      assert.ok(!list.data.some((one) => one.userId === asha.user.id))
      assert.ok(whole.data.some((one) => one.userId === asha.user.id))
      assert.equal(list.count, whole.count - 1)
      // No page is empty because of her, and no cursor reveals her.
      for (let cursor, page = 0; page === 0 || cursor; page += 1) {
        const answer = await online(ben, `limit=1&cursor=${cursor ?? ""}`.replace(/&cursor=$/, ""))
        assert.ok(answer.data.length === 1 && answer.data[0].userId !== asha.user.id)
        cursor = answer.nextCursor
        const read = Buffer.from(cursor ?? "", "base64url").toString()
        assert.ok(!read.includes(asha.user.id), read)
      }
      const without = `excludeUserId=${asha.user.id}`
      assert.equal((await online(ben, without)).count, list.count)
      assert.equal((await online(ben, `countOnly=true&${without}`)).count, list.count)
      assert.equal((await online(ben, "countOnly=true")).count, list.count)

      const again = await follow()
      const { version, ...offline } = again.state
      assert.deepEqual(offline, { userId: asha.user.id, status: "offline", lastSeenAt: null })
      const third = await follow()
      assert.equal(third.state.version, version, "it stands still")
      await marker(again.client)
      assert.deepEqual(eventsAbout(again.client, asha.user.id, 0), [])
      if (roster !== "watch") {
        const { count, users } = await again.client.sees("online_users", () => true, PATIENCE)
        assert.ok(count >= users.length && !users.some((one) => one.userId === asha.user.id))
      }
      // In the other direction nothing is hidden.
      await clients.asha.knows(ben.user.id, (one) => Boolean(one.status), LIMIT)

      since = client.mark()
      await block(asha, ben, "DELETE")
      for (const one of [client, again.client]) {
        await one.knows(asha.user.id, (shown) => shown.text === "hidden", LIMIT)
      }
      await clients.asha.must("set_status", { status: "online", text: "seen" })
      for (const one of [client, again.client]) {
        await one.knows(asha.user.id, (shown) => shown.text === "seen", LIMIT)
      }
      assert.ok((await online(ben)).data.some((one) => one.userId === asha.user.id))
    })
  })
}

test("p11 a truncated list stays full and its count excludes hidden users", async (t) => {
  const small = await serve(t, { ...JWT, ROSTER_LIMIT: "3" })
  const { enter } = crowd(t, small)
  const people = ["asha", "cara", "dana", "eve"].map(account)
  for (const one of people) await enter(one)
  const [asha] = people
  const ben = account("ben")
  const client = await enter(ben, { roster: "full" })
  const listed = (count, isThere) => (list) =>
    list.count === count && list.users.some((one) => one.userId === asha.user.id) === isThere
  const whole = await client.sees("online_users", listed(5, true), PATIENCE)
  assert.deepEqual([whole.users.length, whole.truncated], [3, true])
  const since = client.mark()
  const blocked = await request(small, "PUT", `/api/blocks/${ben.user.id}`, { token: asha.token })
  assert.equal(blocked.status, 200, blocked.text)
  await until(() => eventsAbout(client, asha.user.id, since).length > 0, "asha goes", LIMIT)
  const again = await enter(ben, { roster: "full" })
  const list = await again.sees("online_users", () => true, PATIENCE)
  assert.deepEqual([list.users.length, list.truncated, list.count], [3, true, 4])
  assert.ok(listed(4, false)(list))
  const userIds = people.slice(0, 3).map((one) => one.user.id)
  const { users } = await again.must("watch_presence", { userIds })
  assert.equal(users.filter((one) => one.status === "online").length, 2)
})

test("with AUTH=open nothing hides presence", async (t) => {
  const open = await serve(t, OPEN)
  const { join } = crowd(t, open)
  const [asha, ben] = [somebody("asha"), somebody("ben")]
  const client = await join(ben, { roster: "diff" })
  await join(asha)
  await client.seesOnline(asha, LIMIT)
  const blocked = await request(open, "PUT", `/api/blocks/${ben}`, { as: asha })
  assert.equal(blocked.status, 200)
  const cara = await join(somebody("cara"))
  await client.seesOnline(cara.joined.user.id, LIMIT)
  assert.ok(client.roster.get(asha).status)
  const list = (await get(open, "/api/online-users", { as: ben })).body
  assert.ok(list.data.some((one) => one.userId === asha))
})
