// Runs every test suite, continues after failures, and prints the failures at the end.
//
//   node scripts/test.mjs                  all suites (make test)
//   node scripts/test.mjs e2e browser      only these suites
//   node scripts/test.mjs --again          runs a failed suite once more (.ci/run)
//   node scripts/test.mjs --serial         one suite at a time
//
// Suites that compile run first and alone. Then two suites run at a time, since each leaves half of two cores idle; their lines
// begin with the suite's name.
//
// With --again, a suite that passes the second time is listed as unsteady: the test needs a fix, but one of thousands
// does not hide the result of the rest. It runs again alone, once all others have ended. Of the browser suites,
// only the files that failed run again. No suite runs again once LATEST_REPEAT minutes have passed, and these files once
// LATEST_FILES have.

import { spawn } from "node:child_process"
import { availableParallelism } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { stripVTControlCharacters } from "node:util"

process.chdir(join(dirname(fileURLToPath(import.meta.url)), ".."))

/**
 * Suites that compile, by name. The build of the tests also makes the binary that the suites below start: with the features
 * that the tests enable, since another set would compile everything above tokio once more.
 */
const BUILDS = {
  build: "cargo test --locked --quiet --workspace --no-run",
  "build:socketio": "cargo test --locked --quiet -p socketio --all-features --no-run",
  clients: "make --no-print-directory test-clients",
}
/**
 * Suites by name, in the order in which they start. The two that take longest stand first, and a browser is never beside
 * another one.
 */
const SUITES = {
  browser: "npm run --silent test:browser",
  rust: "node scripts/conformance.mjs -- cargo test --locked --workspace --no-fail-fast",
  client: "npm test --silent -w packages/client",
  react: "npm test --silent -w packages/react",
  chat: "npm test --silent -w apps/chat",
  e2e: "npm run --silent test:e2e",
  "browser:cluster": "npm run --silent test:browser:cluster",
  cluster: "npm run --silent test:cluster",
  s3: "npm run --silent test:s3",
  nodes: "npm run --silent test:nodes",
  socketio: "cargo test --locked --quiet -p socketio --all-features -- --skip chromium --skip python",
  hostile: "npm run --silent test:hostile",
  soak: "npm run --silent test:soak",
}
const ALL = { ...BUILDS, ...SUITES }
const LATEST_REPEAT = 60
const LATEST_FILES = 75
/** Suites that take the names of files, and the file in a line of theirs that names a failure. */
const BY_FILE = /^browser(:|$)/
const FAILED_FILE = /^ FAIL {2}(browser\/\S+\.test\.ts)/
/** Lines that name a test that failed, as cargo, Vitest and Node's runner print them. */
const FAILURE =
  /^(\s*(✖|×|❯ .*\|.*failed| FAIL )|not ok |test .* FAILED$|failures:|\s*---- .* stdout ----|thread '.*panicked at|.*AssertionError|Error: |error(\[E\d+\])?: )/
const MAX_LINES = 40

const args = process.argv.slice(2)
const isRepeated = args.includes("--again")
const width = args.includes("--serial") || availableParallelism() < 2 ? 1 : 2
const chosen = args.filter((name) => !name.startsWith("--"))
for (const name of chosen)
  if (!(name in ALL)) {
    console.error(`There is no suite "${name}". Suites: ${Object.keys(ALL).join(", ")}.`)
    process.exit(2)
  }
const isChosen = (name) => chosen.length === 0 || chosen.includes(name)

const startedAt = Date.now()
const minutes = (ms) => `${(ms / 60_000).toFixed(1)} min`
const LONGEST = Math.max(...Object.keys(SUITES).map((name) => name.length))

/**
 * Runs a suite, or some files of it, and prints each of its lines after `mark`. Returns the lines that name failures,
 * or null if it passed.
 */
function run(name, mark = "", files = []) {
  return new Promise((resolve) => {
    const command = files.length > 0 ? `${ALL[name]} -- ${files.join(" ")}` : ALL[name]
    const child = spawn("sh", ["-c", command], { stdio: ["inherit", "pipe", "pipe"] })
    const failures = []
    const last = []
    for (const [stream, out] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ])
      createInterface({ input: stream }).on("line", (line) => {
        out.write(`${mark}${line}\n`)
        const text = stripVTControlCharacters(line)
        if (FAILURE.test(text)) failures.push(text)
        last.push(text)
        if (last.length > MAX_LINES) last.shift()
      })
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(null)
      const lines = failures.length > 0 ? failures.slice(0, MAX_LINES) : last
      resolve([`ended with ${signal ?? `code ${code}`}`, ...lines])
    })
  })
}

