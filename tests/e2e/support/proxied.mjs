// A cluster that a test harms: a proxy of ours in front of each node, and between each node and its servers.
import { startCluster } from "./cluster.mjs"
import { TcpProxy } from "./proxy.mjs"
import { startPostgres, startRedis } from "./services.mjs"

/** One node, and the proxies around it. */
export class ProxiedNode {
  /** The proxy between it and its clients. */
  clients = null
  /** The proxies between it and its servers. */
  redis = null
  postgres = null

  /** @param {string} name @param {import("./node.mjs").Server} server */
  constructor(name, server) {
    this.name = name
    this.server = server
  }

  async start() {
    await this.server.start()
    return this
  }

  /** Begins the proxy for its clients, which goes on while the node restarts. */
  async front() {
    this.clients = await new TcpProxy({ port: this.server.port }).listen()
    return this
  }

  /** Where clients reach it. */
  get url() {
    return this.clients.url
  }

  async close() {
    if (this.server.pid) await this.server.kill()
    for (const proxy of [this.clients, this.redis, this.postgres]) await proxy?.close()
  }
}

/**
 * Nodes on a Redis and a PostgreSQL of their own.
 * @param {object} options
 * @param {number} [options.nodes]
 * @param {Record<string, string>} options.settings
 * @param {Record<string, string>} [options.postgres] settings of PostgreSQL
 * @param {Record<string, string>} [options.redis] settings of Redis
 */
export async function startProxied({ nodes: count = 3, settings, ...servers }) {
  const [redis, postgres] = await Promise.all([startRedis(servers.redis), startPostgres(servers.postgres)])
  const links = await Promise.all(
    Array.from({ length: count }, async () => ({
      redis: await new TcpProxy({ port: redis.port }).listen(),
      postgres: await new TcpProxy({ port: postgres.port }).listen(),
    })),
  )
  const own = (index, { database }) => {
    const url = new URL(database)
    url.port = String(links[index].postgres.port)
    return { REDIS_URL: `redis://127.0.0.1:${links[index].redis.port}`, DATABASE_URL: url.href }
  }
  const cluster = await startCluster({ nodes: count, settings, redis, postgres, own })
  const nodes = await Promise.all(
    cluster.nodes.map((server, index) => {
      const node = new ProxiedNode(`node${index + 1}`, server)
      return Object.assign(node, links[index]).front()
    }),
  )
  return {
    nodes,
    redis,
    postgres,
    /** The address of all nodes together, without the proxies of this module. */
    url: cluster.url,
    prefix: cluster.nodes[0].settings.REDIS_PREFIX,
    async stop() {
      for (const node of nodes) await node.close()
      await cluster.dispose()
      await Promise.all([redis.stop(), postgres.stop()])
    },
  }
}
