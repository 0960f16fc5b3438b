// The servers of the browser tests: one node, or with LAMPLIGHT_TARGET=cluster three nodes on Redis and PostgreSQL
// behind nginx, as in tests/e2e.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Cluster } from "../../../tests/e2e/support/cluster.mjs"
import type { Server as Node } from "../../../tests/e2e/support/node.mjs"

const built = ["release", "debug"].map((kind) =>
  fileURLToPath(new URL(`../../../target/${kind}/lamplight`, import.meta.url)),
)
// Read when the modules below are loaded: LAMPLIGHT_BIN, or what the workspace has built.
process.env.LAMPLIGHT_BIN ??= built.find(existsSync) ?? built[1]
const nodes = await import("../../../tests/e2e/support/node.mjs")
const { startCluster } = await import("../../../tests/e2e/support/cluster.mjs")
const { isCluster, oneNodeOnly } = await import("../../../tests/e2e/support/server.mjs")

export { isCluster, oneNodeOnly }

const isBuilt = existsSync(nodes.BINARY)

/** Whether there is a server to test. LAMPLIGHT_URL names a running one. */
export const canRun = Boolean(process.env.LAMPLIGHT_URL) || isBuilt

/** Whether servers can be started here, with settings of their own. */
export const canStart = !process.env.LAMPLIGHT_URL && isBuilt

/** A separate server, whose data is deleted afterwards. */
export class Server {
  url = process.env.LAMPLIGHT_URL ?? ""
  #home = ""
  #node: Node | null = null
  #cluster: Cluster | null = null

  async start(settings: Record<string, string> = {}): Promise<this> {
    if (this.url) return this
    const all = {
      LIMIT_LOGINS: "0",
      LIMIT_SENDS: "0",
      LIMIT_READS: "0",
      LIMIT_CONVERSATIONS: "0",
      ...settings,
    }
    if (isCluster) {
      this.#cluster = await startCluster({ settings: all })
    } else {
      this.#home = await mkdtemp(join(tmpdir(), "lamplight-page-"))
      this.#node = await new nodes.Server(this.#home, all, []).start()
    }
    this.url = this.#started.url
    return this
  }

  get #started(): Node | Cluster {
    const started = this.#cluster ?? this.#node
    if (!started) throw new Error("This server was not started.")
    return started
  }

  /** The nodes behind nginx, or null where there is one node. */
  get cluster(): Cluster | null {
    return this.#cluster
  }

  /** Starts on the same port, with the same data. */
  async again(): Promise<void> {
    await this.#started.start()
  }

  /** Kills the server without a shutdown. */
  async kill(): Promise<void> {
    await this.#started.kill()
  }

  /** Runs a command of the binary with the server's settings. Returns its result. */
  async command(...words: string[]): Promise<number | null> {
    const settings = { DATA_DIR: this.data, ...(this.#cluster?.nodes[0] ?? this.#node)?.settings }
    const child = spawn(nodes.BINARY, words, { env: { ...nodes.SHELL, ...settings }, stdio: "ignore" })
    return new Promise((resolve) => child.once("exit", resolve))
  }

  /** Where the data of one node lies. */
  get data(): string {
    return join(this.#home, "data")
  }

  /** Stops it with SIGTERM. */
  async end(): Promise<void> {
    await this.#started.stop()
  }

  async stop(): Promise<void> {
    await this.#cluster?.dispose()
    if (this.#node?.pid) await this.#node.kill()
    if (this.#home) await rm(this.#home, { recursive: true, force: true })
  }
}
