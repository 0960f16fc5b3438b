import { describe, expect, it } from "vitest"
import { isLoneEmoji } from "./emoji"
import { safeHref, tokenise } from "./tokens"

describe("tokens", () => {
  it("finds links and leaves the sentence's own marks outside", () => {
    expect(tokenise("See https://example.org/a_(b), or (http://x.test/).")).toEqual([
      { kind: "text", text: "See " },
      { kind: "link", text: "https://example.org/a_(b)", href: "https://example.org/a_(b)" },
      { kind: "text", text: ", or (" },
      { kind: "link", text: "http://x.test/", href: "http://x.test/" },
      { kind: "text", text: ")." },
    ])
  })

  it("writes to an address, whether or not it says mailto", () => {
    expect(tokenise("asha@example.org!")[0]).toEqual({
      kind: "link",
      text: "asha@example.org",
      href: "mailto:asha@example.org",
    })
  })

  it.each(["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "vbscript:x", "http://"])(
    "never links %s",
    (text) => {
      expect(safeHref(text)).toBeNull()
      expect(tokenise(text).every((token) => token.kind === "text")).toBe(true)
    },
  )

  it("shows markup as it was typed", () => {
    const text = "<img src=x onerror=alert(1)> **no** &amp;"
    expect(tokenise(text)).toEqual([{ kind: "text", text }])
  })

  it("keeps code as it is, links in it too", () => {
    expect(tokenise("run `curl https://a.test` now")).toEqual([
      { kind: "text", text: "run " },
      { kind: "code", text: "curl https://a.test" },
      { kind: "text", text: " now" },
    ])
    expect(tokenise("before\n```ts\nconst a = 1\n\nconst b = 2\n```\nafter")).toEqual([
      { kind: "text", text: "before" },
      { kind: "block", language: "ts", text: "const a = 1\n\nconst b = 2" },
      { kind: "text", text: "after" },
    ])
  })

  it("leaves a fence that is never closed alone, and stays quick on hostile text", () => {
    expect(tokenise("```\nhello")).toEqual([{ kind: "text", text: "```\nhello" }])
    const began = performance.now()
    tokenise("`".repeat(8_000))
    tokenise("https://a.test/".concat("(".repeat(4_000), ")".repeat(3_900), "!".repeat(90)))
    tokenise("a@".repeat(4_000))
    tokenise("```\n".repeat(2_000))
    expect(performance.now() - began).toBeLessThan(500)
  })
})

describe("lone emoji", () => {
  it.each(["👍", "👨‍👩‍👧‍👦", "🇩🇪 🎉", "👍🏽👍🏽👍🏽", "❤️"])("is large: %s", (text) => {
    expect(isLoneEmoji(text)).toBe(true)
  })
  it.each(["", "ok", "👍 ok", "👍👍👍👍", "1", "#"])("is not: %s", (text) => {
    expect(isLoneEmoji(text)).toBe(false)
  })
})
