import { configDefaults, defineConfig } from "vitest/config"
import { messages } from "./build/messages.ts"

/**
 * Files that prove things of the page alone: how it looks, reads, scrolls and answers to hand and keyboard. How many nodes
 * there are makes no difference to them, so they run against one. What is delivered, stored or shown of presence, sessions
 * and files runs against three as well.
 */
const PAGE_ALONE = [
  "back",
  "calm",
  "compose",
  "design",
  "everyone",
  "facts",
  "insecure",
  "installed",
  "keyboard",
  "languages",
  "looks",
  "reach",
  "settings",
  "spoken",
  "switch",
  "touch",
  "window",
].map((name) => `browser/${name}.test.ts`)

const isCluster = process.env.LAMPLIGHT_TARGET === "cluster"

// The page in a real browser, against the real binary. One file at a time: they share the machine.
export default defineConfig({
  // Some tests press what has a text of the page.
  plugins: [messages()],
  test: {
    setupFiles: ["src/languages/setup.ts"],
    include: ["browser/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...(isCluster ? PAGE_ALONE : [])],
    // A test that passes does not wait as long; one that fails says for what it waited.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000, interval: 25 } },
    fileParallelism: false,
  },
})
