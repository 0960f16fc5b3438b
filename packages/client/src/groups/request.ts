/** Requests for changes, repeated until they are answered: the server applies each once, by its id. */
import type { Core } from "../core.js"
import type { RequestExtras } from "../http.js"
import type { GroupTools } from "./tools.js"

/** Attempts before the error of a change is thrown. */
const MAX_TRIES = 4
const FIRST_RETRY_MS = 700
const LAST_RETRY_MS = 5_000

export type Request = <T>(path: string, body?: object, extras?: RequestExtras) => Promise<T>

export function createRequest(core: Core, { delayAfter, refusal, toError }: GroupTools): Request {
  return async (path, body, extras) => {
    const me = core.me()
    for (let tries = 1; ; tries++) {
      try {
        const answer = await core.http<never>(path, body, extras)
        // The user signed out or changed meanwhile.
        if (!core.isUser(me))
          throw refusal(
            "aborted",
            "You were signed out meanwhile.",
            "None: the server has applied the change.",
          )
        return answer
      } catch (thrown) {
        const error = toError(thrown)
        if (!error.retryable || tries === MAX_TRIES || !core.isUser(me)) throw error
        const delay = delayAfter(error, tries - 1, FIRST_RETRY_MS, LAST_RETRY_MS, core.random)
        await new Promise<void>((resolve) => core.clock.after(delay, resolve))
        if (!core.isUser(me)) throw error
      }
    }
  }
}
