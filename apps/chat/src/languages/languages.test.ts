import { readFileSync } from "node:fs"
import { type MessageFormatElement, parse, TYPE } from "@formatjs/icu-messageformat-parser"
import compile from "icu-minify/compile"
import formatMessage from "icu-minify/format"
import { describe, expect, it } from "vitest"
import { LANGUAGES } from "../../build/messages.ts"
import { messageArguments } from "./arguments"
import { languages, localeOf, systemLanguage } from "./choice"
import { formatters, type Texts, type Values } from "./format"
import { noticeArguments } from "./notices"

// The files as they are written: the imports of the page are compiled.
const read = (name: string): Texts => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"))
const notices = read("notices.json") as Record<string, Texts>
const catalogue = (code: string): Texts => ({ ...read(`${code}.json`), notification: notices[code] as Texts })
const makers = { ...messageArguments, notification: noticeArguments }

function flat(texts: Texts, path = ""): [key: string, text: string][] {
  return Object.entries(texts).flatMap(([key, value]): [string, string][] =>
    typeof value === "string" ? [[path + key, value]] : flat(value, `${path}${key}.`),
  )
}

/** All plurals and arguments of a message, those in the branches of others too. */
function visit(elements: readonly MessageFormatElement[], see: (one: MessageFormatElement) => void): void {
  for (const one of elements) {
    see(one)
    if (one.type === TYPE.plural || one.type === TYPE.select)
      for (const { value } of Object.values(one.options)) visit(value, see)
  }
}

/** The names of a message's arguments, each with its kind. */
function argumentsOf(text: string): string[] {
  const found = new Set<string>()
  visit(parse(text), (one) => {
    if (one.type === TYPE.literal || one.type === TYPE.pound) return
    if (one.type === TYPE.tag) throw new Error(`a tag: ${text}`)
    const keys = one.type === TYPE.select ? Object.keys(one.options).sort().join("|") : ""
    found.add(`${one.value} ${one.type === TYPE.number ? "" : TYPE[one.type]} ${keys}`.trim())
  })
  // A number is written with or without its plural, as the language needs it.
  return [...found].map((one) => one.replace(/ (plural|argument)$/, "")).sort()
}

const english = new Map(flat(catalogue("en")))
const COUNTS = [0, 1, 2, 3, 11, 100]

/** Values for each argument: every branch of a `select`, and numbers of every plural form. */
function* examples(text: string): Generator<Values> {
  const selects = new Map<string, string[]>()
  const names = new Set<string>()
  visit(parse(text), (one) => {
    if (one.type === TYPE.select) selects.set(one.value, Object.keys(one.options))
    else if (one.type === TYPE.plural || one.type === TYPE.number) names.add(one.value)
    else if (one.type === TYPE.argument) names.add(one.value)
  })
  const choices = [...selects].reduce<Values[]>(
    (all, [name, options]) =>
      all.flatMap((before) => options.map((option) => ({ ...before, [name]: option }))),
    [{}],
  )
  for (const choice of choices)
    for (const count of COUNTS)
      yield { ...Object.fromEntries([...names].map((name) => [name, count])), ...choice }
}

it("each language that can be chosen has a file", () => {
  const codes = languages.map(({ code }) => code).sort()
  expect(LANGUAGES).toEqual(codes)
  expect(Object.keys(notices).sort()).toEqual(codes)
})

describe.each(languages.map(({ code }) => code))("the texts in %s", (code) => {
  const texts = flat(catalogue(code))
  const categories = new Intl.PluralRules(code).resolvedOptions().pluralCategories

  it("have every key with the same arguments", () => {
    expect(texts.map(([key]) => key)).toEqual([...english.keys()])
    for (const [key, text] of texts)
      expect([key, ...argumentsOf(text)]).toEqual([key, ...argumentsOf(english.get(key) ?? "")])
  })

  it("have every plural form of their language", () => {
    for (const [key, text] of texts)
      visit(parse(text), (one) => {
        if (one.type !== TYPE.plural) return
        const missing = categories.filter((form) => !(form in one.options))
        expect([key, ...missing], `${key} lacks plural forms`).toEqual([key])
      })
  })

  it("format for any number", () => {
    for (const [key, text] of texts) {
      const compiled = compile(text)
      for (const values of examples(text)) {
        const shown = formatMessage<string>(compiled, code, values, { formatters })
        expect(String(shown), key).not.toMatch(/undefined|NaN|null|[{}]|\[object/)
      }
    }
  })

  it("are plain text", () => {
    for (const [key, text] of texts) {
      expect([key, text]).toEqual([key, text.trim()])
      expect(text, key).not.toMatch(/ {2}|\.\.\.|["<>]/)
    }
  })
})

type Make = (...args: unknown[]) => Values

/** The result of a maker for names, or for lists of names. */
function exampleOf(make: Make): Values {
  try {
    return make("a", "b", "c")
  } catch {
    return make(["a"], ["b"], "c")
  }
}

it("every group exists from the start, so that components may hold it", () => {
  const groups = (node: object, path = ""): string[] =>
    Object.entries(node).flatMap(([key, value]) =>
      typeof value === "object" ? [path + key, ...groups(value, `${path}${key}.`)] : [],
    )
  expect(groups(messageArguments).sort()).toEqual(groups(read("en.json")).sort())
})

it("the functions provide the arguments of the messages", () => {
  const walk = (node: object, path: string): void => {
    for (const [key, make] of Object.entries(node) as [string, Make | object][]) {
      if (!(typeof make === "function")) walk(make, `${path}${key}.`)
      else {
        const values = exampleOf(make as Make)
        const used = argumentsOf(english.get(path + key) ?? "").map((one) => one.split(" ")[0] as string)
        for (const name of used) expect(Object.keys(values), path + key).toContain(name)
      }
    }
  }
  walk(makers, "")
  for (const [key, text] of english) {
    if (argumentsOf(text).length === 0) continue
    const make = key.split(".").reduce<unknown>((at, part) => (at as Record<string, unknown>)?.[part], makers)
    expect(typeof make, key).toBe("function")
  }
})

describe("the language of the page", () => {
  it("is the user's first available language, or English", () => {
    expect(systemLanguage(["en-GB", "de"])).toBe("en")
    expect(systemLanguage(["tlh", "EN-us"])).toBe("en")
    expect(systemLanguage(["tlh"])).toBe("en")
    expect(systemLanguage([])).toBe("en")
    expect(systemLanguage(["C", "de_DE.UTF-8", "", "ar"])).toBe("ar")
  })

  it("uses the locale of the user's region", () => {
    expect(localeOf("en", ["de-AT", "en-GB", "en-US"])).toBe("en-GB")
    expect(localeOf("en", ["de-AT"])).toBe("en-AT")
    expect(localeOf("ar", ["de"])).toBe("ar")
    expect(localeOf("ar", [])).toBe("ar")
    expect(localeOf("en", ["C"])).toBe("en")
    expect(localeOf("en", ["en_US.UTF-8", "de-AT"])).toBe("en-AT")
  })
})
