import type { Clock } from "../../src/options.js"

/** Lets everything that can run without time passing run. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 6; round++) await new Promise((resolve) => setImmediate(resolve))
}

/** A clock that advances only on request. */
export class TestClock implements Clock {
  #now = Date.parse("2026-03-01T12:00:00.000Z")
  #timers = new Set<{ at: number; run: () => void }>()

  now = () => this.#now

  after = (ms: number, run: () => void) => {
    const timer = { at: this.#now + ms, run }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size
  }

  /** Moves on, timer by timer, letting everything run in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      const next = [...this.#timers].sort((one, other) => one.at - other.at)[0]
      if (!next || next.at > end) break
      this.#now = Math.max(this.#now, next.at)
      this.#timers.delete(next)
      next.run()
      await settle()
    }
    this.#now = end
    await settle()
  }
}
