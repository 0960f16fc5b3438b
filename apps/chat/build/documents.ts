import { readFileSync } from "node:fs"
import type { Plugin } from "vite"
import { languages } from "../src/languages/choice.ts"

const read = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"))

/** Replaces a part that must be there. */
function swap(text: string, part: string, other: string): string {
  if (!text.includes(part)) throw new Error(`index.html has no ${part}`)
  return text.replace(part, () => other)
}

/**
 * The page and its manifest in each language: index.de.html and manifest.de.webmanifest beside those in English. Without a script the
 * browser shows what the document says, and search engines and the installation read it: the server chooses by `Accept-Language`.
 */
export function documents(): Plugin {
  return {
    name: "lamplight-documents",
    apply: "build",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const page = bundle["index.html"]
        if (page?.type !== "asset") throw new Error("the page was not built")
        const english = read("../src/languages/en.json")
        const manifest = read("../public/manifest.webmanifest")
        if (manifest.description !== english.motto)
          throw new Error("manifest.webmanifest has another description than `motto` of en.json")
        for (const { code, dir } of languages) {
          const texts = read(`../src/languages/${code}.json`)
          let html = swap(String(page.source), '<html lang="en"', `<html lang="${code}" dir="${dir}"`)
          html = swap(html, `content="${english.motto}"`, `content="${texts.motto}"`)
          html = swap(html, `<noscript>${english.noScript}<`, `<noscript>${texts.noScript}<`)
          if (code === "en") continue
          html = swap(html, "/manifest.webmanifest", `/manifest.${code}.webmanifest`)
          this.emitFile({ type: "asset", fileName: `index.${code}.html`, source: html })
          const own = { ...manifest, description: texts.motto, lang: code, dir }
          this.emitFile({
            type: "asset",
            fileName: `manifest.${code}.webmanifest`,
            source: JSON.stringify(own, null, 2),
          })
        }
      },
    },
  }
}
