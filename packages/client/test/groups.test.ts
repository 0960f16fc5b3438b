/** Groups: creation, members, system rows, and removed members. */
import fc from "fast-check"
import { describe, expect, test, vi } from "vitest"
import { applyMembers, applyPage, type Registers, since } from "../src/groups/member-registers.js"
import type { MembersEntry, Role } from "../src/wire.js"
import { changeDetails, changeMembers } from "./support/groups.js"
import { makeTab, makeWorld, type Tab, type World } from "./support/harness.js"
import { refusal } from "./support/server.js"

/** Lets the chunk of groups load, which takes real time, and the test's clock go on. */
async function loaded(world: World, look: () => boolean): Promise<void> {
  await vi.waitFor(
    async () => {
      await world.clock.advance(50)
      expect(look()).toBe(true)
    },
    { timeout: 20_000, interval: 5 },
  )
}

async function start(options: { members?: string[]; mostTold?: number } = {}) {
  const world = makeWorld()
  const { server } = world
  server.mostTold = options.mostTold ?? 100
  for (const id of ["me", "asha", "ben", "cleo", "dan"]) server.addUser(id, id.toUpperCase())
  server.addConversation("g")
  const members = options.members ?? ["me", "asha", "ben"]
  changeMembers(server, "g", "me", { added: members, roles: { me: "owner" } })
  const tab = makeTab(world)
  tab.client.retain()
  await world.clock.advance(1_000)
  return { ...world, ...tab, world, handle: tab.client.conversation("g") }
}

const idsOf = ({ client }: Pick<Tab, "client">, id = "g") =>
  client
    .members(id)
    .get()
    .members.map((member) => `${member.id} ${member.role}`)
const item = ({ client }: Pick<Tab, "client">) =>
  client.conversations.get().items.find(({ id }) => id === "g")
const kinds = ({ handle }: { handle: ReturnType<Tab["client"]["conversation"]> }) =>
  handle.messages.get().systemRows.map(({ seq, changes }) => [seq, ...changes.map(({ kind }) => kind)])

describe("creating a group", () => {
  test("a retry after a lost answer creates one group, which is in the list", async () => {
    const { client, world, server, wires } = await start()
    wires.loseAnswer.add("POST /api/privatechat/conversations")
    const group = { memberIds: ["asha", "ben", "asha"], name: "Trip", clientConversationId: "mine" }
    const first = client.createGroup(group)
    first.catch(() => {})
    const tries = () => server.seen.filter(({ what }) => what === "POST /api/privatechat/conversations")
    await loaded(world, () => tries().length >= 4)
    await expect(first).rejects.toMatchObject({ retryable: true })
    wires.loseAnswer.clear()
    const { id, name } = await client.createGroup(group)
    expect(name).toBe("Trip")
    expect(server.made.size).toBe(1)
    expect(new Set(tries().map(({ body }) => body.clientConversationId)).size).toBe(1)
    expect(tries()[0]?.body.memberIds).toEqual(["asha", "ben"])
    expect(client.conversations.get().items[0]).toMatchObject({ id, kind: "group", memberCount: 3 })
    client.close()
  })

  test("the client refuses a group without other members and explains the fix", async () => {
    const { client } = await start()
    await expect(client.createGroup({ memberIds: ["me"] })).rejects.toMatchObject({
      code: "invalid",
      fix: "Choose at least one person.",
    })
    client.close()
  })
})

