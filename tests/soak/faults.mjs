// Faults, one at a time, by a seed. Each ends by itself: what it broke works again when it resolves.

const pass = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Runs `work` between two steps, the second in any case. */
async function during(begin, end, ms) {
  begin()
  try {
    await pass(ms)
  } finally {
    end()
  }
}

/**
 * The kinds of faults of a cluster.
 * @returns {Record<string, (random: import("./random.mjs").Random) => Promise<string>>} each answers with what it did
 */
function kinds(cluster) {
  const { nodes } = cluster
  const proxied = (name, proxy) => ({
    [`${name}: cut`]: async (random) => {
      const share = random.pick([0.3, 1])
      proxy(random).cut(() => random.chance(share))
      return `${share * 100} %`
    },
    [`${name}: stall`]: async (random) => {
      const ms = random.between(500, 6_000)
      const chosen = proxy(random)
      await during(
        () => chosen.stall(),
        () => chosen.heal(),
        ms,
      )
      return `${ms.toFixed(0)} ms`
    },
    [`${name}: delay`]: async (random) => {
      const [late, ms] = [random.pick([20, 100, 400]), random.between(1_000, 5_000)]
      const chosen = proxy(random)
      await during(
        () => chosen.delay(late),
        () => chosen.heal(),
        ms,
      )
      return `${late} ms for ${ms.toFixed(0)} ms`
    },
    [`${name}: half open`]: async (random) => {
      const [side, ms] = [random.pick(["near", "far"]), random.between(1_000, 8_000)]
      const chosen = proxy(random)
      await during(
        () => chosen.halfOpen(side, () => random.chance(0.5)),
        () => chosen.heal(),
        ms,
      )
      return `${side} for ${ms.toFixed(0)} ms`
    },
    [`${name}: refuse`]: async (random) => {
      const ms = random.between(500, 4_000)
      const chosen = proxy(random)
      await during(
        () => chosen.refuse(),
        () => chosen.heal(),
        ms,
      )
      return `${ms.toFixed(0)} ms`
    },
  })
  const all = {
    "node: kill -9": async (random) => {
      const node = random.pick(nodes)
      await node.server.kill()
      const ms = random.between(0, 3_000)
      await pass(ms)
      await node.start()
      return `${node.name}, back after ${ms.toFixed(0)} ms`
    },
    "node: SIGSTOP": async (random) => {
      const node = random.pick(nodes)
      // Now and then longer than a lease.
      const ms = random.chance(0.15) ? 17_000 : random.between(500, 6_000)
      await during(
        () => process.kill(node.server.pid, "SIGSTOP"),
        () => process.kill(node.server.pid, "SIGCONT"),
        ms,
      )
      return `${node.name} for ${ms.toFixed(0)} ms`
    },
    ...proxied("clients", (random) => random.pick(nodes).clients),
    ...(cluster.faults?.({ pass, during, proxied }) ?? {}),
  }
  return all
}

export class Faults {
  #cluster
  #random
  #deck = []
  /** `{ at, name, what }` for each. */
  done = []

  constructor(cluster, random) {
    this.#cluster = cluster
    this.#random = random
  }

  /** The next fault. Each kind comes once before any comes again. */
  async next(at) {
    const all = kinds(this.#cluster)
    if (this.#deck.length === 0) this.#deck = this.#random.shuffle(Object.keys(all))
    const name = this.#deck.pop()
    const fault = { at, name, what: "under way" }
    this.done.push(fault)
    fault.what = await all[name](this.#random)
  }
}
