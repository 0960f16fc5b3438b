// Writes the names and search words of emoji in the languages that emojibase lacks, from Unicode's CLDR: `npm run emoji -w apps/chat`.
// The packages have all languages and are large, so they are no dependencies: two files of each are taken, and the result is kept.
import { execFileSync } from "node:child_process"
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const VERSION = "48.2.0"
const LANGUAGES = ["ar"]

const require = createRequire(import.meta.url)
const into = fileURLToPath(new URL("../src/emoji/generated/", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "lamplight-emoji-"))

/** The characters that a name is written for: CLDR leaves out the selector of the colored form. */
const plain = (emoji) => emoji.replaceAll("\ufe0f", "")

try {
  for (const name of ["cldr-annotations-full", "cldr-annotations-derived-full"]) {
    const run = (command, ...words) => execFileSync(command, words, { cwd: folder, encoding: "utf8" })
    run("tar", "xzf", run("npm", "pack", "--silent", `${name}@${VERSION}`).trim())
  }
  const read = (path, key) =>
    JSON.parse(readFileSync(join(folder, "package", path, "annotations.json"), "utf8"))[key].annotations
  const all = require("emojibase-data/en/data.json").filter(({ group }) => group !== undefined)
  for (const language of LANGUAGES) {
    const names = {
      ...read(`annotations/${language}`, "annotations"),
      ...read(`annotationsDerived/${language}`, "annotationsDerived"),
    }
    const lines = all.flatMap(({ emoji }) => {
      const found = names[emoji] ?? names[plain(emoji)]
      if (!found) return []
      const [label] = found.tts
      const words = [label, ...(found.default ?? []).filter((word) => word !== label)]
      return [`${JSON.stringify(emoji)}: ${JSON.stringify(words)}`]
    })
    writeFileSync(join(into, `${language}.json`), `{\n${lines.join(",\n")}\n}\n`)
  }
  copyFileSync(join(folder, "package/LICENSE"), join(into, "LICENSE-UNICODE"))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