describe("the members of a group", () => {
  test("the first subscriber loads them page by page, and entries keep them up to date", async () => {
    const many = Array.from({ length: 230 }, (_, n) => `u${String(n).padStart(3, "0")}`)
    const all = await start({ members: ["me", ...many] })
    const { client, world, server } = all
    const members = client.members("g")
    expect(members.get().status).toBe("loading")
    expect(client.members("g")).toBe(members)
    const stop = members.subscribe(() => {})
    await loaded(world, () => members.get().status === "ready")
    expect(members.get()).toMatchObject({ count: 231, role: "owner", hasMore: true })
    expect(members.get().members).toHaveLength(100)
    await members.loadMore()
    await members.loadMore()
    expect(members.get()).toMatchObject({ count: 231, hasMore: false, loadingMore: false })
    expect(members.get().members).toHaveLength(231)
    changeMembers(server, "g", "me", { removed: ["u007"], roles: { u008: "admin" } })
    changeMembers(server, "g", "me", { added: ["dan"] })
    await world.clock.advance(1_000)
    expect(members.get().count).toBe(231)
    expect(idsOf(all)).not.toContain("u007 member")
    expect(idsOf(all)).toContain("u008 admin")
    // The profile of a new member comes only with a page.
    expect(members.get().members.find(({ id }) => id === "dan")?.name).toBe("DAN")
    stop()
    client.close()
  })

  test("actions change them once each, and refusals have the server's code", async () => {
    const all = await start()
    const { client, world, server, wires } = all
    const members = client.members("g")
    members.subscribe(() => {})
    await loaded(world, () => members.get().status === "ready")
    await members.add(["cleo"])
    expect(idsOf(all)).toEqual(["asha member", "ben member", "cleo member", "me owner"])
    await members.setRole("asha", "admin")
    await members.remove("ben")
    expect(idsOf(all)).toEqual(["asha admin", "cleo member", "me owner"])
    // No answer: the same change again, under the same id.
    wires.loseAnswer.add("POST /api/privatechat/conversations/g/members")
    const added = members.add(["dan"])
    await loaded(world, () => server.seen.filter(({ body }) => String(body.userIds) === "dan").length >= 2)
    wires.loseAnswer.clear()
    await world.clock.advance(20_000)
    await added
    const ids = server.seen.filter(({ body }) => String(body.userIds) === "dan").map(({ body }) => body)
    expect(new Set(ids.map(({ clientMessageId }) => clientMessageId)).size).toBe(1)
    expect(server.conversations.get("g")?.log.filter((entry) => "added" in entry)).toHaveLength(5)
    await expect(members.add([])).rejects.toMatchObject({ code: "invalid", fix: expect.any(String) })
    server.refuse = (what) => (what.startsWith("PUT") ? refusal("forbidden") : undefined)
    await expect(members.setRole("asha", "owner")).rejects.toMatchObject({ code: "forbidden" })
    client.close()
  })

  test("a failed load shows an error and can be retried", async () => {
    const { client, world, server } = await start()
    server.refuse = (what) => (what.includes("/members") ? refusal("internal") : undefined)
    const members = client.members("g")
    members.subscribe(() => {})
    await loaded(world, () => members.get().status === "error")
    expect(members.get().error?.code).toBe("internal")
    server.refuse = () => undefined
    await members.reload()
    expect(members.get()).toMatchObject({ status: "ready", error: null })
    client.close()
  })

  const people = ["a", "b", "c", "d"]
  const entries = fc
    .array(
      fc.record({
        added: fc.subarray(people),
        removed: fc.subarray(people),
        roles: fc.dictionary(fc.constantFrom(...people), fc.constantFrom<Role>("owner", "admin", "member")),
      }),
      { maxLength: 12 },
    )
    .map((changes) =>
      changes.map(
        ({ added, removed, roles }, at): MembersEntry => ({
          ...{ id: `e${at}`, kind: "members", conversationId: "g", senderId: null, createdAt: "" },
          seq: at + 1,
          added: added.filter((id) => !removed.includes(id)),
          removed,
          roles,
        }),
      ),
    )
  /** As the server has them, which applies its log in order. */
  function plainly(log: readonly MembersEntry[]) {
    const members = new Map<string, Role>()
    for (const { added, removed, roles } of log) {
      for (const id of added) members.set(id, "member")
      for (const [id, role] of Object.entries(roles)) if (members.has(id)) members.set(id, role)
      for (const id of removed) members.delete(id)
    }
    return members
  }
  const shown = (known: Registers) =>
    [...known].flatMap(([id, { isIn, role }]) => (isIn ? [`${id} ${role}`] : [])).sort()

  test("entries in any order, some twice, give the same members as the log in order", () => {
    fc.assert(
      fc.property(
        entries.chain((log) =>
          fc.tuple(
            fc.constant(log),
            fc.shuffledSubarray([...log, ...log], { minLength: 0, maxLength: log.length * 2 }),
            fc.shuffledSubarray(log, { minLength: log.length, maxLength: log.length }),
          ),
        ),
        ([log, some, all]) => {
          // A server never writes a role of a non-member.
          const sound = log.map((entry, at) => {
            const inside = plainly(log.slice(0, at))
            const isIn = (id: string) =>
              (inside.has(id) || entry.added.includes(id)) && !entry.removed.includes(id)
            const added = entry.added.filter((id) => !inside.has(id))
            const roles = Object.fromEntries(Object.entries(entry.roles).filter(([id]) => isIn(id)))
            return { ...entry, added, roles }
          })
          const known = [...some, ...all].reduce<Registers>(
            (before, { seq }) => applyMembers(before, sound[seq - 1] as MembersEntry),
            new Map(),
          )
          const expected = [...plainly(sound)].map(([id, role]) => `${id} ${role}`).sort()
          expect(shown(known)).toEqual(expected)
        },
      ),
    )
  })

  test("a page and the entries around it give the same members, whichever comes first", () => {
    fc.assert(
      fc.property(entries, fc.nat(12), fc.boolean(), (log, cut, isPageFirst) => {
        const sound = log.map((entry, at) => {
          const inside = plainly(log.slice(0, at))
          const added = entry.added.filter((id) => !inside.has(id))
          return { ...entry, added, roles: {} }
        })
        const page = [...plainly(sound.slice(0, cut))].map(([id, role]) => ({ id, role }))
        const rest = sound.slice(cut)
        const folded = (first: Registers) => rest.reduce(applyMembers, first)
        const known = isPageFirst
          ? folded(applyPage(new Map(), page))
          : applyPage(since(folded(new Map()), cut), page)
        expect(shown(known)).toEqual([...plainly(sound)].map(([id, role]) => `${id} ${role}`).sort())
      }),
    )
  })
})

