// Two minutes of `make soak`, on three nodes.
import assert from "node:assert/strict"
import { test } from "node:test"
import { soak } from "./soak.mjs"

test("M1, M3, M4, M5, M7, M9, M10, M15, P1: users who send through faults lose nothing and see correct data", async (t) => {
  const seed = Number(process.env.SEED ?? 9)
  const result = await soak({ nodes: 3, seconds: 60, sends: 3_000, faults: 8, users: 200, seed })
  for (const fault of result.faults) t.diagnostic(fault)
  const { sends, acknowledged, changed, attempts, connects, gaps, late, pushes } = result
  t.diagnostic(JSON.stringify(result.groups))
  t.diagnostic(JSON.stringify({ seed, sends, acknowledged, changed, attempts, connects, gaps, late, pushes }))
  assert.ok(result.ok, `${result.violations}\nSEED=${seed}\n${result.notes.join("\n")}\n${result.log}`)
  assert.ok(acknowledged >= 2_000, `only ${acknowledged} sends`)
  const { added, removed, left, blocks } = result.groups
  assert.ok(added >= 10 && removed + left >= 10 && blocks >= 10, JSON.stringify(result.groups))
  assert.ok(changed >= 200, `only ${changed} edits, deletions and reactions`)
})
