// One process of the real binary, with its own data directory.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const ROOT = fileURLToPath(new URL("../../../", import.meta.url))

/** The binary under test. */
export const BINARY = process.env.LAMPLIGHT_BIN ?? join(ROOT, "target/debug/lamplight")

/** The environment without the settings of the shell. */
export const SHELL = Object.fromEntries(
  ["PATH", "HOME", "TMPDIR", "LANG"]
    .filter((name) => process.env[name])
    .map((name) => [name, process.env[name]]),
)

/** On Linux the kernel kills the server when the process of its test ends, however it ends. */
const GUARD = process.platform === "linux" ? ["setpriv", "--pdeathsig", "KILL", "--"] : []

/** A server that does not stop in this many milliseconds is killed; a test sees it by the signal. */
const STOPS_WITHIN = 30_000

/** Elsewhere, every server that a test left running is stopped at its exit. */
export const running = new Set()
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

export class Server {
  /** @type {import("node:child_process").ChildProcess | null} */
  #child = null
  #settings
  #port = 0
  /** The log of all starts. */
  log = ""

  /** @param {string} home @param {Record<string, string>} settings @param {string[]} wrapper */
  constructor(home, settings, wrapper) {
    this.home = home
    this.wrapper = wrapper
    this.#settings = settings
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`
  }

  get port() {
    return this.#port
  }

  get pid() {
    return this.#child?.pid
  }

  get settings() {
    return this.#settings
  }

  /** Starts it, on its previous port if it had one. Resolves when it reports that it is ready. */
  async start(settings = this.#settings) {
    this.#settings = settings
    if (!existsSync(BINARY)) throw new Error(`There is no ${BINARY}: build it, or set LAMPLIGHT_BIN.`)
    const [program, ...before] = [...GUARD, ...this.wrapper, BINARY]
    const host = settings.LISTEN ?? "127.0.0.1"
    await mkdir(this.home, { recursive: true })
    const child = spawn(program, [...before, "serve"], {
      cwd: this.home,
      env: { ...SHELL, DATA_DIR: join(this.home, "data"), ...settings, LISTEN: `${host}:${this.#port}` },
      stdio: ["ignore", "pipe", "pipe"],
    })
    this.#child = child
    running.add(child)
    child.stderr.setEncoding("utf8")
    child.stderr.on("data", (text) => {
      this.log += text
    })
    this.exited = new Promise((resolve) =>
      child.on("exit", (code, signal) => {
        running.delete(child)
        resolve({ code, signal })
      }),
    )
    const ready = new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        const port = /https?:\/\/[^/]*:(\d+)/.exec(line)?.[1]
        if (port) resolve(Number(port))
      })
      this.exited.then(({ code, signal }) => {
        // All its output has been read by then.
        setImmediate(() => reject(new Error(`It did not start (${code ?? signal}): ${this.log}`)))
      })
      setTimeout(() => reject(new Error(`It was not ready in time: ${this.log}`)), 60_000).unref()
    })
    this.#port = await ready
    return this
  }

  /** Stops it with SIGTERM, and returns how it ended: with `SIGKILL` if it does not obey in time. */
  async stop(signal = "SIGTERM") {
    const child = this.#child
    child?.kill(signal)
    const late = setTimeout(() => child?.kill("SIGKILL"), STOPS_WITHIN)
    const end = await this.exited
    clearTimeout(late)
    this.#child = null
    return end
  }

  /** Sends a signal, such as `SIGSTOP`. */
  signal(name) {
    this.#child?.kill(name)
  }

  /** `kill -9`. */
  kill() {
    return this.stop("SIGKILL")
  }

  /** Resident memory in bytes. */
  async memory() {
    const { readFile } = await import("node:fs/promises")
    const status = await readFile(`/proc/${this.pid}/status`, "utf8")
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
  }
}
