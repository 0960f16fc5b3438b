// A short run of each case, with strict bounds on what a hostile client may cost and loose bounds on the neighbour's latency, because a
// debug build on a busy machine is slow by itself. `node tests/hostile/run.mjs` measures.
import assert from "node:assert/strict"
import { readdirSync } from "node:fs"
import { describe, test } from "node:test"
import { run } from "./harness.mjs"

const cases = readdirSync(new URL("cases", import.meta.url)).map((file) => file.replace(".mjs", ""))

describe("a hostile client beside an ordinary one", () => {
  for (const name of cases.sort()) {
    test(name, { timeout: 120_000 }, async (t) => {
      const result = await run(name, { seconds: 3, after: 0 })
      const { send, read, rss, failures } = result
      t.diagnostic(
        JSON.stringify({
          send,
          read,
          rss,
          cpu: result.cpu,
          log: result.log,
          attack: result.attack,
          seen: result.seen,
        }),
      )
      assert.deepEqual(failures, [], "the neighbour is never refused")
      assert.ok(rss.most < 64, `${rss.most} MB more`)
      for (const times of [send, read]) assert.ok(times.p50 < 2_500, `p50 ${times.p50} ms`)
      const { check } = await import(`./cases/${name}.mjs`)
      check?.(result, assert)
    })
  }
})
