/** Lazily loaded chunks of the client: failures to load. */
import { afterEach, expect, test, vi } from "vitest"
import type { SharedFile } from "../src/wire.js"
import { makeTab, makeWorld } from "./support/harness.js"

afterEach(() => {
  vi.doUnmock("../src/uploads/part.js")
  vi.resetModules()
})

test("a signed URL is available once its chunk has loaded, and is no longer renewed without subscribers", async () => {
  const world = makeWorld()
  const sign = vi.fn((_id: string, path: string, set: (address: string) => void) => {
    set(`${path}?signature=1`)
    return ended
  })
  const ended = vi.fn()
  let isDown = true
  let asked = 0
  vi.doMock("../src/uploads/part.js", () => {
    asked++
    if (isDown) throw new Error("There is no network.")
    return { createPart: () => ({ sign }) }
  })
  const { client } = makeTab(world)
  client.retain()
  await world.clock.advance(100)
  const url = client.fileUrl({ id: "1", url: "/api/files/1" } as SharedFile)
  const other = client.fileUrl({ id: "2", url: "/api/files/2" } as SharedFile)
  const unwatch = url.subscribe(() => {})
  other.subscribe(() => {})()
  await expect.poll(() => asked).toBe(1)
  expect(url.get()).toBeNull()
  isDown = false
  await world.clock.advance(3_100)
  await expect.poll(() => url.get()).toBe("/api/files/1?signature=1")
  expect(sign).toHaveBeenCalledTimes(1)
  unwatch()
  expect(ended).toHaveBeenCalledTimes(1)
  client.close()
})
