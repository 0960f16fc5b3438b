// `node tests/hostile/run.mjs [case ...]`: ten seconds of each, and a table of the effect on the neighbour and the server.
import { readdirSync } from "node:fs"
import { run } from "./harness.mjs"

const all = readdirSync(new URL("cases", import.meta.url)).map((file) => file.replace(".mjs", ""))
const named = process.argv.slice(2)
const cases = all.sort().filter((name) => !named.length || named.some((prefix) => name.startsWith(prefix)))
const seconds = Number(process.env.SECONDS ?? 10)
console.log(`${process.env.LAMPLIGHT_BIN}, ${seconds} s each; times in ms, memory in MB`)
for (const name of cases) {
  const { send, read, rss, cpu, log, attack, seen, failures, worst } = await run(name, { seconds })
  const times = ({ p50, p99, count }) => (count ? `${p50.toFixed(1)} / ${p99.toFixed(1)} (${count})` : "none")
  console.log(
    `${name.padEnd(22)} send ${times(send)}  read ${times(read)}  rss ${rss.before} +${rss.most} after +${rss.after}  ` +
      `cpu ${cpu} %  log ${log} B  ${JSON.stringify({ ...attack, ...seen })}  worst ${worst.toFixed(0)}${failures.length ? ` FAILED ${failures.length}` : ""}`,
  )
}
process.exit(0)
