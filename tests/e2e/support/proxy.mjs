// A TCP proxy on loopback that a test cuts, stalls, delays or leaves half open, as networks do.
import { connect, createServer } from "node:net"

/** One connection through the proxy: the client's socket, and the socket to the target. */
class Link {
  /** @param {import("node:net").Socket} near @param {import("node:net").Socket | null} far */
  constructor(near, far) {
    this.near = near
    this.far = far
    /** One side is gone, and the other side is not notified. */
    this.isHalfOpen = false
    /** The target's data is lost. */
    this.isDeaf = false
    this.#forward(near, far)
    this.#forward(far, near)
  }

  delayMs = 0
  #lastDelay = 0
  isStalled = false

  #forward(from, to) {
    // Delayed chunks, in their order: no chunk overtakes an earlier one.
    let delayed = 0
    const later = (work) => {
      if (this.delayMs === 0 && delayed === 0) return work()
      delayed++
      // Timers of equal length fire in their order; after `heal` the length must not shrink.
      this.#lastDelay = Math.max(this.delayMs, delayed > 1 ? this.#lastDelay : 0)
      setTimeout(() => {
        delayed--
        work()
      }, this.#lastDelay)
    }
    const isLost = () => to.destroyed || this.isHalfOpen || (this.isDeaf && to === this.near)
    from.on("data", (chunk) => later(() => isLost() || this.#write(from, to, chunk)))
    from.on("close", () => later(() => this.isHalfOpen || to.end(() => to.destroy())))
    from.on("error", () => {})
  }

  /** Continues to read when the other side has accepted the data. */
  #write(from, to, chunk) {
    if (to.write(chunk)) return
    from.pause()
    to.once("drain", () => this.isStalled || this.isHalfOpen || from.resume())
  }

  stall() {
    this.isStalled = true
    this.near.pause()
    this.far.pause()
  }

  resume() {
    this.isStalled = false
    this.near.resume()
    this.far.resume()
  }

  /** Resets both sides. */
  cut() {
    for (const socket of [this.near, this.far]) {
      // Node cannot reset a socket that is being shut down, and would leak it.
      const isOpen = !socket.connecting && !socket.readableEnded && !socket.writableEnded
      if (isOpen) socket.resetAndDestroy()
      else socket.destroy()
    }
  }

  /** One side closes, and the other receives nothing any more: neither data nor an end. */
  halfOpen(side) {
    this.isHalfOpen = true
    const [gone, stays] = side === "near" ? [this.near, this.far] : [this.far, this.near]
    gone.destroy()
    stays.pause()
  }
}

export class TcpProxy {
  #links = new Set()
  /** Connections that were accepted during a stall, and are not connected to the target yet. */
  #waiting = new Set()
  #server
  #target
  #isStalled = false
  #isRefusing = false
  #isDeaf = false
  #delayMs = 0

  /** @param {{ port: number, host?: string } | { path: string }} target */
  constructor(target) {
    this.#target = target
    this.#server = createServer((near) => this.#accept(near))
  }

  async listen() {
    this.#server.listen(0, "127.0.0.1")
    await new Promise((resolve, reject) => this.#server.once("listening", resolve).once("error", reject))
    return this
  }

  get port() {
    return this.#server.address().port
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  /** The number of open connections. */
  get size() {
    return this.#links.size
  }

  #accept(near) {
    near.setNoDelay(true)
    near.on("error", () => {})
    if (this.#isRefusing) return near.resetAndDestroy()
    if (this.#isStalled) {
      near.pause()
      this.#waiting.add(near)
      near.on("close", () => this.#waiting.delete(near))
      return
    }
    const far = connect(this.#target)
    far.setNoDelay(true)
    const link = new Link(near, far)
    link.delayMs = this.#delayMs
    link.isDeaf = this.#isDeaf
    this.#links.add(link)
    const over = () => near.destroyed && far.destroyed && this.#links.delete(link)
    near.on("close", over)
    far.on("close", over)
    // One that waited was paused.
    near.resume()
  }

  /** Links for which `chosen` is true; all without it. */
  #those(chosen = () => true) {
    return [...this.#links].filter((link) => !link.isHalfOpen && chosen(link))
  }

  /** Resets connections; new ones are accepted. */
  cut(chosen) {
    for (const link of this.#those(chosen)) link.cut()
  }

  /** Resets connections, and each new one, until `heal`. */
  refuse() {
    this.#isRefusing = true
    this.cut()
  }

  /** No byte passes in either direction until `heal`; nothing is closed, and new connections hang. */
  stall() {
    this.#isStalled = true
    for (const link of this.#those()) link.stall()
  }

  /** Data from the target is lost, and data to it arrives, until `heal`, which resets these connections. */
  deaf() {
    this.#isDeaf = true
    for (const link of this.#those()) link.isDeaf = true
  }

  /** Bytes pass this much later, until `heal`. */
  delay(ms) {
    this.#delayMs = ms
    for (const link of this.#those()) link.delayMs = ms
  }

  /**
   * Leaves connections half open until `heal`, which resets them.
   * @param {"near" | "far"} side the side that closes: the client, or the target
   */
  halfOpen(side, chosen) {
    for (const link of this.#those(chosen)) link.halfOpen(side)
  }

  /** Ends the faults of the methods above. */
  heal() {
    this.#isStalled = false
    this.#isRefusing = false
    this.#isDeaf = false
    this.#delayMs = 0
    for (const near of this.#waiting) {
      this.#waiting.delete(near)
      // Forwarding resumes it.
      this.#accept(near)
    }
    for (const link of this.#links) {
      if (link.isHalfOpen || link.isDeaf) link.cut()
      link.delayMs = 0
      if (link.isStalled) link.resume()
    }
  }

  async close() {
    this.refuse()
    for (const near of this.#waiting) near.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
