// Turns what the load generator saw into a table: the median of the repetitions of each kind of work.
import { readFileSync } from "node:fs"

const runs = readFileSync(process.argv[2], "utf8").trim().split("\n").map(JSON.parse)
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]
const of = (fits, value) => median(runs.filter(fits).map(value))
const rows = []

const idle = (run) => run.work === "idle"
rows.push([
  "memory of an idle connection, joined",
  `${(of(idle, (run) => run.rss_bytes_per_connection) / 1024).toFixed(1)} KiB`,
])
rows.push(["CPU to accept and join", `${of(idle, (run) => run.cpu_us_per_accept).toFixed(0)} µs`])

for (const mode of ["full", "diff"]) {
  const storm = (run) => run.work === "storm" && run.mode === mode
  const users = of(storm, (run) => run.users)
  rows.push([
    `${users} join at once, \`${mode}\`: everyone knows everyone`,
    `${of(storm, (run) => run.all_known_ms.max)} ms`,
  ])
  rows.push([
    `${users} join at once, \`${mode}\`: most bytes to one`,
    `${(of(storm, (run) => run.bytes_to_each.max) / 1000).toFixed(0)} KB`,
  ])
}
for (const inFlight of [1, 8]) {
  const messages = (run) => run.work === "messages" && run.in_flight === inFlight
  rows.push([
    `CPU per durable message, ${inFlight} in flight (50 pairs)`,
    `${of(messages, (run) => run.cpu_us_per_message).toFixed(0)} µs`,
  ])
  rows.push([
    `acknowledgement, ${inFlight} in flight: p50, p99`,
    `${of(messages, (run) => run.ack_ms.p50).toFixed(1)}, ${of(messages, (run) => run.ack_ms.p99).toFixed(1)} ms`,
  ])
}

console.log("| what | median of three |\n|---|---|")
for (const [what, figure] of rows) console.log(`| ${what} | ${figure} |`)