describe("a group in the list", () => {
  test("the list follows entries that change name, role and members", async () => {
    const all = await start({ mostTold: 0 })
    const { client, world, server } = all
    server.addConversation("d", "me", "dan")
    server.say("d", "dan", "hi")
    await loaded(world, () => client.conversations.get().items.length === 2)
    const lists = () => server.seen.filter(({ what }) => what.includes("/conversations?")).length
    const before = lists()
    await client.updateGroup("g", { name: "Trip" })
    await loaded(world, () => item(all)?.name === "Trip")
    changeDetails(server, "g", "asha", { avatarUrl: "/a.png" })
    changeMembers(server, "g", "asha", { removed: ["ben"], roles: { me: "admin" } })
    await world.clock.advance(1_000)
    expect(item(all)).toMatchObject({ name: "Trip", avatarUrl: "/a.png", memberCount: 2, role: "admin" })
    expect(item(all)?.members.map(({ id }) => id)).toEqual(["asha", "me"])
    // A change of members moves it, one of the details does not.
    expect(client.conversations.get().items[0]?.id).toBe("g")
    server.say("d", "dan", "again")
    changeDetails(server, "g", "asha", { name: null })
    await world.clock.advance(1_000)
    expect(client.conversations.get().items.map(({ id }) => id)).toEqual(["d", "g"])
    expect(item(all)).not.toHaveProperty("name", "Trip")
    expect(lists()).toBe(before)
    client.close()
  })
})

