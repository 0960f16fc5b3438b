import { describe, expect, it } from "vitest"
import { isLoneEmoji } from "./emoji"
import type { Inline } from "./inline"
import { safeHref } from "./links"
import { type Block, parseMarkup } from "./markup"

/** The message that a tree was made of. */
const sourceOf = (blocks: readonly Block[]): string => blocks.map(blockSource).join("\n")

function blockSource(block: Block): string {
  switch (block.kind) {
    case "text":
      return block.lines.map(lineSource).join("\n")
    case "list":
      return block.items.map(({ mark, children }) => mark + lineSource(children)).join("\n")
    case "code":
      return [block.open, ...block.lines.map(({ text }) => text), block.close].join("\n")
    case "quote": {
      const { marks } = block
      return sourceOf(block.blocks)
        .split("\n")
        .map((line, i) => marks[i] + line)
        .join("\n")
    }
  }
}

const lineSource = (nodes: readonly Inline[]): string =>
  nodes
    .map((node) => {
      if ("children" in node) return node.mark + lineSource(node.children) + node.mark
      return node.kind === "code" ? node.before + node.text + node.after : node.text
    })
    .join("")

/** A short form: `strong(a em(b))`. */
const form = (nodes: readonly Inline[]): string =>
  nodes
    .map((node) => {
      if ("children" in node) return `${node.kind}(${form(node.children)})`
      return node.kind === "text" ? node.text : `${node.kind}(${node.text})`
    })
    .join("")

const ben = { id: "1", name: "Ben" }

/** The short form of a text without lists, quotes and blocks of code. */
function line(text: string, people = [ben]): string {
  const blocks = parseMarkup(text, people)
  expect(sourceOf(blocks)).toBe(text)
  return blocks
    .map((block) => (block.kind === "text" ? block.lines.map(form).join("\n") : block.kind))
    .join("\n")
}

const links = (text: string) => [...line(text).matchAll(/link\((.*?)\)(?= |$)/g)].map(([, shown]) => shown)

describe("emphasis", () => {
  it.each([
    [
      "**bold** and *italic* and _italic_ and ~~gone~~",
      "strong(bold) and em(italic) and em(italic) and strike(gone)",
    ],
    ["***both*** **a *b* c** *a **b***", "strong(em(both)) strong(a em(b) c) em(a strong(b))"],
    ["**a *b** c*", "strong(a *b) c*"],
    ["(**bold**), “*so*”", "(strong(bold)), “em(so)”"],
    ["**fett**، _مائل_ ~~مشطوب~~", "strong(fett)، em(مائل) strike(مشطوب)"],
    ["这是**粗体**字 これは**太字**です", "这是strong(粗体)字 これはstrong(太字)です"],
    ["**👍** *👨‍👩‍👧‍👦*", "strong(👍) em(👨‍👩‍👧‍👦)"],
    ["**`code`** and *https://a.test/b*", "strong(code(code)) and em(link(https://a.test/b))"],
    ["**@Ben** _@Ben_ @Ben_x", "strong(mention(@Ben)) em(mention(@Ben)) @Ben_x"],
  ])("reads %s", (text, expected) => {
    expect(line(text)).toBe(expected)
  })

  it.each([
    "2*3*4 and 2**8**2",
    "5 * 3 * 2",
    "file_name_here and __init__",
    "**not closed",
    "not opened**",
    "** spaces **",
    "**two\nlines**",
    "*.* and **.** and ****",
    "price* and terms*",
    "¯\\_(ツ)_/¯ \\*as typed\\*",
    "~one~ ~~~three~~~",
    "𝐚*𝐛*𝐜",
    "<img src=x onerror=alert(1)> &amp; [x](javascript:alert)",
    "# no heading",
    "---",
    "-5 >no 1.5 1.",
    "> ",
    ">_< >:(",
  ])("leaves as typed: %s", (text) => {
    if (text !== "> ") expect(line(text)).toBe(text)
    expect(sourceOf(parseMarkup(text))).toBe(text)
  })

  it("ignores marks inside names, code and links", () => {
    expect(line("**@A*B*_C** it", [{ id: "1", name: "A*B*_C" }])).toBe("strong(mention(@A*B*_C)) it")
    expect(line("`**a**` *`b*`*")).toBe("code(**a**) em(code(b*))")
    expect(line("https://a.test/_x_/**y**/z")).toBe("link(https://a.test/_x_/**y**/z)")
  })
})

