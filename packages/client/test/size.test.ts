import { expect, test } from "vitest"
// @ts-expect-error a script without types
import { measureClient, measureReact } from "../size.mjs"

test("the client with its Socket.IO transport is at most 26 KiB gzipped", async () => {
  expect((await measureClient()).atOnce / 1024).toBeLessThanOrEqual(26)
})

test("the hooks are at most 4 KiB gzipped", async () => {
  expect((await measureReact()).atOnce / 1024).toBeLessThanOrEqual(4)
})
