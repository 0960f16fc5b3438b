import { readdirSync } from "node:fs"
import compile from "icu-minify/compile"
import type { Plugin } from "vite"

type Catalogue = { [key: string]: string | Catalogue }

const FOLDER = "src/languages/"

/** The codes of the languages: each has a file. */
export const LANGUAGES = readdirSync(new URL(`../${FOLDER}`, import.meta.url))
  .filter((name) => /^[a-z]{2}(-[A-Za-z]+)?\.json$/.test(name))
  .map((name) => name.slice(0, -".json".length))
  .sort()

/** The language of a file of the build, or null: it has the texts of none. */
export function languageOf(moduleId: string | null | undefined): string | null {
  const code = /\/src\/languages\/([\w-]+)\.json$/.exec(moduleId ?? "")?.[1]
  return code && LANGUAGES.includes(code) ? code : null
}

/**
 * Compiles the ICU messages of the catalogues, so that the page has no parser: `languages/format.ts` formats what this makes. A message
 * that cannot be parsed fails the build and names its key.
 */
export function messages(): Plugin {
  return {
    name: "lamplight-messages",
    enforce: "pre",
    transform(code, id) {
      if (!/\/src\/languages\/[\w-]+\.json$/.test(id)) return null
      return { code: JSON.stringify(compileAll(JSON.parse(code), id)), map: null }
    },
  }
}

function compileAll(catalogue: Catalogue, path: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(catalogue).map(([key, value]) => {
      const name = `${path} > ${key}`
      if (typeof value !== "string") return [key, compileAll(value, name)]
      try {
        return [key, compile(value)]
      } catch (error) {
        throw new Error(`${name} is not an ICU message: ${(error as Error).message}`)
      }
    }),
  )
}
