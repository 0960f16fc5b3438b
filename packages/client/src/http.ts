import { fromRefusal, toError, transportFailure } from "./errors.js"
import type { Clock } from "./options.js"
import type { Refusal } from "./wire.js"

/** Optional parts of a request. */
export interface RequestExtras {
  headers?: Record<string, string>
  /** The method, if it is neither GET nor POST. */
  method?: "PATCH" | "PUT" | "DELETE"
  signal?: AbortSignal | undefined
}

/** Sends a request: POST with a body, otherwise GET. Throws `LamplightError`. */
export type Http = <T>(path: string, body?: object, extras?: RequestExtras) => Promise<T>

/** The limit until an answer begins, and then for each part of it: a page of 1 MB takes a while over a slow network. */
const HTTP_LIMIT_MS = 10_000

interface HttpParts {
  url: string
  fetch: typeof fetch
  clock: Clock
  credentials: RequestCredentials
  /**
   * Headers that identify the user. `refused` are those that the server rejected. Null: there are no others
   * to try.
   */
  headers(path: string, refused?: Record<string, string>): Promise<Record<string, string> | null>
}

export function createHttp({ url, fetch, clock, credentials, headers }: HttpParts): Http {
  async function request<T>(
    path: string,
    body: object | undefined,
    extras: RequestExtras,
    who: Record<string, string>,
  ): Promise<T> {
    const abort = new AbortController()
    const stop = () => abort.abort()
    extras.signal?.addEventListener("abort", stop)
    let saw = ""
    let cancel = () => {}
    const wait = () => {
      cancel()
      cancel = clock.after(HTTP_LIMIT_MS, () => {
        saw = `no answer within ${HTTP_LIMIT_MS / 1000} s`
        stop()
      })
    }
    wait()
    try {
      const response = await fetch(url + path, {
        method: extras.method ?? (body ? "POST" : "GET"),
        credentials,
        signal: abort.signal,
        headers: { ...(body && { "content-type": "application/json" }), ...who, ...extras.headers },
        ...(body && { body: JSON.stringify(body) }),
      })
      const text = await textOf(response, wait)
      return checkAnswer<T>(() => JSON.parse(text), `${path}: ${response.status} ${text.slice(0, 80)}`)
    } catch (thrown) {
      throw saw ? transportFailure("timeout", saw) : toError(thrown)
    } finally {
      cancel()
      extras.signal?.removeEventListener("abort", stop)
    }
  }

  return async <T>(path: string, body?: object, extras: RequestExtras = {}) => {
    const who = (await headers(path)) ?? {}
    try {
      return await request<T>(path, body, extras, who)
    } catch (thrown) {
      const fresh = toError(thrown).code === "unauthenticated" && (await headers(path, who))
      if (!fresh) throw thrown
      return request<T>(path, body, extras, fresh)
    }
  }
}

/** The text of an answer. `progress` is called before each part of it. */
async function textOf(response: Response, progress: () => void): Promise<string> {
  // Some runtimes have no streams.
  const reader = response.body?.getReader()
  if (!reader) return response.text()
  const decoder = new TextDecoder()
  for (let text = ""; ; ) {
    progress()
    const { done, value } = await reader.read()
    text += decoder.decode(value, { stream: !done })
    if (done) return text
  }
}

/**
 * Checks the shape of an answer and throws the refusal if it is one. Any other answer did not come from
 * Lamplight.
 */
export function checkAnswer<T>(read: () => unknown, saw: string): T {
  let answer: unknown
  try {
    answer = read()
  } catch {}
  const { success } = (answer ?? {}) as { success?: unknown }
  if (success === true) return answer as T
  if (success === false) throw fromRefusal(answer as Refusal)
  throw transportFailure("bad_answer", saw, {
    expected: "a JSON object with `success`",
    fix: "Check that the URL leads to Lamplight, and what stands between.",
  })
}

/** An id for a header: headers hold Latin-1, ids hold all of Unicode. */
export const encodeId = (id: string): string => encodeURIComponent(id.replace(/\p{Surrogate}/gu, "\ufffd"))

/** A query string without the undefined parts. */
export function query(parts: Record<string, string | number | undefined>): string {
  const given = Object.entries(parts).filter(([, value]) => value !== undefined)
  return `?${new URLSearchParams(given as [string, string][])}`
}
