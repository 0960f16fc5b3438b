/** What a browser offers, stood in for. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { browserChannel, browserLock, browserSurroundings, randomId, systemClock } from "../src/defaults.js"
import { TestClock } from "./support/clock.js"

class Page extends EventTarget {
  visibilityState = "visible"
}

afterEach(() => {
  vi.unstubAllGlobals()
})

describe("the surroundings", () => {
  let page: Page
  let browser: EventTarget
  let clock: TestClock
  beforeEach(() => {
    page = new Page()
    browser = new EventTarget()
    clock = new TestClock()
    vi.stubGlobal("document", page)
    vi.stubGlobal("window", browser)
  })

  function watch() {
    const surroundings = browserSurroundings(clock)
    const told: string[] = []
    const stop = surroundings.watch((what) => told.push(what))
    return { surroundings, told, stop }
  }

  test("a person is there for a minute after the last input, while the page is seen", async () => {
    const { surroundings, told } = watch()
    expect(surroundings.isActive()).toBe(true)
    await clock.advance(61_000)
    expect(surroundings.isActive()).toBe(false)
    page.dispatchEvent(new Event("keydown"))
    expect(surroundings.isActive()).toBe(true)
    page.dispatchEvent(new Event("pointermove"))
    expect(told).toEqual(["active"])
    page.visibilityState = "hidden"
    page.dispatchEvent(new Event("visibilitychange"))
    expect(surroundings.isActive()).toBe(false)
    expect(told).toEqual(["active", "hide", "active"])
  })

  test("the network coming back and the page being seen again are worth a try", () => {
    const { told, stop } = watch()
    browser.dispatchEvent(new Event("online"))
    page.dispatchEvent(new Event("visibilitychange"))
    browser.dispatchEvent(new Event("pageshow"))
    expect(told).toEqual(["wake", "wake", "active", "wake"])
    stop()
    browser.dispatchEvent(new Event("online"))
    expect(told).toHaveLength(4)
  })
})

test("without a document the person is always there", () => {
  const surroundings = browserSurroundings(systemClock)
  expect([surroundings.isActive(), surroundings.isVisible()]).toEqual([true, true])
  surroundings.watch(() => {})()
})

test("ids are random, with and without TLS", () => {
  expect(randomId()).toMatch(/^[0-9a-f-]{36}$/)
  const { getRandomValues } = crypto
  vi.stubGlobal("crypto", { getRandomValues: getRandomValues.bind(crypto) })
  expect(new Set(Array.from({ length: 100 }, randomId)).size).toBe(100)
})

test("a lock is held by one at a time where there are Web Locks, and work goes on where there are none", async () => {
  vi.stubGlobal("navigator", {})
  expect(await browserLock()("name", async () => 1)).toBe(1)
  const held = new Set<string>()
  const request = async (
    name: string,
    { ifAvailable }: LockOptions,
    work: (lock: object | null) => unknown,
  ) => {
    if (ifAvailable && held.has(name)) return work(null)
    held.add(name)
    return work({})
  }
  vi.stubGlobal("navigator", { locks: { request } })
  const withLock = browserLock()
  expect(await withLock("name", async () => 1)).toBe(1)
  expect(await withLock("name", async () => 2, true)).toBeUndefined()
})

test("tabs hear each other, and a missing BroadcastChannel does no harm", async () => {
  const heard: unknown[] = []
  const one = browserChannel("test", () => {})
  const other = browserChannel("test", (message) => heard.push(message))
  one.post({ hello: 1 })
  await vi.waitFor(() => expect(heard).toEqual([{ hello: 1 }]))
  one.close()
  other.close()
  vi.stubGlobal("BroadcastChannel", undefined)
  browserChannel("test", () => {}).post(1)
})
