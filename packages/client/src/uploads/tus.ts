/** Requests of tus 1.0.0 (https://tus.io/protocols/resumable-upload), as far as Lamplight's server needs them. */
import type { Core } from "../core.js"
import type { LamplightError } from "../errors.js"
import type { UploadRecord } from "../options.js"
import type { Refusal } from "../wire.js"
import type { FilesOptions } from "./contract.js"

/** The connection is given up if no byte leaves for so long. */
const SILENCE_MS = 30_000
/** The server examines a file after its last byte. */
const ANSWER_MS = 120_000
const PATH = "/api/files"

/** The server has no such upload, or lost its bytes: it begins anew. */
export const isGone = (thrown: unknown): boolean => (thrown as { isGone?: boolean } | null)?.isGone === true

interface Answer {
  status: number
  header(name: string): string | null
  text: string
}

interface Outgoing {
  method: string
  path: string
  headers: Record<string, string>
  body?: Blob | undefined
  signal: AbortSignal
  onProgress?: ((bytes: number) => void) | undefined
}

/** How far the server is with an upload. */
export interface Progress {
  /** The bytes that it has. */
  offset: number
  /** Of a file that is whole: `ready`, or `processing` while a scanner looks at it. Null: the server has no scanner. */
  state: string | null
}

export type Tus = ReturnType<typeof createTus>

