// Checks that the documentation matches the repository:
// - every relative link in a Markdown file leads to a file, and to a heading where it names one;
// - every path that ARCHITECTURE.md and CONTRIBUTING.md name exists;
// - the table of tests in docs/invariants.md lists exactly the files whose tests carry a number.
//
//   node scripts/check-docs.mjs          reports what is wrong and exits with 1
//   node scripts/check-docs.mjs --fix    writes the table of tests first

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

const INVARIANTS = "docs/invariants.md"
const carriers = new Map()
const carry = (number, file) => carriers.set(number, (carriers.get(number) ?? new Set()).add(file))
for (const file of files) {
  if (/\.rs$/.test(file)) {
    for (const [, prefix] of read(file).matchAll(/\bfn ((?:(?:and_)?[pm]\d+_)+)/g))
      for (const [number] of prefix.matchAll(/[pm]\d+/g)) carry(number.toUpperCase(), file)
  } else if (/\.test\.(?:mjs|tsx?)$/.test(file)) {
    for (const [, prefix] of read(file).matchAll(/["`]((?:[A-Z]\d+[,:]? )+)/g))
      for (const [number] of prefix.matchAll(/[PM]\d+/g)) carry(number, file)
  }
}
const text = read(INVARIANTS)
const numbers = [...text.matchAll(/^- \*\*([PM]\d+)\*\*/gm)].map(([, number]) => number)
const cell = (number) =>
  [...(carriers.get(number) ?? [])]
    .sort()
    .map((file) => `\`${file}\``)
    .join(", ") || "none yet"
const table = [
  "| rule | files |",
  "|---|---|",
  ...numbers.map((number) => `| ${number} | ${cell(number)} |`),
].join("\n")
const fixed = text.replace(
  /<!-- tests -->[\s\S]*<!-- \/tests -->/,
  `<!-- tests -->\n${table}\n<!-- /tests -->`,
)
if (process.argv.includes("--fix")) writeFileSync(INVARIANTS, fixed)
else if (fixed !== text)
  problems.push(`${INVARIANTS}: the table of tests is out of date; run "node scripts/check-docs.mjs --fix"`)
for (const number of carriers.keys())
  if (!numbers.includes(number))
    problems.push(
      `${[...carriers.get(number)].join(", ")}: a test names ${number}, which ${INVARIANTS} does not have`,
    )

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
const crates = "domain|usecases|wire|embedded|server"
const paths = new RegExp(`\`((${roots}|${crates})/[^\`\\s]+)\``, "g")
for (const file of ["ARCHITECTURE.md", "CONTRIBUTING.md", INVARIANTS]) {
  for (const [, path, root] of read(file).matchAll(paths)) {
    const found = crates.split("|").includes(root) ? path.replace(root, `crates/${root}/src`) : path
    if (!/[*<…]/.test(path) && !existsSync(found)) problems.push(`${file}: there is no ${path}`)
  }
}

for (const problem of problems) console.error(problem)
process.exitCode = problems.length ? 1 : 0
