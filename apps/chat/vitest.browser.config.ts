import { defineConfig } from "vitest/config"
import { messages } from "./build/messages.ts"

// The page in a real browser, against the real binary. One file at a time: they share the machine.
export default defineConfig({
  // Some tests press what has a text of the page.
  plugins: [messages()],
  test: {
    setupFiles: ["src/languages/setup.ts"],
    include: ["browser/**/*.test.ts"],
    // A test that passes does not wait as long; one that fails says for what it waited.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000, interval: 25 } },
    fileParallelism: false,
  },
})
