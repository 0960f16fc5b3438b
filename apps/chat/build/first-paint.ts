import type { Plugin } from "vite"
import { languages } from "../src/languages/choice.ts"
import { languageOf } from "./messages.ts"

const script = new URL("../src/styles/first-paint.js", import.meta.url)

/**
 * The theme and the language have to be known before the first paint, and the page's policy allows no inline script. So the few lines
 * that choose them travel as a small classic script, hashed like everything else, at the very top of the head, with the paths of the
 * texts of each language. The text font is announced there too, so that the first words do not wait for the style sheet.
 */
export function firstPaint(): Plugin {
  return {
    name: "lamplight-first-paint",
    async buildStart() {
      if (this.meta.watchMode || this.environment?.mode === "dev") return
      const { readFile } = await import("node:fs/promises")
      this.emitFile({ type: "asset", name: "first-paint.js", source: await readFile(script, "utf8") })
    },
    transformIndexHtml: {
      order: "post",
      handler(_html, context) {
        const paths = new Map<string, string>()
        for (const file of Object.values(context.bundle ?? {})) {
          const language = file.type === "chunk" ? languageOf(file.facadeModuleId) : null
          if (language) paths.set(language, `/chat/${file.fileName}`)
        }
        const data = JSON.stringify(
          Object.fromEntries(languages.map(({ code, dir }) => [code, { dir, path: paths.get(code) ?? "" }])),
        )
        if (!context.bundle) {
          const src = "/chat/src/styles/first-paint.js"
          return [{ tag: "script", attrs: { src, "data-languages": data }, injectTo: "head-prepend" }]
        }
        const first = Object.values(context.bundle).find(
          (file) => file.type === "asset" && file.names.includes("first-paint.js"),
        )
        const font = Object.keys(context.bundle).find((name) =>
          /atkinson-hyperlegible-next-latin-wght-normal.*\.woff2$/.test(name),
        )
        const without = languages.filter(({ code }) => !paths.has(code))
        if (!first || !font || without.length > 0)
          throw new Error(
            "the script before the first paint, the text font or the texts of a language were not built",
          )
        return [
          {
            tag: "script",
            attrs: { src: `/chat/${first.fileName}`, "data-languages": data },
            injectTo: "head-prepend",
          },
          {
            tag: "link",
            attrs: { rel: "preload", as: "font", type: "font/woff2", crossorigin: "", href: `/chat/${font}` },
            injectTo: "head-prepend",
          },
        ]
      },
    },
  }
}
