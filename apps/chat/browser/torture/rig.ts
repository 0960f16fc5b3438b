// A server that a test kills, and for each user a separate network that it cuts.
import type { BrowserContext } from "playwright-core"
import { TcpProxy } from "../../../../tests/e2e/support/proxy.mjs"
import { pass } from "../../../../tests/e2e/support/wait.mjs"
import type { Server } from "../server"
import type { Fault, Plan } from "./plan"

/** The times of faults, in milliseconds of `performance.now()`, for one user or for both. */
interface Window {
  from: number
  to: number
  whose: readonly number[]
}

/** The effect of a fault on a page may be this late: a time limit, or the longest delay of a reconnect. */
const ECHO_MS = 25_000

export class Rig {
  readonly proxies: TcpProxy[] = []
  readonly windows: Window[] = []
  #contexts: BrowserContext[] = []
  #begun = new Set<Fault>()
  #waiting: (() => void)[] = []
  /** How many actions each person has begun. */
  #actions = [0, 0]

  constructor(
    readonly server: Server,
    readonly plan: Plan,
    readonly log: (line: string) => void,
  ) {}

  /** Where a person's page reaches the server. */
  async front(): Promise<{ url: string }> {
    const proxy = await new TcpProxy({ port: Number(new URL(this.server.url).port) }).listen()
    this.proxies.push(proxy)
    return { url: proxy.url }
  }

  /**
   * A person's next action begins. Waits until the faults that the plan has before it have begun. Faults are in the order of how far
   * a person is with theirs, so that no two people wait for each other.
   */
  async next(who: number): Promise<void> {
    this.#actions[who] = (this.#actions[who] ?? 0) + 1
    this.#wake()
    const due = this.plan.faults.filter((fault) => fault.who === who && this.#isDue(fault))
    while (!due.every((fault) => this.#begun.has(fault))) await this.#change()
  }

  #isDue({ who, at }: Fault): boolean {
    return (this.#actions[who] ?? 0) > at
  }

  /** Runs all faults of the plan: cuts one after the other, and kills one after the other. */
  async run(contexts: BrowserContext[]): Promise<void> {
    this.#contexts = contexts
    const track = async (faults: readonly Fault[]) => {
      for (const fault of faults) {
        while (!this.#isDue(fault)) await this.#change()
        await this.#make(fault)
      }
    }
    const { faults } = this.plan
    await Promise.all([
      track(faults.filter((fault) => fault.do === "cut")),
      track(faults.filter((fault) => fault.do === "kill")),
    ])
  }

  /** Whether something was broken for this person at a time, or shortly before it. */
  wasBroken(who: number, at: number): boolean {
    return this.windows.some(({ from, to, whose }) => whose.includes(who) && from <= at && at <= to + ECHO_MS)
  }

  /** Runs an action while a user has no connection. */
  async without(who: number, work: () => Promise<void>): Promise<void> {
    const window: Window = { from: performance.now(), to: Number.POSITIVE_INFINITY, whose: [who] }
    this.windows.push(window)
    const proxy = this.proxies[who] as TcpProxy
    proxy.refuse()
    await work()
    proxy.heal()
    window.to = performance.now()
  }

  async stop(): Promise<void> {
    for (const proxy of this.proxies) await proxy.close()
  }

  async #make(fault: Fault): Promise<void> {
    const whose = fault.do === "cut" ? fault.whose : [0, 1]
    const window: Window = { from: performance.now(), to: Number.POSITIVE_INFINITY, whose }
    this.windows.push(window)
    this.log(`begins: ${JSON.stringify(fault)}`)
    this.#begun.add(fault)
    this.#wake()
    await (fault.do === "cut" ? this.#cut(fault) : this.#kill(fault))
    window.to = performance.now()
    this.log(`ends: ${JSON.stringify(fault)}`)
  }

  async #cut({ kind, whose, ms }: Fault & { do: "cut" }): Promise<void> {
    const proxies = whose.map((who) => this.proxies[who] as TcpProxy)
    const contexts = whose.map((who) => this.#contexts[who] as BrowserContext)
    for (const proxy of proxies) {
      if (kind === "reset") proxy.cut()
      else if (kind === "refuse") proxy.refuse()
      else if (kind === "deaf") proxy.deaf()
      else if (kind !== "offline") proxy.stall()
    }
    if (kind === "reset") return
    if (kind === "offline") for (const context of contexts) await context.setOffline(true)
    await pass(ms)
    if (kind === "offline") for (const context of contexts) await context.setOffline(false)
    if (kind === "lose") for (const proxy of proxies) proxy.cut()
    for (const proxy of proxies) proxy.heal()
  }

  /** One node where there are several. */
  async #kill({ node, ms }: Fault & { do: "kill" }): Promise<void> {
    const one = this.server.cluster?.nodes[node]
    await (one ?? this.server).kill()
    await pass(ms)
    if (one) await one.start()
    else await this.server.again()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
