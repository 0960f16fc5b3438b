import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { isVisible, refuseContent } from "../src/content.js"

const fixture = new URL("../../../fixtures/text/visible.json", import.meta.url)
const { visible, blank } = JSON.parse(readFileSync(fixture, "utf8")) as Record<"visible" | "blank", string[]>

describe("F19 Rust and TypeScript agree on which text is visible", () => {
  test.each(visible)("%j is visible", (text) => {
    expect(isVisible(text)).toBe(true)
    expect(refuseContent(text)).toBeNull()
  })

  test.each(blank)("%j is not visible", (text) => {
    expect(isVisible(text)).toBe(false)
    expect(refuseContent(text)?.code).toBe("empty_message")
  })
})
