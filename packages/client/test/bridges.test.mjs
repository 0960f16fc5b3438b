// F25: the client's stores in Svelte and Vue, with the real packages.
import { derived, get } from "svelte/store"
import { afterEach, expect, test } from "vitest"
import { createSSRApp, effectScope, h, nextTick, shallowRef, watchEffect } from "vue"
import { renderToString } from "vue/server-renderer"
import { toSvelte } from "../src/svelte.ts"
import { useStore } from "../src/vue.ts"
import { makeTab, makeWorld } from "./support/harness.ts"

const clients = []
function start() {
  const world = makeWorld()
  world.server.addConversation("7", "me", "asha")
  world.server.addConversation("8", "me", "ben")
  const tab = makeTab(world)
  clients.push(tab.client)
  return { world, ...tab }
}
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})

test("F25 Svelte: a subscriber is called at once, after each change, and not after it unsubscribes", async () => {
  const { world, client } = start()
  const seen = []
  const release = toSvelte(client.connection).subscribe(({ status }) => seen.push(status))
  expect(seen).toEqual(["idle"])
  client.retain()
  await world.clock.advance(1_000)
  expect(seen.at(-1)).toBe("connected")
  release()
  const { length } = seen
  client.close()
  expect(seen).toHaveLength(length)
})

test("F25 Svelte: get() and derived() of svelte/store work", async () => {
  const { world, client } = start()
  const total = derived([toSvelte(client.unread), toSvelte(client.connection)], ([unread, { status }]) => [
    unread.total,
    status,
  ])
  const seen = []
  const release = total.subscribe((value) => seen.push(value))
  client.retain()
  await world.clock.advance(1_000)
  world.server.say("7", "asha", "hello")
  await world.clock.advance(100)
  expect(seen.at(-1)).toEqual([1, "connected"])
  expect(get(toSvelte(client.unread)).total).toBe(1)
  release()
})

test("F25 Svelte: users are watched while a subscription exists", async () => {
  const { world, client } = start()
  client.retain()
  await world.clock.advance(1_000)
  const watches = () => [...world.server.peers].flatMap(({ watches }) => [...watches])
  const release = toSvelte(client.presence("asha")).subscribe(() => {})
  await world.clock.advance(100)
  expect(watches()).toEqual(["asha"])
  release()
  await world.clock.advance(100)
  expect(watches()).toEqual([])
})

test("F25 Vue: a ref follows the store and ends with its scope", async () => {
  const { world, client } = start()
  const scope = effectScope()
  const seen = []
  const connection = scope.run(() => {
    const state = useStore(client.connection)
    watchEffect(() => seen.push(state.value.status))
    return state
  })
  expect(connection.value.status).toBe("idle")
  client.retain()
  await world.clock.advance(1_000)
  await nextTick()
  expect(seen.at(-1)).toBe("connected")
  scope.stop()
  client.close()
  expect(connection.value.status).toBe("connected")
})

test("F25 Vue: a function follows the stores that it reads and unsubscribes from the earlier ones", async () => {
  const { world, client } = start()
  client.retain()
  await world.clock.advance(1_000)
  const id = shallowRef("7")
  const scope = effectScope()
  const messages = scope.run(() => useStore(() => client.conversation(id.value).messages))
  client.conversation("7").open()
  client.conversation("8").open()
  await world.clock.advance(100)
  world.server.say("7", "asha", "in seven")
  world.server.say("8", "ben", "in eight")
  await world.clock.advance(100)
  expect(messages.value.rows.map(({ content }) => content)).toEqual(["in seven"])
  id.value = "8"
  expect(messages.value.rows.map(({ content }) => content)).toEqual(["in eight"])
  world.server.say("7", "asha", "again in seven")
  world.server.say("8", "ben", "again in eight")
  await world.clock.advance(100)
  expect(messages.value.rows.map(({ content }) => content)).toEqual(["in eight", "again in eight"])
  scope.stop()
})

test("F25 Vue on a server renders the first state and leaves no subscription", async () => {
  const { client } = start()
  let listeners = 0
  const store = {
    ...client.connection,
    subscribe(listener) {
      listeners++
      const end = client.connection.subscribe(listener)
      return () => {
        listeners--
        end()
      }
    },
  }
  const page = {
    setup() {
      const state = useStore(store)
      return () => h("p", state.value.status)
    },
  }
  expect(await renderToString(createSSRApp(page))).toBe("<p>idle</p>")
  expect(listeners).toBe(0)
})
