import { expect, test } from "vitest"
// @ts-expect-error a script without types
import { measureClient, measureReact } from "../size.mjs"

// 26 KiB until messages could be edited: folding entries, what is known of which part of a log, and unsent changes are needed as
// soon as the first thread is shown, so that they cannot load later.
test("the client with its Socket.IO transport is at most 32 KiB gzipped", async () => {
  expect((await measureClient()).atOnce / 1024).toBeLessThanOrEqual(32)
})

test("the hooks are at most 4 KiB gzipped", async () => {
  expect((await measureReact()).atOnce / 1024).toBeLessThanOrEqual(4)
})
