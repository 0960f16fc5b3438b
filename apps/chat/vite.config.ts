import tailwindcss from "@tailwindcss/vite"
import react from "@vitejs/plugin-react"
import { defineConfig } from "vitest/config"
import { documents } from "./build/documents.ts"
import { emojiData } from "./build/emoji-data.ts"
import { firstPaint } from "./build/first-paint.ts"
import { messages } from "./build/messages.ts"
import { serviceWorker } from "./build/service-worker.ts"

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
