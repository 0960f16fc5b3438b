// Random numbers by a seed, so that a run can be repeated.

export class Random {
  #state

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed >>> 0
  }

  /** At least 0, less than 1 (mulberry32). */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  /** @param {number} low @param {number} high exclusive */
  between(low, high) {
    return low + this.next() * (high - low)
  }

  /** A whole number of at least `low` and less than `high`. */
  whole(low, high) {
    return Math.floor(this.between(low, high))
  }

  chance(share) {
    return this.next() < share
  }

  /** @template T @param {T[]} items @returns {T} */
  pick(items) {
    return items[this.whole(0, items.length)]
  }

  /** @template T @param {T[]} items @returns {T[]} */
  shuffle(items) {
    const all = [...items]
    for (let n = all.length - 1; n > 0; n--) {
      const other = this.whole(0, n + 1)
      ;[all[n], all[other]] = [all[other], all[n]]
    }
    return all
  }

  /** A generator of its own, so that one part's use of it does not change another's. */
  fork() {
    return new Random(this.whole(0, 2 ** 32))
  }
}
