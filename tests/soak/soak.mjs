// Users send, read, connect and disconnect while faults happen; then all invariants must hold. The same seed gives the
// same users, acts and faults, as far as the machine's timing allows.
//
//   node tests/soak/soak.mjs --nodes 3 --minutes 30 --sends 100000 --faults 100 --users 200 --seed 1
//
// --only 'Redis|kill' restricts the faults. One node is a node on SQLite; more share a Redis and a PostgreSQL.
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { many, single } from "./cluster.mjs"
import { Faults } from "./faults.mjs"
import { Groups } from "./groups.mjs"
import { Random } from "./random.mjs"
import { World } from "./world.mjs"

/**
 * One run. `ok` is false if an invariant is violated.
 * @param {object} options
 * @param {number} options.nodes
 * @param {number} options.seconds
 * @param {number} options.sends
 * @param {number} options.faults
 * @param {number} options.users
 * @param {number} options.seed
 * @param {string} [options.only] a pattern for the names of faults
 */
export async function soak({ nodes, seconds, sends, faults: count, users, seed, only = "" }) {
  const random = new Random(seed)
  const cluster = nodes === 1 ? await single() : await many(nodes)
  const world = new World(cluster, random.fork())
  const faults = new Faults(cluster.faults, random.fork(), new RegExp(only))
  const groups = new Groups(world, random.fork())
  try {
    await world.populate(users)
    await groups.populate(Math.ceil(users / 40))
    const acting = groups.run()
    await world.run(seconds * 1_000, sends, faults, (seconds * 1_000) / (count + 1))
    await acting
    await groups.judge()
    // They are not among those who are to be shown as online.
    groups.stop()
    const logs = await world.judge()
    const entries = [...logs.values()].reduce((sum, log) => sum + log.length, 0)
    const ok = world.violations.count === 0
    return {
      ok,
      seed,
      sends: world.sends.length,
      entries,
      ...world.counts,
      groups: groups.counts,
      faults: faults.done.map(({ at, name, what }) => `${(at / 1000).toFixed(1)} s: ${name}, ${what}`),
      violations: String(world.violations),
      notes: ok ? [] : world.notes,
      log: ok
        ? ""
        : cluster.nodes.map((node) => `${node.name}:\n${node.server.log.slice(-4_000)}`).join("\n"),
    }
  } finally {
    world.stop()
    groups.stop()
    await cluster.stop()
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const text = (value) => ({ type: "string", default: value })
  const { values } = parseArgs({
    options: {
      nodes: text("3"),
      minutes: text("30"),
      sends: text("100000"),
      faults: text("100"),
      users: text("200"),
      seed: text(String(Date.now() % 1_000_000)),
      only: text(""),
    },
  })
  const { only, ...numbers } = values
  const options = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Number(value)]))
  const result = await soak({ ...options, only, seconds: options.minutes * 60 })
  console.log(JSON.stringify(result, null, 2))
  process.exit(result.ok ? 0 : 1)
}
