import { createHash } from "node:crypto"
import { fileURLToPath } from "node:url"
import { build, type Plugin } from "vite"
import { messages } from "./messages.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

/** The script of the worker in one file, which no build of it needs modules for. */
async function compile(): Promise<string> {
  const result = await build({
    configFile: false,
    root,
    publicDir: false,
    logLevel: "warn",
    plugins: [messages()],
    build: {
      write: false,
      target: "es2022",
      rolldownOptions: { input: `${root}src/worker/index.ts`, output: { format: "iife" } },
    },
  })
  const outputs = (Array.isArray(result) ? result : [result]).flatMap((one) =>
    "output" in one ? one.output : [],
  )
  const script = outputs.find((file) => file.type === "chunk" && file.isEntry)
  if (script?.type !== "chunk") throw new Error("the service worker was not built")
  return script.code
}

/** What every visit may need: the page works without a server only if it is there. The rest is stored when it is used. */
const isEarly = (name: string) => /\.(js|css|svg)$/.test(name) || /-latin-wght-.*\.woff2$/.test(name)

/**
 * Adds the service worker, which has the list of the build's files, and names the build in the page: page, worker and files belong
 * together by this name.
 */
export function serviceWorker(): Plugin {
  return {
    name: "lamplight-service-worker",
    apply: "build",
    enforce: "post",
    generateBundle: {
      order: "post",
      async handler(_options, bundle) {
        const page = bundle["index.html"]
        if (page?.type !== "asset") throw new Error("the page was not built")
        const html = String(page.source)
        const code = await compile()
        const names = Object.keys(bundle)
          .filter((name) => name.startsWith("assets/"))
          .sort()
        const version = createHash("sha256")
          .update([html, code, ...names].join("\n"))
          .digest("hex")
          .slice(0, 16)
        page.source = html.replace("</head>", `  <meta name="build" content="${version}" />\n  </head>`)
        const path = (name: string) => `/chat/${name}`
        const files = { files: names.map(path), early: names.filter(isEarly).map(path) }
        this.emitFile({
          type: "asset",
          fileName: "sw.js",
          source: `const __BUILD__=${JSON.stringify({ version, ...files })};\n${code}`,
        })
      },
    },
  }
}
