// Some nodes on one Redis and one PostgreSQL, behind an nginx that sends each request to the next node.
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Server } from "./node.mjs"
import { Postgres, Redis, startNginx, startPostgres, startRedis } from "./services.mjs"
import { until } from "./wait.mjs"

/** The servers that all clusters of this process share: those of `run-cluster.mjs`, or ones of its own. */
let shared
let clusters = 0

async function sharedServices() {
  const { LAMPLIGHT_TEST_REDIS_PORT: redis, LAMPLIGHT_TEST_POSTGRES_PORT: postgres } = process.env
  shared ??= Promise.all([
    redis ? Redis.at(Number(redis)) : startRedis(),
    postgres ? Postgres.at(Number(postgres)) : startPostgres(),
  ])
  const [sharedRedis, sharedPostgres] = await shared
  return { redis: sharedRedis, postgres: sharedPostgres }
}

/** Has the interface of one server: `start`, `stop` and `kill` are for all nodes. */
export class Cluster {
  constructor(home, redis, postgres, nodes) {
    this.home = home
    this.redis = redis
    this.postgres = postgres
    this.nodes = nodes
    /** @type {import("./services.mjs").Nginx | null} */
    this.nginx = null
  }

  get url() {
    return this.nginx.url
  }

  get port() {
    return this.nginx.port
  }

  get pid() {
    return this.nodes[0].pid
  }

  get log() {
    return this.nodes.map((node) => node.log).join("")
  }

  get exited() {
    return Promise.all(this.nodes.map((node) => node.exited)).then((ends) => ends[0])
  }

  async start(settings) {
    const start = (node) => node.start(settings && { ...node.settings, ...settings })
    await Promise.all(this.nodes.map(start))
    this.nginx ??= await startNginx(this.nodes.map((node) => node.port))
    // nginx takes nodes that it found dead for dead for another second.
    const passes = async () => {
      const signal = AbortSignal.timeout(2_000)
      return (await fetch(`${this.url}/healthz`, { signal }).catch(() => null))?.ok
    }
    await until(passes, "nginx reaches a node", 20_000)
    return this
  }

  async stop(signal = "SIGTERM") {
    const ends = await Promise.all(this.nodes.map((node) => node.stop(signal)))
    return ends.find(({ code }) => code !== 0) ?? ends[0]
  }

  kill() {
    return this.stop("SIGKILL")
  }

  get #database() {
    return this.nodes[0].settings.DATABASE_URL
  }

  /** Runs SQL on the database. */
  query(sql) {
    return this.postgres.query(sql, new URL(this.#database).pathname.slice(1))
  }

  /** Locks a table against writers until the returned process ends. */
  lock(table) {
    return this.postgres.lock(this.#database, table)
  }

  /** Writes a backup of the database. */
  backup(file) {
    return this.postgres.dump(this.#database, file)
  }

  /** Brings a backup back, while all nodes are stopped. */
  restore(file) {
    return this.postgres.restore(this.#database, file)
  }

  /** Stops everything and removes the directories. Servers that other clusters use go on. */
  async dispose() {
    await Promise.all(this.nodes.filter((node) => node.pid).map((node) => node.kill()))
    await this.nginx?.stop()
    await rm(this.home, { recursive: true, force: true })
  }
}

/**
 * Starts nodes on a database and a prefix of their own.
 * @param {object} [options]
 * @param {number} [options.nodes]
 * @param {Record<string, string>} [options.settings] of every node
 * @param {import("./services.mjs").Redis} [options.redis] instead of the shared one, for tests that harm it
 * @param {import("./services.mjs").Postgres} [options.postgres] likewise
 * @param {(node: number, urls: { redis: string, database: string }) => Record<string, string>} [options.own]
 *   settings of one node, for example of a proxy between it and Redis
 */
export async function startCluster({ nodes = 3, settings = {}, redis, postgres, own = () => ({}) } = {}) {
  const services =
    redis && postgres ? { redis, postgres } : { ...(await sharedServices()), ...(redis && { redis }) }
  if (postgres) services.postgres = postgres
  const database = await services.postgres.database()
  const home = await mkdtemp(join(tmpdir(), "lamplight-cluster-"))
  clusters += 1
  const common = {
    DATABASE_URL: database,
    REDIS_URL: services.redis.url,
    REDIS_PREFIX: `test-${process.pid}-${clusters}`,
    // The nodes share a directory, as they must.
    FILES: join(home, "files"),
    // nginx reports the addresses of clients.
    TRUSTED_PROXIES: "127.0.0.1",
    ...settings,
  }
  const servers = Array.from({ length: nodes }, (_, index) => {
    const urls = { redis: services.redis.url, database }
    const name = `node${index + 1}`
    return new Server(join(home, name), { ...common, NODE_ID: name, ...own(index, urls) }, [])
  })
  const cluster = new Cluster(home, services.redis, services.postgres, servers)
  try {
    return await cluster.start()
  } catch (error) {
    await cluster.dispose()
    throw error
  }
}
