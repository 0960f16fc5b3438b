/** The files of a conversation: pages of them, and what arrives and is deleted meanwhile. */
import { expect, test, vi } from "vitest"
import type { SharedFile } from "../src/wire.js"
import { changeMembers } from "./support/groups.js"
import { makeTab, makeWorld, type World } from "./support/harness.js"
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

const file = (name: string): SharedFile => ({
  id: `id of ${name}`,
  name,
  type: name.endsWith(".png") ? "image/png" : "application/pdf",
  size: 1,
  url: `/api/files/${name}`,
  state: "ready",
})

async function start() {
  const world = makeWorld()
  const { server } = world
  for (const id of ["me", "asha", "former"]) server.addUser(id, id.toUpperCase())
  server.addConversation("7", "me", "asha")
  const share = (by: string, ...names: string[]) =>
    server.store("7", by, "", undefined, { attachments: names.map(file) })
  const tab = makeTab(world)
  const { client } = tab
  const files = client.files("7")
  const names = (store = files) => store.get().files.map((one) => one.file.name)
  const asked = () =>
    server.seen.filter(({ what }) => what.startsWith("GET /api/privatechat/conversations/7/files"))
  const open = async () => {
    client.retain()
    await world.clock.advance(1_000)
    const close = files.subscribe(() => {})
    await loaded(world, () => files.get().status !== "loading")
    return close
  }
  return { ...tab, world, server, share, files, names, asked, open }
}

test("the first subscriber loads the list, page by page, newest first", async () => {
  const { client, world, server, share, files, names, asked, open } = await start()
  share("asha", "1.png")
  share("asha", "2.pdf")
  share("former", "3.png")
  for (let n = 4; n <= 7; n++) share("me", `${n}.png`)
  server.filesPage = 3
  expect(client.files("7")).toBe(files)
  expect(client.files("7", "media")).not.toBe(files)
  expect(files.get()).toMatchObject({ status: "loading", files: [] })
  await open()
  expect(names()).toEqual(["7.png", "6.png", "5.png"])
  expect(files.get()).toMatchObject({ hasMore: true, users: {} })
  const [first] = files.get().files
  const more = files.loadMore()
  const again = files.loadMore()
  await Promise.all([more, again])
  expect(names()).toEqual(["7.png", "6.png", "5.png", "4.png", "3.png", "2.pdf"])
  expect(files.get().files[0]).toBe(first)
  expect(files.get().users).toMatchObject({ former: { name: "FORMER" } })
  await files.loadMore()
  expect(names()).toHaveLength(7)
  expect(files.get()).toMatchObject({ hasMore: false, loadingMore: false, error: null })
  await files.loadMore()
  const before = asked().length
  await world.clock.advance(1_000)
  expect(asked().length).toBe(before)
  client.close()
})

test("new files appear and deleted ones disappear, in the order of the messages", async () => {
  const { client, world, server, share, names, files, open } = await start()
  const old = share("asha", "1.png", "2.pdf")
  await open()
  const media = client.files("7", "media")
  media.subscribe(() => {})
  await loaded(world, () => media.get().status === "ready")
  server.deliver(share("asha", "3.pdf", "4.png"))
  const later = server.say("7", "asha", "a text")
  await world.clock.advance(100)
  expect(names()).toEqual(["3.pdf", "4.png", "1.png", "2.pdf"])
  expect(names(media)).toEqual(["4.png", "1.png"])
  const listener = vi.fn()
  files.subscribe(listener)
  server.act("7", "asha", later.id, { kind: "delete" })
  server.act("7", "asha", old.id, { kind: "delete" })
  await world.clock.advance(100)
  expect(names()).toEqual(["3.pdf", "4.png"])
  expect(names(media)).toEqual(["4.png"])
  // What is loaded later does not bring it back, and brings nothing twice.
  await files.reload()
  expect(names()).toEqual(["3.pdf", "4.png"])
  client.close()
})

test("a page that arrives late neither restores deleted files nor drops new ones", async () => {
  const { client, world, server, share, names, files, wires, open } = await start()
  const old = share("asha", "1.png")
  await open()
  let arrive = () => {}
  wires.late = new Promise((resolve) => {
    arrive = resolve
  })
  const reload = files.reload()
  await world.clock.advance(10)
  server.act("7", "asha", old.id, { kind: "delete" })
  server.deliver(share("asha", "2.png"))
  await world.clock.advance(100)
  wires.late = null
  arrive()
  await reload
  expect(names()).toEqual(["2.png"])
  client.close()
})

test("the list is reloaded to the same length after a reconnect, and dropped with the membership", async () => {
  const { client, world, server, share, names, files, cut, asked, open } = await start()
  for (let n = 1; n <= 5; n++) share("asha", `${n}.png`)
  server.filesPage = 2
  const close = await open()
  await files.loadMore()
  expect(names()).toHaveLength(4)
  cut()
  share("asha", "missed.png")
  await loaded(world, () => names()[0] === "missed.png")
  expect(names()).toHaveLength(4)
  // Without subscribers there is no request; the next subscriber causes one.
  close()
  await world.clock.advance(20_000)
  const before = asked().length
  cut()
  share("asha", "later.png")
  await world.clock.advance(20_000)
  expect(asked().length).toBe(before)
  await open()
  await loaded(world, () => names()[0] === "later.png")
  changeMembers(server, "7", "asha", { removed: ["me"] })
  await loaded(world, () => files.get().status === "error")
  expect(files.get()).toMatchObject({ files: [], error: { code: "not_found" } })
  client.close()
})

test("a failure shows an error, keeps the loaded files, and can be retried", async () => {
  const { client, world, server, share, names, files, wires, open } = await start()
  for (let n = 1; n <= 2; n++) share("asha", `${n}.png`)
  server.filesPage = 2
  server.refuse = (what) => (what.endsWith("/files") ? refusal("unavailable") : undefined)
  await open()
  expect(files.get()).toMatchObject({ status: "error", error: { code: "unavailable" } })
  // What arrives meanwhile is not the list.
  let arrive = () => {}
  wires.late = new Promise((resolve) => {
    arrive = resolve
  })
  const reload = files.reload()
  await world.clock.advance(10)
  server.deliver(share("asha", "3.png"))
  await world.clock.advance(100)
  wires.late = null
  arrive()
  await expect(reload).rejects.toMatchObject({ code: "unavailable" })
  expect(files.get()).toMatchObject({ status: "error", files: [] })
  server.refuse = () => undefined
  await files.reload()
  expect(files.get()).toMatchObject({ status: "ready", error: null })
  wires.httpDown = true
  await expect(files.loadMore()).rejects.toMatchObject({ retryable: true })
  expect(files.get()).toMatchObject({ status: "ready", hasMore: true, error: { retryable: true } })
  wires.httpDown = false
  await files.loadMore()
  expect(names()).toEqual(["3.png", "2.png", "1.png"])
  expect(files.get().error).toBe(null)
  client.close()
})

test("empty pages are skipped, and pages of another user are dropped", async () => {
  const { client, world, server, share, names, files } = await start()
  share("asha", "1.png")
  for (let n = 2; n <= 6; n++) share("asha", `${n}.pdf`)
  server.filesPage = 1
  client.retain()
  const media = client.files("7", "media")
  media.subscribe(() => {})
  await loaded(world, () => media.get().status === "ready")
  expect(names(media)).toEqual(["1.png"])
  expect(media.get().hasMore).toBe(false)
  expect(files.get().files).toEqual([])
  client.close()
})
