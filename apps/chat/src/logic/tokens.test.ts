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

  it("leaves a fence that is never closed alone", () => {
    expect(tokenise("```\nhello")).toEqual([{ kind: "text", text: "```\nhello" }])
    expect(tokenise("```\na\n```\n```ts\nb")).toEqual([
      { kind: "block", language: "", text: "a" },
      { kind: "text", text: "```ts\nb" },
    ])
    expect(tokenise("```\n\n```")).toEqual([{ kind: "block", language: "", text: "" }])
  })

  it("takes what an address can be, from its first letter", () => {
    const links = (text: string) =>
      tokenise(text).flatMap((token) => (token.kind === "link" ? [token.text] : []))
    expect(links("(.a.b+c@x.example) and d@y.example.")).toEqual(["a.b+c@x.example", "d@y.example"])
    expect(links("a@b@c.example a@b @x.example a@.b")).toEqual(["b@c.example"])
    expect(links("mailto:a@b.example https://u@c.example/")).toEqual([
      "mailto:a@b.example",
      "https://u@c.example/",
    ])
    expect(links(`${"a".repeat(65)}@b.example`)).toEqual([])
  })

  it.each([
    ["closing brackets", `http://x/${")]}".repeat(2_664)}`],
    ["brackets and marks", `https://a.test/${"(".repeat(4_000)}${")".repeat(3_900)}${"!".repeat(85)}`],
    ["an address without an end", `${"a.".repeat(3_999)}a`],
    ["many signs", "a@".repeat(4_000)],
    ["names without a domain", `${"a".repeat(60)}@`.repeat(131)],
    ["code without an end", "`a".repeat(4_000)],
    ["backticks", "`".repeat(8_000)],
    ["fences", "```\n".repeat(2_000)],
    ["fences without an end", "```a\n".repeat(1_600)],
    ["fences and spaces", `\`\`\`${" ".repeat(60)}x\n`.repeat(125)],
  ])("H13 reads 8,000 characters of hostile text at once: %s", (_, text) => {
    const measure = () => {
      const began = performance.now()
      tokenise(text)
      return performance.now() - began
    }
    // The shortest of some: load makes one of them slow, a slow pattern all.
    expect(Math.min(...Array.from({ length: 5 }, measure))).toBeLessThan(15)
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
