// What is tested: nodes, each behind a proxy of ours, and later their servers.
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TcpProxy } from "../e2e/support/proxy.mjs"
import { OPEN, SERVER_KEY, Server } from "../e2e/support/server.mjs"

const SETTINGS = { ...OPEN, SERVER_KEY, PRESENCE_GRACE: "5s", LOG: "warn" }

/** One node, and the proxy between it and the clients. */
class Node {
  /** @param {string} name @param {Server} server */
  constructor(name, server) {
    this.name = name
    this.server = server
  }

  async start() {
    await this.server.start()
    this.clients ??= await new TcpProxy({ port: this.server.port }).listen()
    return this
  }

  /** Where clients reach it. */
  get url() {
    return this.clients.url
  }
}

/** One node on SQLite. */
export async function single() {
  const home = await mkdtemp(join(tmpdir(), "lamplight-soak-"))
  const nodes = [await new Node("node 1", new Server(home, SETTINGS, [])).start()]
  return {
    nodes,
    serverKey: SERVER_KEY,
    async stop() {
      for (const node of nodes) {
        if (node.server.pid) await node.server.kill()
        await node.clients.close()
      }
      await rm(home, { recursive: true, force: true })
    },
  }
}
