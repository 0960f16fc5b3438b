// Starts real Redis, PostgreSQL and nginx servers on free loopback ports, each in a directory of its own.
// They end with the process that started them, however it ends.
import { execFile, spawn } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { appendFile, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { until } from "./wait.mjs"

const run = promisify(execFile)

/** How long a server may take to start on a loaded machine. */
const START = 30_000

/** The programs of PostgreSQL: `POSTGRES_BIN`, or those that Debian installed, newest first. */
function postgresPrograms() {
  if (process.env.POSTGRES_BIN) return process.env.POSTGRES_BIN
  const root = "/usr/lib/postgresql"
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  return versions
    .map((version) => join(root, version, "bin"))
    .find((path) => existsSync(join(path, "postgres")))
}

/** A port that was free a moment ago. */
export async function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.on("error", reject)
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

/** A program that runs in the background; the kernel kills it when this process ends. */
class Service {
  #command
  /** @type {import("node:child_process").ChildProcess | null} */
  #child = null
  /** What it wrote, of all starts. */
  output = ""

  /** @param {string} directory @param {string[]} command @param {string[]} [privileges] options of `setpriv` */
  constructor(directory, command, privileges = []) {
    this.directory = directory
    this.#command = ["--pdeathsig", "KILL", ...privileges, "--", ...command]
  }

  get pid() {
    return this.#child?.pid
  }

  get isRunning() {
    return this.#child !== null
  }

  async launch() {
    const child = spawn("setpriv", this.#command, { cwd: this.directory, stdio: ["ignore", "pipe", "pipe"] })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        this.output = (this.output + text).slice(-100_000)
      })
    }
    this.exited = new Promise((resolve) =>
      child.once("exit", (code, signal) => {
        if (this.#child === child) this.#child = null
        resolve({ code, signal })
      }),
    )
  }

  /** Sends a signal, such as `SIGSTOP`. */
  signal(name) {
    this.#child?.kill(name)
  }

  /** Stops it; resolves once it has ended. */
  async end(signal) {
    this.#child?.kill(signal)
    await this.exited
  }
}

/** A `redis-server` of one's own. */
export class Redis {
  #service

  constructor(directory, port, settings) {
    this.directory = directory
    this.port = port
    this.settings = settings
  }

