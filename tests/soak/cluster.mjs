// The server or cluster under test, with its possible faults.
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ProxiedNode, startProxied } from "../e2e/support/proxied.mjs"
import { OPEN, SERVER_KEY, Server } from "../e2e/support/server.mjs"
import { clusterFaults, nodeFaults } from "./faults.mjs"

const SETTINGS = { ...OPEN, SERVER_KEY, PRESENCE_GRACE: "5s", LOG: "warn" }

/** One node on SQLite. */
export async function single() {
  const home = await mkdtemp(join(tmpdir(), "lamplight-soak-"))
  const node = await new ProxiedNode("node1", new Server(home, SETTINGS, [])).start()
  const nodes = [await node.front()]
  return {
    nodes,
    serverKey: SERVER_KEY,
    faults: nodeFaults({ nodes }),
    async stop() {
      await node.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** Nodes on a Redis and a PostgreSQL of their own. */
export async function many(count) {
  const cluster = await startProxied({ nodes: count, settings: SETTINGS })
  const faults = { ...nodeFaults(cluster), ...clusterFaults(cluster) }
  return { ...cluster, serverKey: SERVER_KEY, faults }
}
