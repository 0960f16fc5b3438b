import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import tailwindcss from "@tailwindcss/vite"
import react from "@vitejs/plugin-react"
import type { Plugin } from "vite"
import { defineConfig } from "vitest/config"
import { serviceWorker } from "./build/service-worker.ts"

const require = createRequire(import.meta.url)
const themeFile = new URL("./src/styles/theme-boot.js", import.meta.url)

/**
 * The theme has to be known before the first paint, and the page's policy allows no inline script. So the
 * few lines that choose it travel as a small classic script, hashed like everything else, at the very top
 * of the head. The text font is announced there too, so that the first words do not wait for the style sheet.
 */
function beforeFirstPaint(): Plugin {
  let themeRef = ""
  return {
    name: "lamplight-before-first-paint",
    async buildStart() {
      if (this.meta.watchMode || this.environment?.mode === "dev") return
      const { readFile } = await import("node:fs/promises")
      themeRef = this.emitFile({ type: "asset", name: "theme.js", source: await readFile(themeFile, "utf8") })
    },
    transformIndexHtml: {
      order: "post",
      handler(_html, context) {
        if (!context.bundle) {
          return [
            { tag: "script", attrs: { src: "/chat/src/styles/theme-boot.js" }, injectTo: "head-prepend" },
          ]
        }
        const theme = Object.values(context.bundle).find(
          (file) => file.type === "asset" && file.names.includes("theme.js"),
        )
        const font = Object.keys(context.bundle).find((name) =>
          /atkinson-hyperlegible-next-latin-wght-normal.*\.woff2$/.test(name),
        )
        if (!theme || !font) throw new Error(`the theme script (${themeRef}) or the text font was not built`)
        return [
          { tag: "script", attrs: { src: `/chat/${theme.fileName}` }, injectTo: "head-prepend" },
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

/** The data of the emoji picker, from the package: what the picker reads of it, in files of this page. */
function emojiData(): Plugin {
  const read = (name: string) =>
    JSON.parse(readFileSync(require.resolve(`emojibase-data/en/${name}.json`), "utf8"))
  const emojis = read("data").map(({ emoji, group, subgroup, label, version, tags, skins }: Emojibase) => ({
    emoji,
    group,
    subgroup,
    label,
    version,
    tags,
    skins: skins?.map((skin) => ({ emoji: skin.emoji, tone: skin.tone })),
  }))
  const files = new Map([
    ["data.json", JSON.stringify(emojis)],
    ["messages.json", JSON.stringify(read("messages"))],
  ])
  const hash = createHash("sha256")
    .update([...files.values()].join(""))
    .digest("base64url")
    .slice(0, 8)
  const folder = `assets/emoji-${hash}`
  return {
    name: "lamplight-emoji-data",
    config: () => ({ define: { __EMOJI_DATA__: JSON.stringify(`/chat/${folder}`) } }),
    configureServer(server) {
      server.middlewares.use(`/chat/${folder}/en/`, (request, response) => {
        response.setHeader("content-type", "application/json").end(files.get(request.url?.slice(1) ?? ""))
      })
    },
    generateBundle() {
      for (const [name, source] of files)
        this.emitFile({ type: "asset", fileName: `${folder}/en/${name}`, source })
    },
  }
}

interface Emojibase {
  emoji: string
  group?: number
  subgroup?: number
  label: string
  version: number
  tags?: string[]
  skins?: { emoji: string; tone: number | number[] }[]
}

export default defineConfig({
  base: "/chat/",
  plugins: [react(), tailwindcss(), beforeFirstPaint(), emojiData(), serviceWorker()],
  build: {
    target: "es2022",
    sourcemap: false,
    // Within 170 kB gzipped at the start (159 kB now). What few visits need loads when it is used: search, emoji, details, groups.
    chunkSizeWarningLimit: 700,
    // The page is one screen; a module graph of tiny files would only add round trips.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { "/api": { target: process.env.LAMPLIGHT_URL ?? "http://127.0.0.1:3000", ws: true } },
  },
  test: { include: ["src/**/*.test.{ts,tsx}"] },
})
