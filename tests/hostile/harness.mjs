// A hostile client beside a neighbour: the real binary on core 0, the attack in its own process on core 1 and from its own address, and a
// neighbour who sends and reads meanwhile. Measures the neighbour's latency and the server's cost.
import { fork } from "node:child_process"
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { Agent, request } from "node:http"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { Peer } from "./peer.mjs"

const ROOT = fileURLToPath(new URL("../../", import.meta.url))
const built = [`${ROOT}target/release/lamplight`, `${ROOT}target/debug/lamplight`]
process.env.LAMPLIGHT_BIN ??= built.find(existsSync) ?? built[1]
const { JWT_SECRET, serve } = await import("../e2e/support/server.mjs")
const { token } = await import("../e2e/support/jwt.mjs")

export { token }

/** The attacker's address, in its own network; all of 127.0.0.0/8 is this machine. */
export const ATTACKER = "127.0.66.1"
/** The neighbour's. */
export const NEIGHBOUR = "127.0.77.1"
/** The limit of connections of an address. */
export const CONNECTIONS = 200

/** The default limits: the other tests turn them off. */
export const DEFAULTS = { AUTH: "jwt", JWT_SECRET, SERVER_KEY: "the-key-of-the-host-application-in-tests" }

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** @returns {Promise<{ status: number, body: any, bytes: number }>} */
export function ask(url, path, { as, method = "GET", body, headers = {}, address = NEIGHBOUR, agent } = {}) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const sent = request(
      new URL(path, url),
      {
        method,
        agent,
        localAddress: address,
        headers: {
          ...(as ? { authorization: `Bearer ${as}` } : {}),
          ...(text ? { "content-type": "application/json", "content-length": Buffer.byteLength(text) } : {}),
          ...headers,
        },
      },
      (answer) => {
        const parts = []
        answer.on("data", (part) => parts.push(part))
        answer.on("error", reject)
        answer.on("end", () => {
          const whole = Buffer.concat(parts)
          let read = null
          try {
            read = JSON.parse(whole)
          } catch {}
          resolve({ status: answer.statusCode, body: read, bytes: whole.length, headers: answer.headers })
        })
      },
    )
    sent.on("error", reject)
    sent.end(text)
  })
}

const sorted = (times) => [...times].sort((a, b) => a - b)
const at = (times, share) =>
  times.length ? sorted(times)[Math.min(times.length - 1, Math.floor(times.length * share))] : 0

async function usage(pid) {
  const stat = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1].split(" ")
  const status = await readFile(`/proc/${pid}/status`, "utf8")
  return {
    cpu: (Number(stat[11]) + Number(stat[12])) / 100,
    rss: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024,
  }
}

/** Binds a process to a core, if there are two and the system allows it. */
const pinned = (core) =>
  availableParallelism() > 1 && existsSync("/usr/bin/taskset") ? ["taskset", "-c", `${core}`] : []

/** Sends and reads alternately until stopped, and records the durations. */
class Neighbour {
  sends = []
  reads = []
  failures = []

  constructor(server, id) {
    Object.assign(this, { server, id })
    this.token = token("neighbour")
    this.agent = new Agent({ keepAlive: true, localAddress: NEIGHBOUR })
  }

  async begin() {
    this.peer = await Peer.open(this.server.url, { token: this.token, address: NEIGHBOUR })
    await this.peer.ask("join_user", { userId: "neighbour", roster: "diff" })
    this.running = this.#run()
  }

  async #run() {
    while (!this.isOver) {
      let began = performance.now()
      const sent = await this.peer.ask("send_private_message", { conversationId: this.id, content: "hello" })
      this.sends.push(performance.now() - began)
      if (!sent?.success) this.failures.push(sent)
      await wait(60)
      began = performance.now()
      const path = `/api/privatechat/messages/${this.id}?limit=20`
      const read = await ask(this.server.url, path, { as: this.token, agent: this.agent })
      this.reads.push(performance.now() - began)
      if (read.status !== 200) this.failures.push(read)
      await wait(20)
    }
  }

  async end() {
    this.isOver = true
    await Promise.race([this.running, wait(10_000)])
    this.peer.close()
    this.agent.destroy()
  }
}

/**
 * Runs a case and returns its measurements.
 * @param {string} name the file in `cases/`
 * @param {{ seconds?: number, after?: number }} [how] the duration of the attack, and the time after it until memory is measured again
 */
export async function run(name, { seconds = 10, after = 10_000 } = {}) {
  const it = await import(`./cases/${name}.mjs`)
  const ends = []
  const t = { after: (end) => ends.push(end) }
  const server = await serve(t, { ...DEFAULTS, ...it.settings }, pinned(0))
  try {
    const opened = await ask(server.url, "/api/privatechat/conversations", {
      as: it.settings?.AUTH === "local" ? undefined : token("neighbour"),
      method: "POST",
      body: { userId: "friend" },
    })
    const neighbour =
      it.settings?.AUTH === "local" ? null : new Neighbour(server, opened.body.conversation.id)
    const given = (await it.prepare?.({ server, ask, token, wait })) ?? {}
    await neighbour?.begin()
    await wait(300)
    const watched = await it.watch?.({ server, given, ask, token, wait, Peer })
    const before = await usage(server.pid)
    const idle = { sends: neighbour?.sends.length ?? 0, log: server.log.length }
    let most = before.rss
    const sampler = setInterval(async () => {
      most = Math.max(most, (await usage(server.pid).catch(() => before)).rss)
    }, 50)
    const began = performance.now()
    const attack = await attacker(name, { url: server.url, seconds, given })
    const took = (performance.now() - began) / 1_000
    const during = await usage(server.pid)
    clearInterval(sampler)
    const seen = await watched?.end?.()
    await neighbour?.end()
    await wait(after)
    const later = await usage(server.pid)
    const sends = neighbour?.sends.slice(idle.sends) ?? []
    const reads = neighbour?.reads.slice(idle.sends) ?? []
    const mb = (bytes) => Math.round(bytes / 1e5) / 10
    return {
      name,
      send: { p50: at(sends, 0.5), p99: at(sends, 0.99), count: sends.length },
      read: { p50: at(reads, 0.5), p99: at(reads, 0.99), count: reads.length },
      failures: neighbour?.failures ?? [],
      rss: { before: mb(before.rss), most: mb(most - before.rss), after: mb(later.rss - before.rss) },
      worst: Math.max(0, ...sends, ...reads),
      cpu: Math.round(((during.cpu - before.cpu) / took) * 100),
      log: server.log.length - idle.log,
      attack,
      seen,
      server,
    }
  } finally {
    for (const end of ends) await end()
  }
}

/** Runs the attack in its own process and returns its report. */
async function attacker(name, options) {
  const [program, ...before] = [...pinned(1), process.execPath]
  const file = fileURLToPath(new URL("attacker.mjs", import.meta.url))
  const child = fork(file, [name, JSON.stringify(options)], {
    execPath: program,
    execArgv: before,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  })
  const end = setTimeout(() => child.kill("SIGKILL"), (options.seconds + 30) * 1_000)
  const outcome = await new Promise((resolve) => {
    child.on("message", resolve)
    child.on("exit", () => resolve(null))
  })
  clearTimeout(end)
  child.kill("SIGKILL")
  return outcome
}
