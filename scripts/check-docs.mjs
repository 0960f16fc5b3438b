// Checks that the documentation matches the repository:
// - every relative link in a Markdown file leads to a file, and to a heading where it names one;
// - every path that ARCHITECTURE.md and CONTRIBUTING.md name exists;
// - the tables of docs/scale.md and docs/operations.md are what bench/scale/model.mjs prints;
// - the tables of tests in docs/invariants.md, docs/cluster-cases.md and docs/page.md list exactly the files whose tests carry a
//   number.
//
//   node scripts/check-docs.mjs          reports what is wrong and exits with 1
//   node scripts/check-docs.mjs --fix    writes these tables first

import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { fileURLToPath } from "node:url"

process.chdir(join(dirname(fileURLToPath(import.meta.url)), ".."))
const git = ["ls-files", "--cached", "--others", "--exclude-standard"]
const files = execFileSync("git", git, { encoding: "utf8" })
  .split("\n")
  .filter((file) => file && existsSync(file))
const problems = []

const read = (file) => readFileSync(file, "utf8")
const withoutCode = (text) => text.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "")

/** The anchors that GitHub makes of a page's headings. */
function anchors(text) {
  const headings = text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ (.+)$/gm)
  return new Set(
    [...headings].map(([, heading]) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  )
}

/** The pages with numbered rules, and the letters of these numbers: docs/page.md has plain numbers. */
const NUMBERED = { "docs/invariants.md": "PM", "docs/cluster-cases.md": "C", "docs/page.md": "" }
const carriers = new Map()
const carry = (number, file) => carriers.set(number, (carriers.get(number) ?? new Set()).add(file))
for (const file of files) {
  if (/\.rs$/.test(file)) {
    for (const [, prefix] of read(file).matchAll(/\bfn ((?:(?:and_)?[pmc]\d+_)+)/g))
      for (const [number] of prefix.matchAll(/[pmc]\d+/g)) carry(number.toUpperCase(), file)
  } else if (/\.test\.(?:mjs|tsx?)$/.test(file)) {
    for (const [, prefix] of read(file).matchAll(/["`]((?:[A-Z]\d+[,:]? )+)/g))
      for (const [number] of prefix.matchAll(/[PMC]\d+/g)) carry(number, file)
    if (file.startsWith("apps/chat/"))
      for (const [, prefix] of read(file).matchAll(/["`]((?:[A-Z]?\d+ )*[A-Z]?\d+): /g))
        for (const [number] of prefix.matchAll(/\b\d+/g)) carry(number, file)
  }
}
const known = new Set()
for (const [page, letters] of Object.entries(NUMBERED)) {
  const text = read(page)
  const rules = new RegExp(`^- \\*\\*(${letters && `[${letters}]`}\\d+)\\*\\*`, "gm")
  const numbers = [...text.matchAll(rules)].map(([, number]) => number)
  const digits = (number) => Number(number.replace(/\D/, ""))
  numbers.sort((a, b) => letters.indexOf(a[0]) - letters.indexOf(b[0]) || digits(a) - digits(b))
  const row = (number) => {
    const found = [...(carriers.get(number) ?? [])].sort().map((file) => `\`${file}\``)
    if (found.length === 0) problems.push(`${page}: no test carries the number ${number}`)
    return `| ${number} | ${found.join(", ")} |`
  }
  const table = ["| rule | files |", "|---|---|", ...numbers.map(row)].join("\n")
  const fixed = text.replace(
    /<!-- tests -->[\s\S]*<!-- \/tests -->/,
    `<!-- tests -->\n${table}\n<!-- /tests -->`,
  )
  for (const number of numbers) known.add(number)
  if (process.argv.includes("--fix")) writeFileSync(page, fixed)
  else if (fixed !== text)
    problems.push(`${page}: the table of tests is out of date; run "node scripts/check-docs.mjs --fix"`)
}
for (const [number, named] of carriers)
  if (!known.has(number))
    problems.push(
      `${[...named].join(", ")}: a test names ${number}, which no page of ${Object.keys(NUMBERED).join(", ")} has`,
    )

// The tables of the model are what it prints.
const printed = execFileSync("node", ["bench/scale/model.mjs"], { encoding: "utf8" })
const blocks = [...printed.matchAll(/<!-- (\w+) -->\n[\s\S]*?<!-- \/\1 -->/g)]
const placed = new Set()
for (const page of ["docs/scale.md", "docs/operations.md"]) {
  const text = read(page)
  let computed = text
  for (const [block, name] of blocks) {
    const place = new RegExp(`<!-- ${name} -->[\\s\\S]*?<!-- /${name} -->`)
    if (place.test(text)) placed.add(name)
    computed = computed.replace(place, () => block)
  }
  if (process.argv.includes("--fix")) writeFileSync(page, computed)
  else if (computed !== text)
    problems.push(
      `${page}: the tables are not what the model prints; run "node scripts/check-docs.mjs --fix"`,
    )
}
for (const [, name] of blocks)
  if (!placed.has(name)) problems.push(`bench/scale/model.mjs prints ${name}, which no page has a place for`)

for (const file of files.filter((file) => file.endsWith(".md"))) {
  for (const [, target] of withoutCode(read(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue
    const [path, anchor] = target.split("#")
    const found = path ? normalize(join(dirname(file), path)) : file
    if (!existsSync(found)) problems.push(`${file}: the link ${target} leads nowhere`)
    else if (anchor && found.endsWith(".md") && !anchors(read(found)).has(anchor))
      problems.push(`${file}: the link ${target} names no heading of ${found}`)
  }
}

// A path in backticks begins with a folder of the repository's root, or with a crate: `server/hub.rs` is
// crates/server/src/hub.rs. `*` and `…` stand for any name.
const roots = "apps|bench|crates|docs|examples|fixtures|packages|scripts|tests"
const crates = "domain|usecases|wire|embedded|distributed|server"
const paths = new RegExp(`\`((${roots}|${crates})/[^\`\\s]+)\``, "g")
for (const file of ["ARCHITECTURE.md", "CONTRIBUTING.md", ...Object.keys(NUMBERED)]) {
  for (const [, path, root] of read(file).matchAll(paths)) {
    const found = crates.split("|").includes(root) ? path.replace(root, `crates/${root}/src`) : path
    if (!/[*<…]/.test(path) && !existsSync(found)) problems.push(`${file}: there is no ${path}`)
  }
}

for (const problem of problems) console.error(problem)
process.exitCode = problems.length ? 1 : 0