describe("blocks", () => {
  it("parses lists, with the numbers as typed", () => {
    const blocks = parseMarkup("Bring:\n- **tea**\n  - green\n* milk\n3. three\n3) again\n\nSee you")
    expect(blocks.map(({ kind }) => kind)).toEqual(["text", "list", "list", "text"])
    const items = blocks.flatMap((block) => (block.kind === "list" ? block.items : []))
    expect(items.map(({ number, level, children }) => [number, level, form(children)])).toEqual([
      [null, 0, "strong(tea)"],
      [null, 1, "green"],
      [null, 0, "milk"],
      [3, 0, "three"],
      [3, 0, "again"],
    ])
  })

  it("parses quotes and their content", () => {
    const [quote, text] = parseMarkup("> *a*\n>\n> - b\n> > c\n> > > d\nyes")
    expect(quote?.kind === "quote" && quote.blocks.map(({ kind }) => kind)).toEqual(["text", "list", "quote"])
    // A third one in it is as typed.
    expect(JSON.stringify(quote)).toContain("> d")
    expect(text?.kind).toBe("text")
  })

  it("leaves code unchanged, links in it too", () => {
    expect(line("run `curl https://a.test` now, ``a`b`` and `` `c` ``")).toBe(
      "run code(curl https://a.test) now, code(a`b) and code(`c`)",
    )
    const blocks = parseMarkup("before\n```ts\nconst a = **1**\n\n- b\n```\nafter")
    expect(blocks.map(({ kind }) => kind)).toEqual(["text", "code", "text"])
    expect(blocks[1]).toMatchObject({
      language: "ts",
      lines: [{ text: "const a = **1**" }, { text: "" }, { text: "- b" }],
    })
  })

  it("leaves a fence that is never closed unchanged", () => {
    expect(line("```\nhello")).toBe("```\nhello")
    expect(parseMarkup("```\na\n```\n```ts\nb").map(({ kind }) => kind)).toEqual(["code", "text"])
    expect(parseMarkup("```\n```")[0]).toMatchObject({ kind: "code", lines: [] })
  })
})

describe("links", () => {
  it("exclude the punctuation of the sentence", () => {
    expect(line("See https://example.org/a_(b), or (http://x.test/).")).toBe(
      "See link(https://example.org/a_(b)), or (link(http://x.test/)).",
    )
    expect(links("www.example.org www.müller.example/x WWW.A.test awww.b.test www. www.c")).toEqual([
      "www.example.org",
      "www.müller.example/x",
      "WWW.A.test",
    ])
    expect(safeHref("www.example.org/x")).toBe("https://www.example.org/x")
  })

  it("end at a mark of direction, so that an address leads where it seems to", () => {
    for (const sign of "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") {
      expect(line(`https://evil.example/${sign}gro.lepmaxe`)).toBe(
        `link(https://evil.example/)${sign}gro.lepmaxe`,
      )
      expect(line(`www.evil.example/a${sign}b`)).toBe(`link(www.evil.example/a)${sign}b`)
    }
  })

  it("include e-mail addresses from their first letter", () => {
    expect(safeHref("asha@example.org")).toBe("mailto:asha@example.org")
    expect(links("(.a.b+c@x.example and d@y.example.")).toEqual(["a.b+c@x.example"])
    expect(links("a@b@c.example a@b @x.example a@.b")).toEqual(["b@c.example"])
    expect(links("mailto:a@b.example https://u@c.example/")).toEqual([
      "mailto:a@b.example",
      "https://u@c.example/",
    ])
    expect(links(`${"a".repeat(65)}@b.example`)).toEqual([])
    expect(line("_a_b@c.example_")).toBe("em(link(a_b@c.example))")
  })

  it.each([
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "vbscript:x",
    "http://",
    "//x.test",
  ])("never include %s", (text) => {
    expect(safeHref(text)).toBeNull()
    expect(line(text)).toBe(text)
  })
})

