// The server of S3 that run-s3.mjs starts (moto, from PyPI, which checks parts and ETags as S3 does), and proxies to it
// that fail when a test wants it.
import { execFile, spawn } from "node:child_process"
import { createServer, request as http } from "node:http"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const here = (name) => fileURLToPath(new URL(name, import.meta.url))
const BUCKET = "files"
const GUARD = process.platform === "linux" ? ["setpriv", "--pdeathsig", "KILL", "--"] : []

/** Set where tests run with their files in S3. */
export const S3_PORT = Number(process.env.LAMPLIGHT_TEST_S3_PORT ?? 0)

const UNAVAILABLE = "<Error><Code>ServiceUnavailable</Code><Message>a test</Message></Error>"

let prefixes = 0

/** Settings of a server whose files are in S3, below a prefix of its own. */
export const s3Settings = (port = S3_PORT) => ({
  FILES: `s3://${BUCKET}/${process.pid}/${prefixes++}`,
  AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: "key",
  AWS_SECRET_ACCESS_KEY: "secret",
})

/** Starts a server of S3 with a bucket. */
export async function startS3() {
  await promisify(execFile)(here("../setup-python.sh"), ["s3"])
  const [program, ...words] = [...GUARD, here("../.venv-s3/bin/moto_server"), "-H", "127.0.0.1", "-p", "0"]
  const moto = spawn(program, words, { stdio: ["ignore", "ignore", "pipe"] })
  const port = await new Promise((resolve, reject) => {
    createInterface({ input: moto.stderr }).on("line", (line) => {
      const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
      if (found) resolve(Number(found))
    })
    moto.once("exit", (code) => reject(new Error(`S3 did not start: ${code}`)))
  })
  const made = await fetch(`http://127.0.0.1:${port}/${BUCKET}`, { method: "PUT" })
  if (!made.ok) throw new Error(`no bucket: ${made.status}`)
  return { port, stop: () => moto.kill("SIGKILL") }
}

/** A proxy to the S3 server that can fail. */
export class S3Proxy {
  /**
   * The handling of a request: a status, a status and a body, "hang", or undefined to forward it
   * on; or a promise of it.
   */
  fault = (_request) => undefined
  /** Requests that hang. */
  hanging = new Set()
  #proxy
  #port = 0

  async start() {
    this.#proxy = createServer((incoming, outgoing) => this.#pass(incoming, outgoing))
    await new Promise((resolve) => this.#proxy.listen(this.#port, "127.0.0.1", resolve))
    this.#port = this.#proxy.address().port
    return this
  }

  get port() {
    return this.#port
  }

  async #pass(incoming, outgoing) {
    incoming.on("error", () => {})
    outgoing.on("error", () => {})
    const fault = await this.fault(incoming)
    if (fault === "hang") {
      incoming.resume()
      this.hanging.add(outgoing)
      outgoing.on("close", () => this.hanging.delete(outgoing))
      return
    }
    if (fault !== undefined) {
      incoming.resume()
      incoming.on("end", () => {
        const { status, body } = typeof fault === "number" ? { status: fault, body: UNAVAILABLE } : fault
        outgoing.writeHead(status, { "content-type": "application/xml" })
        outgoing.end(body)
      })
      return
    }
    const { method, url: path, headers } = incoming
    const target = { host: "127.0.0.1", port: S3_PORT, method, path, headers, agent: false }
    const onward = http(target, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on("error", () => outgoing.destroy())
    outgoing.on("close", () => onward.destroy())
    incoming.pipe(onward)
  }

  /** As if S3 was killed: requests in flight break, and nothing listens. */
  async down() {
    const closed = new Promise((resolve) => this.#proxy.close(resolve))
    this.#proxy.closeAllConnections()
    await closed
  }

  stop() {
    this.#proxy.closeAllConnections()
    this.#proxy.close()
  }
}

async function listed(query, tag) {
  const answer = await fetch(`http://127.0.0.1:${S3_PORT}/${BUCKET}?${query}`)
  const text = await answer.text()
  return [...text.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, "gs"))].map(([, found]) => found)
}

/** The keys of the objects with a text in their names. */
export const objectsOf = async (text) =>
  (await listed("list-type=2&max-keys=1000", "Key")).filter((key) => key.includes(text))

/** The keys of multipart uploads that have not ended, with a text in their names. */
export const multipartsOf = async (text) =>
  (await listed("uploads", "Key")).filter((key) => key.includes(text))