describe("rows of changes", () => {
  test("they are placed among the messages, live, from history and after a reload", async () => {
    const all = await start()
    const { world, server, handle } = all
    handle.open()
    await loaded(world, () => kinds(all).length === 1)
    server.say("g", "asha", "hello")
    changeMembers(server, "g", "asha", { added: ["cleo"] })
    changeMembers(server, "g", "ben", { removed: ["ben"] })
    server.say("g", "cleo", "hi")
    changeDetails(server, "g", "me", { name: "Trip" })
    await world.clock.advance(1_000)
    const expected = [
      [1, "created"],
      [3, "added"],
      [4, "left"],
      [6, "renamed"],
    ]
    expect(kinds(all)).toEqual(expected)
    const first = handle.messages.get().systemRows[0]
    server.say("g", "asha", "more")
    await world.clock.advance(1_000)
    expect(handle.messages.get().systemRows[0]).toBe(first)
    // The former member is still named.
    expect(handle.messages.get().users.ben?.name).toBe("BEN")
    const again = makeTab(world)
    again.client.retain()
    const fresh = again.client.conversation("g")
    fresh.open()
    await loaded(world, () => kinds({ handle: fresh }).length === 4)
    expect(kinds({ handle: fresh })).toEqual(expected)
    for (const { client } of [all, again]) client.close()
  })

  test("they show also if the thread opens before the list has loaded", async () => {
    const { client: first, world, server } = await start()
    first.close()
    server.say("g", "asha", "hello")
    let isLate = true
    server.refuse = (what) =>
      what === "GET /api/privatechat/conversations" && isLate ? refusal("unavailable", true) : undefined
    const { client } = makeTab(world)
    client.retain()
    const handle = client.conversation("g")
    handle.open()
    await loaded(world, () => handle.messages.get().rows.length === 1)
    expect(client.conversations.get().items).toEqual([])
    isLate = false
    await loaded(world, () => kinds({ handle }).length === 1)
    client.close()
  })

  test("a failed request for them is retried while the messages show", async () => {
    const { client, world, server, handle } = await start()
    server.say("g", "asha", "hello")
    let failures = 2
    server.refuse = (what) =>
      what.startsWith("GET /api/privatechat/messages/g") &&
      server.seen.at(-1)?.what.includes("kind=all") &&
      failures-- > 0
        ? refusal("unavailable", true)
        : undefined
    handle.open()
    await loaded(world, () => handle.messages.get().rows.length === 1)
    await loaded(world, () => kinds({ handle }).length === 1)
    expect(failures).toBeLessThan(1)
    client.close()
  })

  test("distant pages each have their own, and only those of the shown segment are shown", async () => {
    const { client, world, server, handle } = await start()
    for (let n = 0; n < 150; n++) {
      server.store("g", "asha", `text ${n}`)
      if (n % 50 === 0) changeMembers(server, "g", "asha", { added: [`new${n}`] }, {}, false)
    }
    handle.open()
    await loaded(world, () => handle.messages.get().rows.length === 50)
    await loaded(world, () => client.connection.get().status === "connected")
    const seqs = () => handle.messages.get().systemRows.map(({ seq }) => seq)
    expect(seqs()).toEqual([105])
    await handle.loadOlder()
    expect(seqs()).toEqual([54, 105])
    await handle.loadOlder()
    expect(seqs()).toEqual([1, 3, 54, 105])
    client.close()
  })

  test("a direct conversation sends no request about groups", async () => {
    const world = makeWorld()
    world.server.addConversation("d", "me", "dan")
    world.server.say("d", "dan", "hi")
    const { history } = world.server
    world.server.history = (...given) => ({ ...history.apply(world.server, given), users: [] }) as never
    const { client } = makeTab(world)
    client.retain()
    await loaded(world, () => client.conversations.get().items.length === 1)
    const handle = client.conversation("d")
    handle.open()
    await loaded(world, () => handle.messages.get().rows.length === 1)
    await world.clock.advance(5_000)
    expect(world.server.seen.some(({ what }) => what.includes("kind=all"))).toBe(false)
    expect(handle.messages.get().users).toBe(client.conversation("other").messages.get().users)
    client.close()
  })

  test("profiles of former members from history are shown", async () => {
    const { client, world, server, handle } = await start()
    server.store("g", "eve", "bye")
    const { history } = server
    server.history = (...given) => {
      const answer = history.apply(server, given)
      return answer.success ? { ...answer, users: [{ id: "eve", name: "Eve", avatarUrl: null }] } : answer
    }
    handle.open()
    await loaded(world, () => handle.messages.get().users.eve?.name === "Eve")
    client.close()
  })
})

