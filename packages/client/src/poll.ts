/** Reads over HTTP while the socket is away: the list and the open conversations, every few seconds. */
import { delayAfter } from "./backoff.js"
import type { Core } from "./core.js"
import { isTransportFailure } from "./errors.js"
import type { List } from "./list.js"
import type { Thread } from "./thread.js"

/** A shorter loss needs no request. */
const EVERY_MS = 4_000
const MAX_MS = 30_000

/** Starts to watch the connection. Returns what stops the polling. */
export function createPoll(core: Core, list: List, threads: Iterable<Thread>): () => void {
  let cancel: (() => void) | null = null
  let failures = 0
  let failure: unknown

  const isAway = () => {
    const { status } = core.connection.state.get()
    return core.me() !== null && (status === "offline" || status === "connecting")
  }

  function next(): void {
    // At random between 75 % and 125 %, so that clients do not ask in step.
    const delay = failures
      ? delayAfter(failure, failures, EVERY_MS, MAX_MS, core.random)
      : EVERY_MS * (0.75 + core.random() / 2)
    cancel = core.clock.after(delay, () => void once())
  }

  async function once(): Promise<void> {
    const mine = cancel
    if (isAway() && core.environment.isVisible()) {
      try {
        await list.refresh()
        await Promise.all([...threads].filter((one) => one.isOpen()).map((one) => one.follow(true)))
        failures = 0
        core.connection.reportHttp(true)
      } catch (thrown) {
        failures++
        failure = thrown
        core.connection.reportHttp(!isTransportFailure(thrown))
      }
    }
    // The connection may have come and gone meanwhile, and a new round may have begun.
    if (cancel !== mine) return
    if (isAway()) next()
    else stop()
  }

  function stop(): void {
    cancel?.()
    cancel = null
    failures = 0
  }

  core.events.on("reset", stop)
  core.events.on("connection", () => {
    if (!isAway()) stop()
    else if (!cancel) next()
  })
  return stop
}
