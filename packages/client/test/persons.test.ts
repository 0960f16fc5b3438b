/** One browser and two users one after the other, under random faults: no message is sent as the other user, and none is lost. */
import { expect, test } from "vitest"
import { Browser, makeTab, makeWorld } from "./support/harness.js"
import { numbers } from "./support/numbers.js"

async function change(seed: number, steps: number, way: "token" | "opaque token" | "cookie") {
  const random = numbers(seed)
  const below = (most: number) => Math.floor(random() * most)
  const world = makeWorld()
  const { server, clock } = world
  server.addConversation("7", "asha", "ben", "carl")
  const browser = new Browser()
  let person = "asha"
  let serial = 0
  let failing = false
  let slow = 0
  if (way === "cookie") {
    server.isLocal = true
    server.session = person
  }
  const getToken = async () => {
    const whose = person
    const late = slow
    if (late) await new Promise<void>((resolve) => clock.after(late, resolve))
    if (failing) throw new Error("503")
    const claims = { sub: whose, iat: clock.now() / 1000, exp: clock.now() / 1000 + 60 }
    // Only the server can read the user of an encrypted token.
    const text = way === "token" ? Buffer.from(JSON.stringify(claims)).toString("base64url") : "sealed"
    const token = `e30.${text}.${++serial}`
    server.tokens.set(`Bearer ${token}`, whose)
    return token
  }
  const options = { userId: undefined as never, random, ...(way === "cookie" ? {} : { getToken }) }
  const tabs = [makeTab(world, options, browser), makeTab(world, options, browser)]
  const releases = tabs.map(({ client }) => client.retain())
  for (const { client } of tabs) client.conversation("7").open()
  const sent: { text: string; by: string }[] = []
  const trail: string[] = []
  const quiet = (work: Promise<unknown>) => void work.catch(() => {})
  for (let step = 0; step < steps; step++) {
    const at = below(2)
    const tab = tabs[at] as (typeof tabs)[0]
    const { client, wires } = tab
    const what = below(14)
    trail.push(`${at} ${what}`)
    if (what < 4) {
      // As the user whom the host has signed in; with a cookie, as the user whom the page shows.
      const by = way === "cookie" ? client.me.get().user?.id : person
      if (!by) continue
      const text = `${by} ${step}`
      client
        .conversation("7")
        .send(text)
        .then(({ ok }) => ok && sent.push({ text, by }))
    } else if (what === 4) tab.cut()
    else if (what === 5) wires.socketDown = !wires.socketDown
    else if (what === 6) wires.httpDown = !wires.httpDown
    else if (what === 7) failing = random() < 0.4
    else if (what === 8) slow = below(3_000)
    else if (what === 9) {
      if (!wires.loseAck.delete("send_private_message")) wires.loseAck.add("send_private_message")
    } else if (what === 10) {
      // A user who comes and goes without a token in between cannot be distinguished from the previous one.
      if (tabs.some((one) => one.client.me.get().user?.id !== person)) continue
      person = person === "asha" ? "ben" : "asha"
      if (way === "cookie") server.session = person
      // A host that signs people in and out without loading the page: in one step, or with a while at the sign-in.
      else {
        for (const release of releases.splice(0)) release()
        if (random() < 0.5) await clock.advance(below(3_000))
        releases.push(...tabs.map((one) => one.client.retain()))
      }
    } else if (what === 11)
      for (const peer of [...server.peers]) peer.send("token_expired", { graceMs: 30_000 })
    else if (what === 12) server.say("7", "carl", `carl ${step}`)
    else quiet(client.users())
    if (random() < 0.7) await clock.advance(below(random() < 0.1 ? 70_000 : 800))
  }
  failing = false
  slow = 0
  for (const { wires } of tabs) {
    Object.assign(wires, { socketDown: false, httpDown: false })
    wires.loseAck.clear()
  }
  await clock.advance(60_000)
  for (const next of ["asha", "ben"]) {
    person = next
    if (way === "cookie") server.session = person
    for (const release of releases.splice(0)) release()
    await clock.advance(5_000)
    releases.push(...tabs.map((one) => one.client.retain()))
    await clock.advance(60_000)
  }
  const why = `seed ${seed} ${way}\n${trail.join("\n")}`
  const log = server.conversations.get("7")?.log ?? []
  for (const { content, senderId } of log) expect(content?.split(" ")[0], why).toBe(senderId)
  for (const { text } of sent) expect(log.filter(({ content }) => content === text).length, why).toBe(1)
  for (const { client } of tabs) {
    expect(client.me.get().user?.id, why).toBe("ben")
    expect(client.outbox.get().items, why).toEqual([])
    client.close()
  }
  expect(sent.length, why).toBeGreaterThan(0)
}

const SEEDS = Number(process.env.SEEDS ?? 30)
const FIRST = Number(process.env.SEED ?? 1)
for (const way of ["token", "opaque token", "cookie"] as const)
  test(`one browser keeps two users apart: ${way}`, async () => {
    const failures: string[] = []
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++)
      await change(seed, 60, way).catch((thrown) => failures.push(String(thrown)))
    expect(failures).toEqual([])
  }, 120_000)