  /** A server that another process started. */
  static at(port) {
    return new Redis("", port, {})
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`
  }

  get pid() {
    return this.#service?.pid
  }

  async start() {
    const settings = Object.entries({ save: "", appendonly: "no", ...this.settings }).flatMap(
      ([name, value]) => [`--${name}`, value],
    )
    const place = ["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.directory]
    this.#service = new Service(this.directory, [
      process.env.REDIS_SERVER ?? "redis-server",
      ...place,
      ...settings,
    ])
    await this.#service.launch()
    await until(
      async () => {
        if (!this.#service.isRunning) throw new Error(`redis-server did not start: ${this.#service.output}`)
        return (await this.command("PING").catch(() => "")).trim() === "PONG"
      },
      "Redis answers",
      START,
    )
    return this
  }

  /** Runs `redis-cli` with these words, and returns what it prints. */
  async command(...words) {
    const { stdout } = await run("redis-cli", ["-p", String(this.port), ...words], { timeout: 60_000 })
    return stdout
  }

  /**
   * The bytes of each key. With one process for all keys: to start hundreds stops this process, and every proxy in it,
   * for seconds.
   * @returns {Promise<Map<string, number>>}
   */
  async sizes() {
    const script =
      "local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do " +
      "all[#all + 1] = key .. ' ' .. (redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0') or 0) end return all"
    const lines = (await this.command("EVAL", script, "0")).trim().split("\n").filter(Boolean)
    return new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(" ")
        return [line.slice(0, at), Number(line.slice(at + 1))]
      }),
    )
  }

  signal(name) {
    this.#service.signal(name)
  }

  /** As a crash ends it. */
  kill() {
    return this.#service.end("SIGKILL")
  }

  async stop() {
    await this.#service?.end("SIGTERM")
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** Starts a Redis with these settings of `redis.conf`; without any, it stores nothing on disk. */
export async function startRedis(settings = {}) {
  const directory = await mkdtemp(join(tmpdir(), "lamplight-redis-"))
  return new Redis(directory, await freePort(), settings).start()
}

/** A PostgreSQL of one's own. */
export class Postgres {
  #service
  #programs
  #databases = 0

  constructor(programs, directory, port, settings) {
    this.#programs = programs
    this.directory = directory
    this.port = port
    this.settings = settings
  }

  /** A server that another process started. */
  static at(port) {
    return new Postgres(postgresPrograms(), "", port, {})
  }

  /** PostgreSQL refuses to run as root. */
  static get privileges() {
    return process.getuid?.() === 0 ? ["--reuid=postgres", "--regid=postgres", "--clear-groups"] : []
  }

  get pid() {
    return this.#service?.pid
  }

  /** What it logged, of this start. */
  get output() {
    return this.#service.output
  }

  /** The URL of a database. */
  url(database) {
    return `postgres://lamplight@127.0.0.1:${this.port}/${database}`
  }

  async initialize() {
    const words = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=lamplight"]
    const init = [join(this.#programs, "initdb"), ...words, "--pgdata", join(this.directory, "data")]
    await run("setpriv", [...Postgres.privileges, "--", ...init], { cwd: this.directory })
    return this
  }

  async start() {
    const settings = Object.entries({
      port: this.port,
      listen_addresses: "127.0.0.1",
      unix_socket_directories: this.directory,
      max_connections: 200,
      ...this.settings,
    }).flatMap(([name, value]) => ["-c", `${name}=${value}`])
    const command = [join(this.#programs, "postgres"), "-D", join(this.directory, "data"), ...settings]
    this.#service = new Service(this.directory, command, Postgres.privileges)
    await this.#service.launch()
    await until(
      async () => {
        if (!this.#service.isRunning) throw new Error(`PostgreSQL did not start: ${this.#service.output}`)
        return (await this.query("SELECT 1").catch(() => "")).trim() === "1"
      },
      "PostgreSQL answers",
      START,
    )
    return this
  }

  /** Runs SQL, and returns the rows as `psql` prints them: a line each, values separated by `|`. */
  async query(sql, database = "postgres") {
    const words = ["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", this.url(database), "-c", sql]
    const own = join(this.#programs, "psql")
    // A package of the server alone has no client.
    const { stdout } = await run(existsSync(own) ? own : "psql", words, {
      timeout: 20_000,
      maxBuffer: 64 << 20,
    })
    return stdout
  }

  /** A standby that follows this server. The server stops for as long as the copy takes. */
  async standby() {
    const directory = await postgresDirectory()
    await this.shutdown()
    await run("cp", ["--archive", join(this.directory, "data"), join(directory, "data")])
    await this.start()
    const primary = `primary_conninfo = 'host=127.0.0.1 port=${this.port} user=lamplight'\n`
    await appendFile(join(directory, "data/postgresql.auto.conf"), primary)
    await writeFile(join(directory, "data/standby.signal"), "")
    return new Postgres(this.#programs, directory, await freePort(), this.settings).start()
  }

  /** Makes this standby the primary. */
  async promote() {
    await this.query("SELECT pg_promote(true, 60)")
  }

  /** Changes settings while the server runs. */
  async set(settings) {
    for (const [name, value] of Object.entries(settings))
      await this.query(`ALTER SYSTEM SET ${name} = '${value}'`)
    await this.query("SELECT pg_reload_conf()")
  }

  /** Makes an empty database and returns its URL. */
  async database() {
    this.#databases += 1
    const name = `test_${process.pid}_${this.#databases}`
    await this.query(`CREATE DATABASE ${name}`)
    return this.url(name)
  }

  /** Locks a table against writers until the returned process ends. */
  async lock(url, table) {
    const words = ["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url]
    const holder = spawn(join(this.#programs, "psql"), words, { stdio: ["pipe", "pipe", "inherit"] })
    holder.stdin.write(`BEGIN; LOCK TABLE ${table} IN EXCLUSIVE MODE; SELECT 'locked';\n`)
    await new Promise((resolve) => holder.stdout.once("data", resolve))
    return holder
  }

  /** Writes a backup of the database at this URL, as docs/operations.md says it. */
  async dump(url, file) {
    await run(join(this.#programs, "pg_dump"), ["--format=custom", `--file=${file}`, url])
  }

  /** Replaces the database at this URL by a backup. The nodes that used it have ended. */
  async restore(url, file) {
    const name = new URL(url).pathname.slice(1)
    await this.query(`DROP DATABASE ${name} WITH (FORCE)`)
    await this.query(`CREATE DATABASE ${name}`)
    await run(join(this.#programs, "pg_restore"), ["--no-owner", "--exit-on-error", `--dbname=${url}`, file])
  }

  signal(name) {
    this.#service.signal(name)
  }

  /** As a crash ends it. */
  kill() {
    return this.#service.end("SIGKILL")
  }

  /** Ends all its processes at once, without a checkpoint: the next start recovers from its log. */
  async crash() {
    await this.#service.end("SIGQUIT")
  }

  /** As an operator stops it who does not wait for connections to end. */
  async shutdown() {
    await this.#service.end("SIGINT")
  }

  async stop() {
    await this.#service?.end("SIGQUIT")
    await rm(this.directory, { recursive: true, force: true })
  }
}

async function postgresDirectory() {
  const directory = await mkdtemp(join(tmpdir(), "lamplight-postgres-"))
  if (process.getuid?.() === 0) {
    const { stdout } = await run("id", ["-u", "postgres"])
    await chown(directory, Number(stdout), 0)
  }
  return directory
}

/**
 * Starts a PostgreSQL. Without `fsync=on` among the settings it does not survive a crash of the machine, and is
 * quicker.
 */
export async function startPostgres(settings = {}) {
  const programs = postgresPrograms()
  if (!programs) throw new Error("PostgreSQL is not installed: run `make tools`.")
  const directory = await postgresDirectory()
  const postgres = new Postgres(programs, directory, await freePort(), { fsync: "off", ...settings })
  await postgres.initialize()
  return postgres.start()
}

/** The configuration of an nginx that sends each request to the next of the nodes, without sticky sessions. */
function balancer(directory, port, ports) {
  const servers = ports.map((node) => `    server 127.0.0.1:${node} max_fails=1 fail_timeout=1s;`)
  const user = process.getuid?.() === 0 ? "user root;" : ""
  return `daemon off; master_process off; ${user}
pid ${directory}/nginx.pid;
error_log ${directory}/error.log notice;
events { worker_connections 8192; }
worker_rlimit_nofile 20000;
http {
  access_log off;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi; uwsgi_temp_path ${directory}/uwsgi; scgi_temp_path ${directory}/scgi;
  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
  upstream lamplight {
${servers.join("\n")}
    keepalive 64;
  }
  server {
    listen 127.0.0.1:${port};
    client_max_body_size 0;
    large_client_header_buffers 4 32k;
    location / {
      proxy_pass http://lamplight;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_connect_timeout 2s;
      proxy_read_timeout 90s;
      proxy_buffering off;
      proxy_request_buffering off;
    }
  }
}
`
}

/** Round robin over the ports of some nodes. */
export class Nginx {
  #service

  constructor(directory, port) {
    this.directory = directory
    this.port = port
  }

  get url() {
    return `http://127.0.0.1:${this.port}`
  }

  /** Starts it, or starts it again with other nodes. */
  async start(ports) {
    await this.#service?.end("SIGKILL")
    await writeFile(join(this.directory, "nginx.conf"), balancer(this.directory, this.port, ports))
    const words = [
      "-p",
      this.directory,
      "-c",
      join(this.directory, "nginx.conf"),
      "-e",
      join(this.directory, "error.log"),
    ]
    this.#service = new Service(this.directory, ["nginx", ...words])
    await this.#service.launch()
    await until(
      async () => {
        if (!this.#service.isRunning) throw new Error(`nginx did not start: ${this.#service.output}`)
        return (await fetch(`${this.url}/healthz`).catch(() => null)) !== null
      },
      "nginx answers",
      START,
    )
    return this
  }

  async stop() {
    await this.#service?.end("SIGTERM")
    await rm(this.directory, { recursive: true, force: true })
  }
}

/** Starts an nginx in front of nodes at these ports. */
export async function startNginx(ports) {
  const directory = await mkdtemp(join(tmpdir(), "lamplight-nginx-"))
  await mkdir(join(directory, "logs"), { recursive: true })
  return new Nginx(directory, await freePort()).start(ports)
}
