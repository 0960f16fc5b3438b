// A server that is updated: a proxy in front of the real one, which serves its build under another name.
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http"
import { type AddressInfo, connect } from "node:net"

/** Reads a whole answer. */
async function read(answer: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of answer) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** The build of the server, and the next one: its files have other names, and those of the first are gone. */
export class Builds {
  url = ""
  /** Requests for files of the build that is not there any more. */
  missing: string[] = []
  #isNext = false
  #server = createServer((asked, answer) => void this.#answer(asked, answer))
  readonly #to: URL

  constructor(target: string) {
    this.#to = new URL(target)
    this.#server.on("upgrade", (asked: IncomingMessage, socket) => {
      const upstream = connect(Number(this.#to.port), this.#to.hostname, () => {
        const lines = [`${asked.method} ${asked.url} HTTP/1.1`]
        for (let n = 0; n < asked.rawHeaders.length; n += 2)
          lines.push(`${asked.rawHeaders[n]}: ${asked.rawHeaders[n + 1]}`)
        upstream.write(`${lines.join("\r\n")}\r\n\r\n`)
        upstream.pipe(socket).pipe(upstream)
      })
      upstream.on("error", () => socket.destroy())
      socket.on("error", () => upstream.destroy())
    })
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this
  }

  /** The server is updated. */
  update(): void {
    this.#isNext = true
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const path = asked.url ?? "/"
    const asset = /^\/chat\/assets\/([^?]+)\.(js|css)$/.exec(path)
    if (this.#isNext && asset && !asset[1]?.endsWith("-next")) {
      this.missing.push(path)
      answer.writeHead(404).end()
      return
    }
    const { hostname, port } = this.#to
    const { "if-none-match": _, ...headers } = asked.headers
    if (path.startsWith("/chat")) headers["accept-encoding"] = "identity"
    const to = { hostname, port, path: path.replace("-next.", "."), method: asked.method, headers }
    const upstream = request(to, (given) => void this.#give(path, given, answer))
    upstream.on("error", () => answer.destroy())
    asked.pipe(upstream)
  }

  async #give(path: string, given: IncomingMessage, answer: ServerResponse): Promise<void> {
    const isBuild =
      this.#isNext &&
      path.startsWith("/chat") &&
      /html|javascript|css/.test(`${given.headers["content-type"]}`)
    if (!isBuild) {
      answer.writeHead(given.statusCode ?? 502, given.headers)
      given.pipe(answer)
      return
    }
    // Files by other names, in the page, the worker and each other; and another name of the build.
    const text = (await read(given))
      .toString()
      .replace(/(assets\/|\.\/)([\w.-]+?)\.(js|css)\b/g, "$1$2-next.$3")
      .replace(/(name="build" content="|"version":")[0-9a-f]{16}/g, "$1ffffffffffffffff")
    const { "content-length": _, etag: __, ...headers } = given.headers
    answer.writeHead(given.statusCode ?? 502, { ...headers, etag: `"next-${text.length}"` }).end(text)
  }
}