export function createTus(
  { clock }: Core,
  { url, options, cookies, headers, tools: { LamplightError } }: FilesOptions,
) {
  // Only XMLHttpRequest tells how much of a body has left.
  const send = !options.fetch && typeof XMLHttpRequest === "function" ? byXhr : byFetch

  const failure = (code: string, message: string, retryable: boolean, retryAfterMs?: number) =>
    new LamplightError({ code, message, retryable, ...(retryAfterMs ? { retryAfterMs } : {}) })
  const offline = (saw: string) =>
    new LamplightError({ code: "offline", message: "The server cannot be reached.", retryable: true, saw })

  /** Gives up where nothing happens for a while. */
  function watched(signal: AbortSignal) {
    const abort = new AbortController()
    const end = () => abort.abort()
    if (signal.aborted) end()
    signal.addEventListener("abort", end)
    let cancel = () => {}
    return {
      signal: abort.signal,
      wait(ms: number) {
        cancel()
        cancel = clock.after(ms, end)
      },
      done() {
        cancel()
        signal.removeEventListener("abort", end)
      },
    }
  }

  async function byFetch({ method, path, headers, body, signal }: Outgoing): Promise<Answer> {
    const watch = watched(signal)
    watch.wait(ANSWER_MS)
    try {
      const response = await (options.fetch ?? fetch)(url + path, {
        method,
        headers,
        body: body ?? null,
        signal: watch.signal,
        credentials: cookies ? "include" : "same-origin",
      })
      const text = await response.text()
      return { status: response.status, header: (name) => response.headers.get(name), text }
    } catch (thrown) {
      throw offline(String(thrown))
    } finally {
      watch.done()
    }
  }

  function byXhr({ method, path, headers, body, signal, onProgress }: Outgoing): Promise<Answer> {
    const watch = watched(signal)
    return new Promise<Answer>((resolve, reject) => {
      const request = new XMLHttpRequest()
      request.open(method, url + path)
      request.withCredentials = cookies
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
      request.upload.onprogress = ({ loaded }) => {
        watch.wait(loaded === body?.size ? ANSWER_MS : SILENCE_MS)
        onProgress?.(loaded)
      }
      request.onload = () =>
        resolve({
          status: request.status,
          header: (name) => request.getResponseHeader(name),
          text: request.responseText,
        })
      request.onerror = () => reject(offline("no answer"))
      request.onabort = () => reject(offline("the request was given up"))
      watch.signal.addEventListener("abort", () => request.abort())
      watch.wait(body ? SILENCE_MS : ANSWER_MS)
      if (watch.signal.aborted) reject(offline("the request was given up"))
      else request.send(body ?? null)
    }).finally(watch.done)
  }

  /** What an answer refuses. */
  function refusalOf({ status, text }: Answer): LamplightError {
    try {
      const refusal = JSON.parse(text) as Refusal
      const { error, ...rest } = refusal
      if (refusal.success === false && refusal.code) return new LamplightError({ ...rest, message: error })
    } catch {
      // HEAD has no body, and a proxy has one of its own.
    }
    if (status === 401) return failure("unauthenticated", "You are not signed in.", false)
    if (status === 429) return failure("rate_limited", "The server is busy.", true)
    if (status === 413) return failure("too_long", "The file is too large for the server.", false)
    const isRefused = status >= 400 && status < 500 && status !== 408
    return failure(isRefused ? "invalid" : "unavailable", `The server answered ${status}.`, !isRefused)
  }

  async function ask(outgoing: Outgoing): Promise<Answer> {
    const { path } = outgoing
    const attempt = (who: Record<string, string>) =>
      send({ ...outgoing, headers: { "tus-resumable": "1.0.0", ...outgoing.headers, ...who } })
    const who = (await headers(path)) ?? {}
    const answer = await attempt(who)
    if (answer.status !== 401) return answer
    const fresh = await headers(path, who)
    return fresh ? attempt(fresh) : answer
  }

  /** An answer about an upload that exists. */
  function check(answer: Answer): Answer {
    const { status } = answer
    if (status >= 200 && status < 300) return answer
    const error = refusalOf(answer)
    if (status === 404 || status === 410) throw Object.assign(error, { isGone: true })
    // Another request writes it, or has moved it.
    if (status === 409 || status === 423) throw failure("conflict", error.message, true, 1_000)
    throw error
  }

  const progressOf = (answer: Answer): Progress => {
    const offset = Number(answer.header("upload-offset") ?? Number.NaN)
    if (Number.isSafeInteger(offset) && offset >= 0) return { offset, state: answer.header("file-state") }
    throw failure("bad_answer", "The answer cannot be understood.", true)
  }
  const pathOf = (fileId: string) => `${PATH}/${encodeURIComponent(fileId)}`

  return {
    /** Begins an upload. Resolves to the file's id. */
    async create(record: UploadRecord, signal: AbortSignal): Promise<string> {
      const { name, type, size, conversationId } = record
      const metadata = { filename: name, filetype: type, conversationId }
      const pairs = Object.entries(metadata).map(([key, value]) => `${key} ${base64(value)}`)
      const given = { "upload-length": `${size}`, "upload-metadata": pairs.join(",") }
      const answer = await ask({ method: "POST", path: PATH, headers: given, signal })
      if (answer.status !== 201) throw refusalOf(answer)
      const id = answer.header("location")?.split("/").at(-1)
      if (!id) throw failure("bad_answer", "The answer cannot be understood.", true)
      return decodeURIComponent(id)
    },
    /** How far it is. */
    async look(fileId: string, signal: AbortSignal): Promise<Progress> {
      return progressOf(check(await ask({ method: "HEAD", path: pathOf(fileId), headers: {}, signal })))
    },
    /** Sends bytes from an offset on. Resolves to how far it is then. */
    async patch(
      fileId: string,
      offset: number,
      body: Blob,
      signal: AbortSignal,
      onProgress: (bytes: number) => void,
    ): Promise<Progress> {
      const given = { "content-type": "application/offset+octet-stream", "upload-offset": `${offset}` }
      const answer = await ask({
        method: "PATCH",
        path: pathOf(fileId),
        headers: given,
        body,
        signal,
        onProgress,
      })
      // What an earlier request sent has arrived after all.
      if (answer.status === 409 && answer.header("upload-offset") !== null) return progressOf(answer)
      return progressOf(check(answer))
    },
    /** Deletes it on the server, unless a message has it by now. */
    async remove(fileId: string, signal: AbortSignal): Promise<void> {
      const answer = await ask({ method: "DELETE", path: pathOf(fileId), headers: {}, signal })
      if (answer.status >= 500 || answer.status === 429) throw refusalOf(answer)
    },
  }
}

/** UTF-8 in Base64. */
function base64(text: string): string {
  const bytes = new TextEncoder().encode(text)
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
}
