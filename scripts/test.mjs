// Runs every suite of tests, goes on after one that fails, and prints at the end what failed.
//
//   node scripts/test.mjs                  all suites (make test)
//   node scripts/test.mjs e2e browser      these alone
//   node scripts/test.mjs --again          a suite that failed runs once more (.ci/run)
//
// With --again, a suite that passes the second time is listed as unsteady: such a test is a fault to mend, but one of
// thousands does not hide whether the rest passes. Of the browser suites, only the files that failed run again. No suite
// runs again once LATEST_REPEAT minutes have passed, and these files once LATEST_FILES have.

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
const LATEST_FILES = 75
/** Suites that take the names of files, and the file in a line of theirs that names a failure. */
const BY_FILE = /^browser(:|$)/
const FAILED_FILE = /^ FAIL {2}(browser\/\S+\.test\.ts)/
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

/** Runs a suite, or some files of it; answers with the lines that tell what failed, or null if it passed. */
function run(name, files = []) {
  return new Promise((resolve) => {
    const command = files.length > 0 ? `${SUITES[name]} -- ${files.join(" ")}` : SUITES[name]
    const child = spawn("sh", ["-c", command], { stdio: ["inherit", "pipe", "pipe"] })
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

/** The files in which tests failed, each once. Empty where the lines do not tell, or were too many to be kept. */
function filesOf(failures) {
  if (!failures || failures.length > KEPT) return []
  return [...new Set(failures.flatMap((line) => FAILED_FILE.exec(line)?.[1] ?? []))]
}

const results = []
for (const name of names.length > 0 ? names : Object.keys(SUITES)) {
  const since = Date.now()
  const attempts = [await run(name)]
  const files = BY_FILE.test(name) ? filesOf(attempts[0]) : []
  const latest = files.length > 0 ? LATEST_FILES : LATEST_REPEAT
  if (attempts[0] && isRepeated && Date.now() - startedAt < latest * 60_000) {
    console.log(`\nThe suite "${name}" failed; it runs once more: ${files.join(" ") || "all of it"}.\n`)
    attempts.push(await run(name, files))
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
