// Prints which cases of the conformance suites each adapter passes, and fails if one is missing.
//
//   node scripts/conformance.mjs                                     runs the suites (make conformance)
//   node scripts/conformance.mjs -- cargo test --locked --workspace  runs other tests too, and prints the table at the end
//
// A test of a suite is named `<adapter>::<suite>::<case>`, from the modules that the suites' macros make.

import { spawn } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { stripVTControlCharacters } from "node:util"

process.chdir(join(dirname(fileURLToPath(import.meta.url)), ".."))
const SOURCE = "crates/conformance/src"

/** Adapters by module, with the heads of their columns. Adapters of one table have the same ports. */
const TABLES = [
  {
    title: "Stores",
    suites: ["messages", "directory", "accounts", "deletions", "follower", "nodes", "blocks"],
    adapters: {
      sqlite: "SQLite",
      postgresql: "PostgreSQL",
      pgbouncer: "PostgreSQL through PgBouncer",
      two_nodes: "two nodes on PostgreSQL",
    },
  },
  {
    title: "Search of messages, groups, files and Web Push",
    suites: ["search", "groups", "files", "push"],
    adapters: { sqlite: "SQLite", postgresql: "PostgreSQL" },
  },
  {
    title: "Presence and the event bus",
    suites: ["presence", "bus"],
    adapters: { memory: "memory", redis: "Redis", redis_cluster: "Redis Cluster" },
  },
]
/** What an adapter does not run, and why. */
const LEFT_OUT = {
  "redis_cluster presence":
    "tests/presence_topologies.rs runs a life of two nodes there (c20); the scripts are the same, and each touches one slot",
}
/** Needs rows that a newer version writes, so each store's own tests call it. */
const CALLED_BY_TESTS = ["other_kinds"]
/** Where the suites run. */
const COMMAND = [
  "cargo",
  "test",
  "--locked",
  ...["-p", "lamplight-embedded", "-p", "lamplight-distributed"],
  ...[
    "conformance",
    "presence",
    "postgres_conformance",
    "postgres_poolers",
    "postgres_two_nodes",
    "redis_bus",
  ].flatMap((test) => ["--test", test]),
]

const problems = []

/** The cases of a suite, in the order of its macro. */
function casesOf(suite) {
  const files = readdirSync(SOURCE, { recursive: true })
    .filter((file) => file === `${suite}.rs` || (file.startsWith(`${suite}/`) && file.endsWith(".rs")))
    .map((file) => join(SOURCE, file))
  const text = files.map((file) => readFileSync(file, "utf8")).join("\n")
  const macro = new RegExp(`macro_rules! ${suite}_suite \\{([\\s\\S]*?)^\\}`, "m").exec(text)?.[1]
  if (!macro) throw new Error(`${SOURCE} has no ${suite}_suite`)
  const cases = [
    ...[.../\[([^$\]]*)\]/.exec(macro)[1].matchAll(/\w+/g)].map(([name]) => name),
    ...[...macro.matchAll(/^\s+fn (\w+)\(/gm)].map(([, name]) => name),
  ]
  for (const [, name] of text.matchAll(/^pub async fn (\w+)(?:<[^>]*>+)?\(\s*(?:mut )?\w+: \w*Subject/gm))
    if (!cases.includes(name) && !CALLED_BY_TESTS.includes(name))
      problems.push(`${suite}: the macro leaves out ${name}`)
  return cases
}

/** Runs a command and collects results of tests: name -> "ok", "FAILED", or "ignored" with its reason. */
async function results([program, ...parameters]) {
  const child = spawn(program, parameters, { stdio: ["inherit", "pipe", "inherit"] })
  const found = new Map()
  for await (const coloured of createInterface({ input: child.stdout })) {
    const line = stripVTControlCharacters(coloured)
    const [, name, result] = /^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored.*)$/.exec(line) ?? []
    if (name) found.set(name, result)
    // The names of passing tests fill screens.
    if (!result?.startsWith("ok") && !/^(running \d+ tests?)?$/.test(line)) console.log(line)
  }
  const code = child.exitCode ?? (await new Promise((resolve) => child.on("close", resolve)))
  return { found, code }
}

function print({ title, suites, adapters }, found) {
  const names = Object.keys(adapters)
  console.log(`\n## ${title}\n\n| case | ${Object.values(adapters).join(" | ")} |`)
  console.log(`|---|${names.map(() => "---|").join("")}`)
  const notes = []
  for (const suite of suites) {
    for (const name of casesOf(suite)) {
      const cells = names.map((adapter) => {
        const result = found.get(`${adapter}::${suite}::${name}`)
        const why = LEFT_OUT[`${adapter} ${suite}`]
        if (result === "ok") return "ok"
        if (result === undefined && why) return "–"
        if (result?.startsWith("ignored, ")) {
          notes.push(`${adapters[adapter]}, ${suite} · ${name}: ${result.slice("ignored, ".length)}`)
          return "–"
        }
        problems.push(`${adapter}::${suite}::${name}: ${result ?? "there is no such test"}`)
        return result ?? "missing"
      })
      console.log(`| ${suite} · ${name} | ${cells.join(" | ")} |`)
    }
    for (const adapter of names) {
      const why = LEFT_OUT[`${adapter} ${suite}`]
      if (why) notes.push(`${adapters[adapter]}, ${suite}: ${why}`)
    }
  }
  for (const note of notes) console.log(`\n– ${note}.`)
}

const separator = process.argv.indexOf("--")
const { found, code } = await results(separator < 0 ? COMMAND : process.argv.slice(separator + 1))
for (const table of TABLES) print(table, found)

const suites = TABLES.flatMap((table) => table.suites)
const sources = readdirSync(SOURCE, { recursive: true }).filter((file) => file.endsWith(".rs"))
for (const file of sources)
  for (const [, suite] of readFileSync(join(SOURCE, file), "utf8").matchAll(/macro_rules! (\w+)_suite\b/g))
    if (suite !== "parallel" && !suites.includes(suite))
      problems.push(`${file}: scripts/conformance.mjs does not know the suite ${suite}`)

console.log("")
if (code !== 0) {
  // A failing file ends `cargo test`, so other files did not run.
  console.error("conformance: a test failed (see above), and the table is not complete.")
  process.exit(code)
}
for (const problem of problems) console.error(`conformance: ${problem}`)
const passed = [...found].filter(([, result]) => result === "ok").length
console.log(`${passed} tests passed; ${problems.length} cases are missing or failed.`)
process.exitCode = problems.length ? 1 : 0
