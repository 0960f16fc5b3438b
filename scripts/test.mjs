// Runs every suite of tests, goes on after one that fails, and prints at the end what failed.
//
//   node scripts/test.mjs                  all suites (make test)
//   node scripts/test.mjs e2e browser      these alone
//   node scripts/test.mjs --again          a suite that failed runs once more (.ci/run)
//
// With --again, a suite that passes the second time is listed as unsteady: such a test is a fault to mend, but one of
// thousands does not hide whether the rest passes. No suite runs again once LATEST_REPEAT minutes have passed.

import { spawn } from "node:child_process"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { stripVTControlCharacters } from "node:util"

process.chdir(join(dirname(fileURLToPath(import.meta.url)), ".."))

/** Suites by name, in the order in which they run: what fails soonest stands first. */
const SUITES = {
  rust: "node scripts/conformance.mjs -- cargo test --locked --workspace --no-fail-fast",
  socketio: "cargo test --locked --quiet -p socketio --all-features -- --skip chromium --skip python",
  clients: "make --no-print-directory test-clients",
  client: "npm test --silent -w packages/client",
  react: "npm test --silent -w packages/react",
  chat: "npm test --silent -w apps/chat",
  binary: "cargo build --locked -p lamplight",
  e2e: "npm run --silent test:e2e",
  cluster: "npm run --silent test:cluster",
  s3: "npm run --silent test:s3",
  nodes: "npm run --silent test:nodes",
  hostile: "npm run --silent test:hostile",
  soak: "npm run --silent test:soak",
  browser: "npm run --silent test:browser",
  "browser:cluster": "npm run --silent test:browser:cluster",
}
const LATEST_REPEAT = 60
/** Lines that name a test that failed, as cargo, Vitest and Node's runner print them. */
const FAILURE =
  /^(\s*(✖|×|❯ .*\|.*failed| FAIL )|not ok |test .* FAILED$|failures:|\s*---- .* stdout ----|thread '.*panicked at|.*AssertionError|Error: |error(\[E\d+\])?: )/
const KEPT = 40

const args = process.argv.slice(2)
const isRepeated = args.includes("--again")
const names = args.filter((name) => name !== "--again")
for (const name of names)
  if (!(name in SUITES)) {
    console.error(`There is no suite "${name}". Suites: ${Object.keys(SUITES).join(", ")}.`)
    process.exit(2)
  }

const startedAt = Date.now()
const minutes = (since) => `${((Date.now() - since) / 60_000).toFixed(1)} min`

/** Runs a suite; answers with the lines that tell what failed, or null if it passed. */
function run(name) {
  return new Promise((resolve) => {
    const child = spawn("sh", ["-c", SUITES[name]], { stdio: ["inherit", "pipe", "pipe"] })
    const failures = []
    const last = []
    for (const [stream, out] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ])
      createInterface({ input: stream }).on("line", (line) => {
        out.write(`${line}\n`)
        const text = stripVTControlCharacters(line)
        if (FAILURE.test(text)) failures.push(text)
        last.push(text)
        if (last.length > KEPT) last.shift()
      })
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(null)
      const told = failures.length > 0 ? failures.slice(0, KEPT) : last
      resolve([`ended with ${signal ?? `code ${code}`}`, ...told])
    })
  })
}

const results = []
for (const name of names.length > 0 ? names : Object.keys(SUITES)) {
  const since = Date.now()
  const attempts = [await run(name)]
  if (attempts[0] && isRepeated && Date.now() - startedAt < LATEST_REPEAT * 60_000) {
    console.log(`\nThe suite "${name}" failed; it runs once more.\n`)
    attempts.push(await run(name))
  }
  results.push({ name, attempts, took: minutes(since) })
}

console.log("")
for (const { name, attempts } of results)
  for (const [at, failures] of attempts.entries())
    if (failures)
      console.log(`${name}, attempt ${at + 1}:\n${failures.map((line) => `  ${line}`).join("\n")}\n`)
const stateOf = (attempts) => (attempts.at(-1) ? "failed" : attempts.length > 1 ? "unsteady" : "passed")
for (const { name, attempts, took } of results)
  console.log(`${stateOf(attempts).padEnd(9)} ${name.padEnd(16)} ${took}`)
const failed = results.filter(({ attempts }) => attempts.at(-1)).length
console.log(`All suites: ${minutes(startedAt)}`)
console.log(`${results.length - failed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)
