import { fromRefusal, toError, transportFailure } from "./errors.js"
import type { Clock } from "./options.js"
import type { Refusal } from "./wire.js"

/** What a request may carry. */
export interface RequestExtras {
  headers?: Record<string, string>
  /** Where it is neither GET nor POST. */
  method?: "PATCH"
  signal?: AbortSignal | undefined
}

/** Speaks to the server's HTTP side: posts a body, else gets. Throws `LamplightError`s. */
export type Http = <T>(path: string, body?: object, extras?: RequestExtras) => Promise<T>

/** An answer is waited for this long. */
const HTTP_LIMIT_MS = 10_000

interface HttpParts {
  url: string
  fetch: typeof fetch
  clock: Clock
  credentials: RequestCredentials
  /** The headers that say who asks; `refused` are those that the server did not take. Null: there is nothing new to say. */
  headers(path: string, refused?: Record<string, string>): Promise<Record<string, string> | null>
}

/** Makes the HTTP side. */
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
    const cancel = clock.after(HTTP_LIMIT_MS, () => {
      saw = `no answer within ${HTTP_LIMIT_MS / 1000} s`
      stop()
    })
    try {
      const response = await fetch(url + path, {
        method: extras.method ?? (body ? "POST" : "GET"),
        credentials,
        signal: abort.signal,
        headers: { ...(body && { "content-type": "application/json" }), ...who, ...extras.headers },
        ...(body && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
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

/** Reads the one shape of answer; throws what it refuses with. Anything else did not come from Lamplight. */
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

/** An id as a header may carry it: headers hold Latin-1, ids all of Unicode. */
export const encodeId = (id: string): string => encodeURIComponent(id.replace(/\p{Surrogate}/gu, "\ufffd"))

/** A path's query, without what is undefined. */
export function query(parts: Record<string, string | number | undefined>): string {
  const given = Object.entries(parts).filter(([, value]) => value !== undefined)
  return `?${new URLSearchParams(given as [string, string][])}`
}
