// Measures the cost of a stored message on one node, and on two nodes with the sender on one and the receiver on the other: user
// and kernel time of all nodes. Two nodes carry 1.7 times as much as one if the second figure is at most 2 / 1.7 of the
// first. Rounds are interleaved, each with fresh nodes; prints the medians, with the least and the most, and all runs
// to stderr. Several binaries are compared in rotation.
//
//   node bench/scale/nodes.mjs [--rounds 7] [--flights 8,1] [--pairs 50] [--each 400] [binary ...]
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import { OPEN } from "../../tests/e2e/support/server.mjs"
import { startPostgres, startRedis } from "../../tests/e2e/support/services.mjs"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "7" },
    flights: { type: "string", default: "8,1" },
    pairs: { type: "string", default: "50" },
    each: { type: "string", default: "400" },
    wrap: { type: "string", default: "" },
    modes: { type: "string", default: "1,2" },
  },
})
const release = process.env.CARGO_TARGET_DIR ?? "target"
const binaries = positionals.length > 0 ? positionals : [join(release, "release/lamplight")]
const loadgen = join(release, "release/lamplight-loadgen")
const flights = values.flights.split(",").map(Number)

const redis = await startRedis()
const postgres = await startPostgres({ fsync: "on" })
for (const pid of [redis.pid, postgres.pid]) await run("taskset", ["-a", "-p", "-c", "1", String(pid)])

async function run(program, words) {
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "inherit"] })
  let text = ""
  child.stdout.on("data", (piece) => {
    text += piece
  })
  const [code] = await once(child, "close")
  if (code !== 0) throw new Error(`${program} ended with ${code}`)
  return text
}

let starts = 0
/** Starts a node on the first core; the databases and the load are on the second. */
async function start(binary, database, home) {
  starts += 1
  const settings = {
    ...OPEN,
    PATH: process.env.PATH,
    LISTEN: "127.0.0.1:0",
    DATA_DIR: join(home, `data${starts}`),
    LOG: "error",
    NODE_ID: `node${starts}`,
    REDIS_URL: `redis://127.0.0.1:${redis.port}`,
    REDIS_PREFIX: database,
    DATABASE_URL: postgres.url(database),
  }
  const words = ["-c", "0", ...values.wrap.split(" ").filter(Boolean), binary, "serve"]
  const child = spawn("taskset", words, { env: settings, stdio: ["ignore", "pipe", "inherit"] })
  const address = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = /127\.0\.0\.1:\d+/.exec(line)
      if (found) resolve(found[0])
    })
    child.on("exit", (code) => reject(new Error(`${binary} ended with ${code}`)))
  })
  return { child, address }
}

/** The CPU of all nodes in µs for each message. */
async function measure(binary, count, flight) {
  const home = mkdtempSync(join(tmpdir(), "lamplight-bench-"))
  const database = `bench${++starts}`
  await postgres.query(`CREATE DATABASE ${database}`)
  const nodes = []
  try {
    for (let node = 0; node < count; node++) nodes.push(await start(binary, database, home))
    const each = flight === 1 ? Number(values.each) / 2 : Number(values.each)
    const words = ["--server", nodes.map((node) => node.address).join(",")]
    words.push("--pid", nodes.map((node) => node.child.pid).join(","), "messages")
    words.push("--pairs", values.pairs, "--in-flight", String(flight), "--each", String(each))
    return JSON.parse(await run("taskset", ["-c", "1", loadgen, ...words]))
  } finally {
    for (const { child } of nodes) child.kill("SIGTERM")
    await Promise.all(nodes.map(({ child }) => child.exitCode ?? once(child, "exit")))
    rmSync(home, { recursive: true, force: true })
    await postgres.query(`DROP DATABASE ${database} WITH (FORCE)`)
    await redis.command("FLUSHALL")
  }
}

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor((list.length - 1) / 2)]
const seen = new Map()
try {
  for (let round = 0; round < Number(values.rounds); round++)
    for (const flight of flights)
      for (const binary of binaries)
        for (const count of values.modes.split(",").map(Number)) {
          const run = await measure(binary, count, flight)
          const key = `${flight} ${binary} ${count}`
          seen.set(key, [...(seen.get(key) ?? []), run])
          const cpu = run.cpu_us_per_message.toFixed(1)
          process.stderr.write(
            `${round} ${flight} in flight, ${count} nodes, ${binary}: ${cpu} µs, ${run.per_second}/s\n`,
          )
        }
  for (const flight of flights)
    for (const binary of binaries) {
      const of = (count) =>
        seen.get(`${flight} ${binary} ${count}`)?.map((run) => run.cpu_us_per_message) ?? []
      const [one, two] = [of(1), of(2)]
      const show = (list) =>
        list.length === 0
          ? "-"
          : `${median(list).toFixed(1)} µs (${Math.min(...list).toFixed(1)} to ${Math.max(...list).toFixed(1)})`
      const ratio = one.map((cpu, round) => (2 * cpu) / two[round])
      console.log(
        `${flight} in flight, ${binary}: one node ${show(one)}, two ${show(two)}; two carry ` +
          `${((2 * median(one)) / median(two)).toFixed(2)} times as much (by round: median ` +
          `${median(ratio).toFixed(2)}, ${Math.min(...ratio).toFixed(2)} to ${Math.max(...ratio).toFixed(2)})`,
      )
    }
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await Promise.all([redis.stop(), postgres.stop()])
  process.exit()
}
