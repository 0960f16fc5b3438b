import type { Store } from "@lamplight/client"
import { expect, test } from "vitest"
import { pacedSubscribe } from "../src/pace.js"

function counter() {
  let state = 0
  const listeners = new Set<() => void>()
  const store: Store<number> = {
    get: () => state,
    getServer: () => 0,
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
  const add = () => {
    state++
    for (const listener of [...listeners]) listener()
  }
  return { store, add }
}

test("a burst notifies a few times and once more with the last state, all stores together", async () => {
  const [one, other] = [counter(), counter()]
  const seen: [number, number][] = []
  const look = () => seen.push([one.store.get(), other.store.get()])
  const ends = [one, other].map(({ store }) => pacedSubscribe(store)(look))
  for (let at = 0; at < 500; at++) {
    one.add()
    other.add()
    await null
  }
  expect(seen.length).toBeLessThanOrEqual(2 * 20)
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(seen.at(-1)).toEqual([500, 500])
  expect(seen.length).toBeLessThanOrEqual(2 * 21)
  // Afterwards each change is told as it comes.
  one.add()
  expect(seen.at(-1)).toEqual([501, 500])
  for (const end of ends) end()
})

test("an unsubscribed listener is not called for a pending notification", async () => {
  const { store, add } = counter()
  let calls = 0
  const end = pacedSubscribe(store)(() => calls++)
  for (let at = 0; at < 50; at++) {
    add()
    await null
  }
  const before = calls
  end()
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(calls).toBe(before)
})