/** The files with failed tests, each once. Empty if the lines do not name them, or were too many to be stored. */
function filesOf(failures) {
  if (!failures || failures.length > MAX_LINES) return []
  return [...new Set(failures.flatMap((line) => FAILED_FILE.exec(line)?.[1] ?? []))]
}

/** @type {{ name: string, attempts: (string[] | null)[], took: number }[]} */
const results = []

async function runFirst(name, mark = "") {
  const since = Date.now()
  const result = { name, attempts: [await run(name, mark)], took: 0 }
  result.took = Date.now() - since
  results.push(result)
  if (mark) console.log(`${mark}${result.attempts[0] ? "failed" : "passed"} after ${minutes(result.took)}`)
  return result
}

/** Runs suites, `width` of them at a time. */
async function runAll(names) {
  const waiting = [...names]
  const running = new Set()
  const mark = (name) => (width > 1 && names.length > 1 ? `${name.padEnd(LONGEST)} | ` : "")
  const canStart = (name) => !BY_FILE.test(name) || ![...running].some((other) => BY_FILE.test(other))
  const worker = async () => {
    for (;;) {
      // If none can start, the worker of the suite that blocks them continues with them.
      const at = waiting.findIndex(canStart)
      if (at < 0) return
      const [name] = waiting.splice(at, 1)
      running.add(name)
      await runFirst(name, mark(name))
      running.delete(name)
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
}

/** Runs failed suites once more, alone. */
async function repeat(result) {
  const [failures] = result.attempts
  const files = BY_FILE.test(result.name) ? filesOf(failures) : []
  const latest = files.length > 0 ? LATEST_FILES : LATEST_REPEAT
  if (!failures || result.attempts.length > 1 || Date.now() - startedAt >= latest * 60_000) return
  console.log(`\nThe suite "${result.name}" failed; it runs once more: ${files.join(" ") || "all of it"}.\n`)
  const since = Date.now()
  result.attempts.push(await run(result.name, "", files))
  result.took += Date.now() - since
}

for (const name of Object.keys(BUILDS).filter(isChosen)) {
  const result = await runFirst(name)
  // Exit at once: the suites below skip tests of missing builds.
  if (isRepeated) await repeat(result)
}
await runAll(Object.keys(SUITES).filter(isChosen))
const order = Object.keys(ALL)
results.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
if (isRepeated) for (const result of results) await repeat(result)

console.log("")
for (const { name, attempts } of results)
  for (const [at, failures] of attempts.entries())
    if (failures)
      console.log(`${name}, attempt ${at + 1}:\n${failures.map((line) => `  ${line}`).join("\n")}\n`)
const stateOf = (attempts) => (attempts.at(-1) ? "failed" : attempts.length > 1 ? "unsteady" : "passed")
for (const { name, attempts, took } of results)
  console.log(`${stateOf(attempts).padEnd(9)} ${name.padEnd(16)} ${minutes(took)}`)
const failed = results.filter(({ attempts }) => attempts.at(-1)).length
console.log(`All suites: ${minutes(Date.now() - startedAt)}`)
console.log(`${results.length - failed} passed, ${failed} failed`)
process.exit(failed > 0 ? 1 : 0)
