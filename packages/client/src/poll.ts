/**
 * Reads over HTTP while the socket is away: the list and the open conversations, every few seconds. Loads the first time that the socket
 * is away: where that fails, HTTP would too.
 */
import type { Core } from "./core.js"
import type { List } from "./list.js"
import type { Thread } from "./thread-contract.js"
import type { ClientTools } from "./tools.js"

/** A shorter loss needs no request. */
const EVERY_MS = 4_000
/** The client loads this two seconds after the socket was lost. */
const FIRST_MS = 2_000
const MAX_MS = 30_000

/** Starts to watch the connection. */
export function createPoll(
  core: Core,
  list: List,
  threads: Iterable<Thread>,
  { delayAfter, isTransportFailure }: ClientTools,
): void {
  let cancel: (() => void) | null = null
  let failures = 0
  let failure: unknown

  const isAway = () => {
    const { status } = core.connection.state.get()
    return core.me() !== null && (status === "offline" || status === "connecting")
  }

  function next(pause = EVERY_MS): void {
    // At random between 75 % and 125 %, so that clients do not ask in step.
    const delay = failures
      ? delayAfter(failure, failures, EVERY_MS, MAX_MS, core.random)
      : pause * (0.75 + core.random() / 2)
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
  if (isAway()) next(FIRST_MS)
}
