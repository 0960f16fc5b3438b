import { fromRefusal, LamplightError, toError } from "./errors.js"
import type { Clock } from "./options.js"
import type { Refusal } from "./wire.js"

/** What a request may carry. */
export interface RequestExtras {
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** Speaks to the server's HTTP side; throws `LamplightError`s. */
export type Http = <T>(method: "GET" | "POST", path: string, extras?: RequestExtras) => Promise<T>

/** An answer is waited for this long. */
const HTTP_LIMIT_MS = 10_000

interface HttpParts {
  url: string
  fetch: typeof fetch
  clock: Clock
  credentials: RequestCredentials
  /** The headers that say who asks; `again` after the server did not take the last ones. Null: there is nothing new to say. */
  headers(again: boolean): Promise<Record<string, string> | null>
}

/** Makes the HTTP side. */
export function createHttp({ url, fetch, clock, credentials, headers }: HttpParts): Http {
  async function once<T>(
    method: string,
    path: string,
    extras: RequestExtras,
    who: Record<string, string>,
  ): Promise<T> {
    const abort = new AbortController()
    const stop = () => abort.abort()
    extras.signal?.addEventListener("abort", stop)
    if (extras.signal?.aborted) stop()
    let late = false
    const cancel = clock.after(HTTP_LIMIT_MS, () => {
      late = true
      stop()
    })
    try {
      const response = await fetch(url + path, {
        method,
        credentials,
        signal: abort.signal,
        headers: {
          ...(extras.body === undefined ? {} : { "content-type": "application/json" }),
          ...who,
          ...extras.headers,
        },
        ...(extras.body === undefined ? {} : { body: JSON.stringify(extras.body) }),
      })
      return readAnswer<T>(await response.text(), `${method} ${path}: ${response.status}`)
    } catch (thrown) {
      if (late) {
        throw new LamplightError({
          code: "timeout",
          message: "The server took too long to answer.",
          retryable: true,
          saw: `no answer within ${HTTP_LIMIT_MS / 1000} s`,
        })
      }
      throw toError(thrown)
    } finally {
      cancel()
      extras.signal?.removeEventListener("abort", stop)
    }
  }

  return async <T>(method: "GET" | "POST", path: string, extras: RequestExtras = {}) => {
    try {
      return await once<T>(method, path, extras, (await headers(false)) ?? {})
    } catch (thrown) {
      if (!(thrown instanceof LamplightError) || thrown.code !== "unauthenticated") throw thrown
      const fresh = await headers(true)
      if (!fresh) throw thrown
      return once<T>(method, path, extras, fresh)
    }
  }
}

/** Reads the one shape of answer. Anything else did not come from Lamplight: a proxy, a wrong URL. */
function readAnswer<T>(text: string, saw: string): T {
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch {}
  return checkAnswer<T>(answer, saw)
}

/** An answer's content; throws what it refuses with. */
export function checkAnswer<T>(answer: unknown, saw: string): T {
  const { success } = (answer ?? {}) as { success?: unknown }
  if (success === true) return answer as T
  if (success === false) throw fromRefusal(answer as Refusal)
  throw new LamplightError({
    code: "bad_answer",
    message: "The server gave an answer that cannot be understood.",
    retryable: true,
    saw,
    expected: "a JSON object with `success`",
    fix: "Check that the URL leads to Lamplight, and what stands between.",
  })
}

/** A path's query, without what is undefined. */
export function query(parts: Record<string, string | number | undefined>): string {
  const given = Object.entries(parts).filter(([, value]) => value !== undefined)
  return given.length ? `?${new URLSearchParams(given as [string, string][])}` : ""
}
