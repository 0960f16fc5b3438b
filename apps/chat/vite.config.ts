import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import tailwindcss from "@tailwindcss/vite"
import react from "@vitejs/plugin-react"
import type { Plugin } from "vite"
import { defineConfig } from "vitest/config"
import { documents } from "./build/documents.ts"
import { firstPaint } from "./build/first-paint.ts"
import { messages } from "./build/messages.ts"
import { serviceWorker } from "./build/service-worker.ts"

const require = createRequire(import.meta.url)

/** The data of the emoji picker, from the package: what the picker reads of it, in files of this page. */
function emojiData(): Plugin {
  const read = (language: string, name: string) =>
    JSON.parse(readFileSync(require.resolve(`emojibase-data/${language}/${name}.json`), "utf8"))
  const reduced = (language: string) =>
    read(language, "data").map(({ emoji, group, subgroup, label, version, tags, skins }: Emojibase) => ({
      emoji,
      group,
      subgroup,
      label,
      version,
      tags,
      skins: skins?.map((skin) => ({ emoji: skin.emoji, tone: skin.tone })),
    }))
  const files = new Map(
    ["en", "de"].flatMap((language) => [
      [`${language}/data.json`, JSON.stringify(reduced(language))],
      [`${language}/messages.json`, JSON.stringify(read(language, "messages"))],
    ]),
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

interface Emojibase {
  emoji: string
  group?: number
  subgroup?: number
  label: string
  version: number
  tags?: string[]
  skins?: { emoji: string; tone: number | number[] }[]
}

export default defineConfig(({ mode }) => ({
  base: "/chat/",
  plugins: [
    messages(),
    react(),
    tailwindcss(),
    emojiData(),
    // The story page (src/design/stories) is no part of the production build: `vite build --mode design` makes it alone.
    ...(mode === "design" ? [] : [firstPaint(), serviceWorker(), documents()]),
  ],
  build: {
    ...(mode === "design" && { rolldownOptions: { input: "design.html" } }),
    target: "es2022",
    sourcemap: false,
    // Within 170 kB gzipped at the start. What few visits need loads when it is used: search, emoji, details, groups.
    chunkSizeWarningLimit: 700,
    // The page is one screen; a module graph of tiny files would only add round trips.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { "/api": { target: process.env.LAMPLIGHT_URL ?? "http://127.0.0.1:3000", ws: true } },
  },
  test: { setupFiles: ["src/languages/setup.ts"], include: ["src/**/*.test.{ts,tsx}"] },
}))