describe("a removed member", () => {
  test("the conversation disappears at once; unsent messages fail and remain", async () => {
    const all = await start()
    const { client, world, server, handle, wires } = all
    handle.open()
    await loaded(world, () => handle.messages.get().status === "ready")
    server.say("g", "asha", "hello")
    await world.clock.advance(500)
    wires.swallow.add("send_private_message")
    wires.gate = new Promise(() => {})
    await handle.send("in flight")
    await handle.send("behind it")
    changeMembers(server, "g", "asha", { removed: ["me"] })
    await world.clock.advance(100)
    expect(item(all)).toBeUndefined()
    const now = handle.messages.get()
    expect(now).toMatchObject({ status: "error", isRemoved: true, error: { code: "not_found" } })
    expect(now.rows.map(({ content, state }) => [content, state])).toEqual([
      ["in flight", "sending"],
      ["behind it", "failed"],
    ])
    wires.swallow.clear()
    wires.gate = null
    await world.clock.advance(60_000)
    const rows = handle.messages.get().rows
    expect(rows.map(({ state }) => state)).toEqual(["sending", "failed"].map(() => "failed"))
    expect(rows[1]?.error?.message).toMatch(/not a member/)
    const refused = await handle.send("one more")
    expect(refused).toMatchObject({ ok: false, content: "one more" })
    client.close()
  })

  test("a removal while offline removes the conversation, and being added again restores it", async () => {
    const all = await start()
    const { client, world, server, handle, wires, cut } = all
    handle.open()
    await loaded(world, () => handle.messages.get().status === "ready")
    wires.socketDown = true
    wires.httpDown = true
    cut()
    await world.clock.advance(1_000)
    changeMembers(server, "g", "asha", { removed: ["me"] })
    wires.socketDown = false
    wires.httpDown = false
    await world.clock.advance(60_000)
    expect(item(all)).toBeUndefined()
    expect(handle.messages.get().isRemoved).toBe(true)
    server.store("g", "asha", "between")
    const entry = changeMembers(server, "g", "asha", { added: ["me"] })
    const stored = server.conversations.get("g")
    if (stored) stored.firstSeq = entry.seq
    await world.clock.advance(1_000)
    server.say("g", "asha", "welcome back")
    await loaded(world, () => handle.messages.get().rows.length === 1)
    expect(handle.messages.get()).toMatchObject({ status: "ready", isRemoved: false, error: null })
    expect(item(all)?.role).toBe("member")
    client.close()
  })

  test("without a socket the next read over HTTP reveals the removal", async () => {
    const all = await start()
    const { world, server, handle, wires, cut } = all
    handle.open()
    await loaded(world, () => handle.messages.get().status === "ready")
    wires.socketDown = true
    cut()
    await world.clock.advance(500)
    changeMembers(server, "g", "asha", { removed: ["me"] })
    await loaded(world, () => handle.messages.get().isRemoved)
    expect(item(all)).toBeUndefined()
    expect(handle.messages.get().status).toBe("error")
    all.client.close()
  })

  test("leaving removes the conversation from the list of every tab", async () => {
    const all = await start()
    const { client, world, browser } = all
    const other = makeTab(world, {}, browser)
    other.client.retain()
    await loaded(world, () => item(other) !== undefined)
    await client.members("g").leave()
    await world.clock.advance(500)
    expect([item(all), item(other)]).toEqual([undefined, undefined])
    for (const tab of [all, other]) tab.client.close()
  })
})

describe("blocks", () => {
  test("a subscriber loads them, and blocking and unblocking show at once in all tabs", async () => {
    const all = await start()
    const { client, world, server, browser } = all
    server.blocks.set("me", new Set(["dan"]))
    const other = makeTab(world, {}, browser)
    other.client.retain()
    const names = (tab: Pick<Tab, "client">) => tab.client.blocks.get().users.map(({ id }) => id)
    for (const tab of [all, other]) tab.client.blocks.subscribe(() => {})
    await loaded(world, () => [all, other].every((tab) => names(tab).join() === "dan"))
    await client.blocks.block("ben")
    expect(names(all)).toEqual(["dan", "ben"])
    await loaded(world, () => names(other).join() === "dan,ben")
    await client.blocks.unblock("dan")
    await loaded(world, () => [all, other].every((tab) => names(tab).join() === "ben"))
    for (const tab of [all, other]) tab.client.close()
  })

  test("a message to a blocked user fails and keeps its text", async () => {
    const { client, world, server } = await start()
    server.addConversation("d", "me", "dan")
    server.blocks.set("dan", new Set(["me"]))
    const handle = client.conversation("d")
    handle.open()
    await world.clock.advance(500)
    await handle.send("hello?")
    await world.clock.advance(1_000)
    expect(handle.messages.get().rows[0]).toMatchObject({ state: "failed", error: { code: "forbidden" } })
    client.close()
  })
})
