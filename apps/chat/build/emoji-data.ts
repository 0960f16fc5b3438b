import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import type { Plugin } from "vite"

const require = createRequire(import.meta.url)

interface Emojibase {
  emoji: string
  group?: number
  subgroup?: number
  label: string
  version: number
  tags?: string[]
  skins?: { emoji: string; tone: number | number[] }[]
}

interface Messages {
  groups: { key: string; order: number }[]
  subgroups: { key: string; order: number }[]
  skinTones: { key: string }[]
}

const read = (path: string) => JSON.parse(readFileSync(path, "utf8"))
const ofPackage = (language: string, name: string) =>
  read(require.resolve(`emojibase-data/${language}/${name}.json`))

/** Names from CLDR for languages that the package lacks: see emoji-names.mjs. */
const ofCldr = (language: string): Record<string, string[]> =>
  read(new URL(`../src/emoji/generated/${language}.json`, import.meta.url).pathname)

/** A word as people type it: without diacritics, and with one form of letters that have several. */
const typed = (arabic: string) =>
  arabic
    .replace(/[\u064b-\u0652\u0670\u0640]/g, "")
    .replace(/[أإآٱ]/g, "ا")
    .replace(/ى/g, "ي")
    .replace(/ة/g, "ه")

/** In Arabic, with other spellings of each word, and the English name, which some look for. */
function inArabic(): Emojibase[] {
  const names = ofCldr("ar")
  return ofPackage("en", "data").map((one: Emojibase) => {
    const [label = one.label, ...words] = names[one.emoji] ?? []
    const spellings = [label, ...words].map(typed).filter((word) => word !== label && !words.includes(word))
    return { ...one, label, tags: [...new Set([...words, ...spellings, one.label])] }
  })
}

const reduced = (all: Emojibase[]) =>
  all.map(({ emoji, group, subgroup, label, version, tags, skins }) => ({
    emoji,
    group,
    subgroup,
    label,
    version,
    tags,
    skins: skins?.map((skin) => ({ emoji: skin.emoji, tone: skin.tone })),
  }))

/** The groups have their keys as names: the texts are in the catalogue of the page. */
function keys(): unknown {
  const { groups, subgroups, skinTones } = ofPackage("en", "messages") as Messages
  const named = ({ key, order }: { key: string; order: number }) => ({ key, order, message: key })
  return {
    groups: groups.map(named),
    subgroups: subgroups.map(({ key, order }) => ({ key, order })),
    skinTones: skinTones.map(({ key }) => ({ key, message: key })),
  }
}

/**
 * The data of the emoji picker: what it reads of the package, in files of this page. The picker knows a fixed list of languages, and
 * Arabic is not among them: so each language has a folder of its own, in which the data is "en".
 */
export function emojiData(): Plugin {
  const files = new Map(
    Object.entries({ en: ofPackage("en", "data"), de: ofPackage("de", "data"), ar: inArabic() }).flatMap(
      ([language, all]) => [
        [`${language}/en/data.json`, JSON.stringify(reduced(all))],
        [`${language}/en/messages.json`, JSON.stringify(keys())],
      ],
    ),
  )
  const hash = createHash("sha256")
    .update([...files.values()].join(""))
    .digest("base64url")
    .slice(0, 8)
  const folder = `assets/emoji-${hash}`
  return {
    name: "lamplight-emoji-data",
    config: () => ({ define: { __EMOJI_DATA__: JSON.stringify(`/chat/${folder}`) } }),
    configureServer(server) {
      server.middlewares.use(`/chat/${folder}/`, (request, response) => {
        response.setHeader("content-type", "application/json").end(files.get(request.url?.slice(1) ?? ""))
      })
    },
    generateBundle() {
      for (const [name, source] of files)
        this.emitFile({ type: "asset", fileName: `${folder}/${name}`, source })
    },
  }
}