it("the parser loses no character of any text and reports the position of each", () => {
  const signs = [
    "*",
    "**",
    "_",
    "~~",
    "`",
    "```",
    "\n",
    "> ",
    "- ",
    "1. ",
    " ",
    "a",
    "é",
    "ب",
    "字",
    "👍",
    "@Ben",
    "\\",
  ]
  signs.push("https://a.test/x_y", "www.b.test", "a@b.test", ")", ".", "<b>", "\u202e", "\ud83d")
  // Always the same texts: a failure can be repeated.
  let seed = 7
  const next = (n: number) => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % n
  }
  const places = (text: string, nodes: readonly Inline[]) => {
    for (const node of nodes) {
      if ("children" in node) places(text, node.children)
      else expect(text.slice(node.at, node.at + node.text.length)).toBe(node.text)
      if (node.kind === "link") expect(node.href).toMatch(/^(https?:\/\/|mailto:)/)
    }
  }
  const visit = (text: string, blocks: readonly Block[]) => {
    for (const block of blocks) {
      if (block.kind === "quote") visit(text, block.blocks)
      else if (block.kind === "text") for (const nodes of block.lines) places(text, nodes)
      else if (block.kind === "list") for (const { children } of block.items) places(text, children)
      else
        for (const { at, text: shown } of block.lines) expect(text.slice(at, at + shown.length)).toBe(shown)
    }
  }
  for (let n = 0; n < 4_000; n += 1) {
    const text = Array.from({ length: 1 + next(24) }, () => signs[next(signs.length)]).join("")
    const blocks = parseMarkup(text, [ben])
    expect(sourceOf(blocks)).toBe(text)
    visit(text, blocks)
  }
})

describe("H13 parsing hostile text takes linear time", () => {
  const LENGTH = 100_000
  const LIMIT_MS = 1_000
  const fill = (part: string, length: number) => part.repeat(Math.ceil(length / part.length)).slice(0, length)
  it.each([
    ["closing brackets", (n: number) => `http://x/${fill(")]}", n)}`],
    ["brackets and marks", (n: number) => `https://a.test/${fill("(", n / 2)}${fill(")", n / 2)}!!!`],
    ["an address without an end", (n: number) => fill("a.", n)],
    ["many signs", (n: number) => fill("a@", n)],
    ["names without a domain", (n: number) => fill(`${"a".repeat(60)}@`, n)],
    ["an address of lines", (n: number) => `a@${fill("_", n)}.b`],
    ["code without an end", (n: number) => fill("`a", n)],
    [
      "backticks of every length",
      (n: number) => Array.from({ length: Math.sqrt(n) }, (_, i) => "`".repeat(i + 1)).join(" "),
    ],
    ["code of spaces", (n: number) => `\`${fill(" a", n)}\``],
    ["fences", (n: number) => fill("```\n", n)],
    ["fences without an end", (n: number) => fill("```a\n", n)],
    ["fences and spaces", (n: number) => fill(`\`\`\`${" ".repeat(60)}x\n`, n)],
    ["marks that open", (n: number) => fill("**a *b _c ~~d ", n)],
    ["marks that close", (n: number) => `**${fill(". .**", n)}`],
    ["marks in marks", (n: number) => fill("*a **b ", n / 2) + fill("c** d* ", n / 2)],
    ["three marks", (n: number) => fill("***a", n)],
    ["stars", (n: number) => fill("*", n)],
    ["links and marks", (n: number) => fill("http://a.b *x* ", n)],
    ["quotes", (n: number) => fill("> ", n)],
    ["lines of quotes", (n: number) => fill("> > > x\n", n)],
    ["items", (n: number) => fill("- a\n", n)],
    ["indents", (n: number) => fill(`${" ".repeat(8)}\n`, n)],
    ["right to left and emoji", (n: number) => fill("**شكرا** 👨‍👩‍👧‍👦 _ب_ ", n)],
    ["mentions", (n: number) => fill("@Ben", n)],
  ])("%s", (_, make) => {
    const text = make(LENGTH)
    const measure = () => {
      const began = performance.now()
      parseMarkup(text, [ben])
      return performance.now() - began
    }
    // The shortest of several runs, because load can slow one down. A quadratic parser takes seconds each time.
    let best = Number.POSITIVE_INFINITY
    for (let n = 0; n < 5 && best >= LIMIT_MS; n += 1) best = Math.min(best, measure())
    expect(best).toBeLessThan(LIMIT_MS)
  })
})

describe("lone emoji", () => {
  it.each(["👍", "👨‍👩‍👧‍👦", "🇩🇪 🎉", "👍🏽👍🏽👍🏽", "❤️"])("is large: %s", (text) => {
    expect(isLoneEmoji(text)).toBe(true)
  })
  it.each(["", "ok", "👍 ok", "👍👍👍👍", "1", "#"])("is not large: %s", (text) => {
    expect(isLoneEmoji(text)).toBe(false)
  })
})
