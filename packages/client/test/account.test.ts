/** The user's account on a server with accounts: changes, and signing out everywhere. */
import { describe, expect, test } from "vitest"
import { makeUploadStorage } from "./support/files.js"
import { Browser, makeTab, makeWorld } from "./support/harness.js"
import { refusal } from "./support/server.js"

async function signedIn() {
  const world = makeWorld()
  world.server.isLocal = true
  const browser = new Browser()
  const { client } = makeTab(world, { userId: undefined as never }, browser)
  client.retain()
  await client.login({ username: "asha", password: "right" })
  await world.clock.advance(1_000)
  return { world, browser, client }
}

describe("the user's account", () => {
  test("a new name shows at once and is sent by PATCH", async () => {
    const { world, client } = await signedIn()
    const user = await client.updateAccount({ name: "Asha B." })
    expect(user.name).toBe("Asha B.")
    expect(client.me.get().user?.name).toBe("Asha B.")
    const asked = world.server.seen.findLast(({ what }) => what.includes("/api/account"))
    expect(asked).toMatchObject({ what: "PATCH /api/account", body: { name: "Asha B." }, user: "asha" })
    client.close()
  })

  test("a wrong current password is refused and does not sign the user out", async () => {
    const { client } = await signedIn()
    await client.changePassword({ current: "right", next: "another lamp" })
    const failed = client.changePassword({ current: "wrong", next: "another lamp" })
    await expect(failed).rejects.toMatchObject({ code: "forbidden" })
    expect(client.me.get().status).toBe("signed-in")
    client.close()
  })

  test("signing out everywhere signs out this client and the other tabs", async () => {
    const { world, browser, client } = await signedIn()
    const { client: beside } = makeTab(world, { userId: undefined as never }, browser)
    beside.retain()
    await world.clock.advance(1_000)
    expect(beside.me.get().user?.id).toBe("asha")
    await client.logoutEverywhere()
    await world.clock.advance(1_000)
    expect(world.server.seen.some(({ what }) => what === "POST /api/auth/logout-all")).toBe(true)
    for (const one of [client, beside]) expect(one.me.get().status).toBe("signed-out")
    expect(client.connection.get().status).toBe("refused")
    client.close()
    beside.close()
  })

  test("F4 the first request detects that the cookie belongs to another user, and does nothing as that user", async () => {
    const { world, client } = await signedIn()
    world.server.addUser("ben")
    // Signed in beside it, and no tab has said so.
    world.server.session = "ben"
    await expect(client.updateAccount({ name: "Asha B." })).rejects.toMatchObject({ code: "unauthenticated" })
    await world.clock.advance(5_000)
    expect(client.me.get().user?.id).toBe("ben")
    expect(world.server.users.get("ben")?.name).toBe("ben")
    expect(client.connection.get().status).toBe("connected")
    client.close()
  })

  test("deleting the account signs out this client and the other tabs, and a wrong password does not", async () => {
    const { world, browser, client } = await signedIn()
    const { client: beside } = makeTab(world, { userId: undefined as never }, browser)
    beside.retain()
    await world.clock.advance(1_000)
    const failed = client.deleteAccount({ password: "wrong" })
    await expect(failed).rejects.toMatchObject({ code: "forbidden" })
    expect(client.me.get().status).toBe("signed-in")
    await client.deleteAccount({ password: "right", messages: "delete" })
    await world.clock.advance(1_000)
    const asked = world.server.seen.findLast(({ what }) => what === "DELETE /api/account")
    expect(asked).toMatchObject({ body: { password: "right", messages: "delete" } })
    for (const one of [client, beside]) expect(one.me.get().status).toBe("signed-out")
    client.close()
    beside.close()
  })

  test("deleting an account removes its data from the device and keeps the next user's", async () => {
    const { world, browser, client } = await signedIn()
    const { storage } = browser
    client.close()
    const uploadStorage = makeUploadStorage()
    world.server.addConversation("7", "asha", "ben")
    world.files.hangs = true
    const tab = makeTab(world, { userId: undefined as never, uploadStorage }, browser)
    tab.client.retain()
    await world.clock.advance(1_000)
    const seven = tab.client.conversation("7")
    const upload = await tab.client.uploads.add("7", new Blob(["hello"]))
    await seven.send("with a file", { uploads: [upload] })
    await seven.send("behind it")
    seven.setDraft("half a sentence")
    tab.wires.swallow.add("mark_read").add("set_conversation_settings")
    world.server.say("7", "ben", "hi")
    await world.clock.advance(10)
    seven.markRead(1)
    void seven.setSettings({ pinned: true })
    await expect.poll(() => storage.get("settings:own:asha")).toBeTruthy()
    await storage.set("drafts:own:ben", { "7": "of somebody else" })
    await world.clock.advance(500)
    expect(await storage.outbox("asha")).toHaveLength(2)
    expect(await uploadStorage.all("asha")).toHaveLength(1)
    for (const name of ["drafts", "marks"]) expect(await storage.get(`${name}:own:asha`)).toBeTruthy()

    const failed = tab.client.deleteAccount({ password: "wrong" })
    await expect(failed).rejects.toMatchObject({ code: "forbidden" })
    expect(await storage.outbox("asha")).toHaveLength(2)
    await tab.client.deleteAccount({ password: "right" })
    await world.clock.advance(60_000)
    expect(await storage.outbox("asha")).toEqual([])
    expect(await uploadStorage.all("asha")).toEqual([])
    for (const name of ["drafts:own", "marks:own", "settings:own", "uploads"])
      expect(await storage.get(`${name}:asha`), name).toBeUndefined()
    expect(await storage.get("drafts:own:ben")).toEqual({ "7": "of somebody else" })
    tab.client.close()
  })

  test.each([
    ["closed", "closed"],
    ["open", "open"],
    [undefined, "open"],
  ] as const)("registration follows the server's answer: %s", async (answered, known) => {
    const world = makeWorld()
    world.server.isLocal = true
    world.server.registration = answered
    const { client } = makeTab(world, { userId: undefined as never })
    expect(await client.session()).toBeNull()
    expect(client.me.get().registration).toBe(known)
    await client.login({ username: "asha", password: "right" })
    expect(client.me.get().registration).toBe(known)
    expect((await client.session())?.id).toBe("asha")
    expect(client.me.get().registration).toBe(known)
    client.close()
  })

  test.each(["local", null] as const)(
    "session() returns the user with a server that reports auth: %s",
    async (auth) => {
      const world = makeWorld()
      Object.assign(world.server, { isLocal: true, auth, registration: "closed" })
      const { client } = makeTab(world, { userId: undefined as never })
      expect(client.me.get().auth).toBeNull()
      expect(await client.session()).toBeNull()
      expect(client.me.get()).toMatchObject({ auth: "local", registration: "closed", status: "signed-out" })
      await client.login({ username: "asha", password: "right" })
      expect((await client.session())?.id).toBe("asha")
      const asked = world.server.seen.filter(({ what }) => what === "GET /api/auth/session")
      expect(asked.length, "a newer server is asked nothing that it would refuse").toBe(auth ? 0 : 2)
      client.close()
    },
  )

  test.each(["jwt", "open"] as const)("a server without accounts, AUTH=%s, has no session", async (auth) => {
    const world = makeWorld()
    world.server.auth = auth
    const { client } = makeTab(world, { userId: undefined as never })
    await expect(client.session()).rejects.toMatchObject({ code: "not_found", retryable: false })
    expect(client.me.get()).toMatchObject({ auth, status: "unknown" })
    client.close()
  })

  test("a refused registration returns the server's error", async () => {
    const world = makeWorld()
    world.server.isLocal = true
    const { client } = makeTab(world, { userId: undefined as never })
    world.server.refuse = (at) => (at === "POST /api/auth/register" ? refusal("forbidden") : undefined)
    await expect(client.register({ username: "a", password: "b" })).rejects.toMatchObject({
      code: "forbidden",
    })
    client.close()
  })
})
