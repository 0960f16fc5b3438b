// Faults, one at a time, by a seed. Each ends by itself: everything works again when it resolves.

const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Runs `end` after this long, whatever happens. */
async function during(ms, begin, end) {
  begin()
  try {
    await pass(ms)
  } finally {
    end()
  }
  return `for ${ms.toFixed(0)} ms`
}

/** @typedef {(random: import("./random.mjs").Random) => Promise<string>} Fault resolves to a description */

/**
 * The faults of a proxy, which `choose` picks.
 * @returns {Record<string, Fault>}
 */
function linkFaults(name, choose) {
  /** Until `heal`. */
  const held = (low, high, begin) => (random) => {
    const { proxy, of } = choose(random)
    const ms = random.between(low, high)
    return during(
      ms,
      () => begin(proxy, random),
      () => proxy.heal(),
    ).then((text) => `${of} ${text}`)
  }
  return {
    [`${name}: cut`]: async (random) => {
      const share = random.pick([0.3, 1])
      const { proxy, of } = choose(random)
      proxy.cut(() => random.chance(share))
      return `${of}, ${share * 100} %`
    },
    [`${name}: stall`]: held(500, 6_000, (proxy) => proxy.stall()),
    [`${name}: delay`]: held(1_000, 5_000, (proxy, random) => proxy.delay(random.pick([20, 100, 400]))),
    [`${name}: half open`]: held(1_000, 8_000, (proxy, random) =>
      proxy.halfOpen(random.pick(["near", "far"]), () => random.chance(0.5)),
    ),
    [`${name}: refuse`]: held(500, 4_000, (proxy) => proxy.refuse()),
  }
}

/** The faults of nodes and of the connections of clients. */
export function nodeFaults({ nodes }) {
  const signal = (node, name) => process.kill(node.server.pid, name)
  return {
    "node: kill -9": async (random) => {
      const node = random.pick(nodes)
      await node.server.kill()
      const ms = random.between(0, 3_000)
      await pass(ms)
      await node.start()
      return `${node.name}, back after ${ms.toFixed(0)} ms`
    },
    "node: SIGTERM": async (random) => {
      const node = random.pick(nodes)
      await node.server.stop()
      await node.start()
      return node.name
    },
    "node: SIGSTOP": async (random) => {
      const node = random.pick(nodes)
      // Now and then longer than a lease.
      const ms = random.chance(0.15) ? 17_000 : random.between(500, 6_000)
      const text = await during(
        ms,
        () => signal(node, "SIGSTOP"),
        () => signal(node, "SIGCONT"),
      )
      return `${node.name} ${text}`
    },
    ...linkFaults("clients", (random) => {
      const node = random.pick(nodes)
      return { proxy: node.clients, of: node.name }
    }),
  }
}

/** The faults of what nodes share, and of their connections to it. */
export function clusterFaults({ nodes, redis, postgres }) {
  const away = async (random, stop, server) => {
    await stop()
    const ms = random.between(0, 4_000)
    await pass(ms)
    await server.start()
    return `back after ${ms.toFixed(0)} ms`
  }
  const stopped = (random, server) =>
    during(
      random.between(500, 7_000),
      () => server.signal("SIGSTOP"),
      () => server.signal("SIGCONT"),
    )
  const link = (name) => (random) => {
    const node = random.pick(nodes)
    return { proxy: node[name], of: node.name }
  }
  return {
    "Redis: restart": (random) => away(random, () => redis.kill(), redis),
    "Redis: FLUSHALL": async () => (await redis.command("FLUSHALL")).trim(),
    "Redis: SIGSTOP": (random) => stopped(random, redis),
    "PostgreSQL: crash": (random) => away(random, () => postgres.crash(), postgres),
    "PostgreSQL: restart": (random) => away(random, () => postgres.shutdown(), postgres),
    // PostgreSQL's own processes go on; new connections wait.
    "PostgreSQL: SIGSTOP": (random) => stopped(random, postgres),
    ...linkFaults("link to Redis", link("redis")),
    ...linkFaults("link to PostgreSQL", link("postgres")),
    "partition of a node": async (random) => {
      const node = random.pick(nodes)
      const proxies = [node.redis, node.postgres]
      const ms = random.chance(0.2) ? 17_000 : random.between(1_000, 8_000)
      const text = await during(
        ms,
        () => proxies.map((proxy) => proxy.stall()),
        () => proxies.map((proxy) => proxy.heal()),
      )
      return `${node.name} ${text}`
    },
  }
}

/** These come first, so that a short run has them. */
const FIRST = new Set([
  "node: kill -9",
  "node: SIGSTOP",
  "clients: half open",
  "Redis: restart",
  "Redis: FLUSHALL",
  "PostgreSQL: crash",
  "link to Redis: stall",
  "link to PostgreSQL: cut",
])

export class Faults {
  /** @type {Record<string, Fault>} */
  #kinds
  #random
  #deck = []
  /** `{ at, name, what }` for each. */
  done = []

  /** @param {Record<string, Fault>} kinds @param {import("./random.mjs").Random} random @param {RegExp} only */
  constructor(kinds, random, only) {
    this.#kinds = Object.fromEntries(Object.entries(kinds).filter(([name]) => only.test(name)))
    this.#random = random
    const names = random.shuffle(Object.keys(this.#kinds))
    this.#deck = [...names.filter((name) => !FIRST.has(name)), ...names.filter((name) => FIRST.has(name))]
  }

  /** The next fault. Each kind comes once before any comes again. */
  async next(at) {
    if (this.#deck.length === 0) this.#deck = this.#random.shuffle(Object.keys(this.#kinds))
    const name = this.#deck.pop()
    const fault = { at, name, what: "under way" }
    this.done.push(fault)
    fault.what = await this.#kinds[name](this.#random)
  }
}
