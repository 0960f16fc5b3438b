import { defineConfig } from "vitest/config"

// The page in a real browser, against the real binary. One file at a time: they share the machine.
export default defineConfig({
  test: {
    include: ["browser/**/*.test.ts"],
    testTimeout: 40_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
})
