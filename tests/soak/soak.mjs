// Users send, read, come and go while faults happen; then everything must be as it should be. The same seed gives the
// same users, acts and faults, as far as the machine's timing allows.
//
//   node tests/soak/soak.mjs --minutes 30 --sends 100000 --faults 100 --users 200 --seed 1
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { single } from "./cluster.mjs"
import { Faults } from "./faults.mjs"
import { Random } from "./random.mjs"
import { World } from "./world.mjs"

/**
 * One run. `ok` is false if something that must hold does not.
 * @param {{ seconds: number, sends: number, faults: number, users: number, seed: number }} options
 */
export async function soak({ seconds, sends, faults: count, users, seed }) {
  const random = new Random(seed)
  const cluster = await single()
  const world = new World(cluster, random.fork())
  const faults = new Faults(cluster, random.fork())
  try {
    await world.populate(users)
    await world.run(seconds * 1_000, sends, faults, (seconds * 1_000) / (count + 1))
    const logs = await world.judge()
    const entries = [...logs.values()].reduce((sum, log) => sum + log.length, 0)
    const ok = world.violations.count === 0
    return {
      ok,
      seed,
      sends: world.sends.length,
      entries,
      ...world.counts,
      faults: faults.done.map(({ at, name, what }) => `${(at / 1000).toFixed(1)} s: ${name}, ${what}`),
      violations: String(world.violations),
      notes: ok ? [] : world.notes,
      log: ok
        ? ""
        : cluster.nodes.map((node) => `${node.name}:\n${node.server.log.slice(-4_000)}`).join("\n"),
    }
  } finally {
    world.stop()
    await cluster.stop()
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const text = (value) => ({ type: "string", default: value })
  const { values } = parseArgs({
    options: {
      minutes: text("30"),
      sends: text("100000"),
      faults: text("100"),
      users: text("200"),
      seed: text(String(Date.now() % 1_000_000)),
    },
  })
  const options = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]))
  const result = await soak({ ...options, seconds: options.minutes * 60 })
  console.log(JSON.stringify(result, null, 2))
  process.exit(result.ok ? 0 : 1)
}
