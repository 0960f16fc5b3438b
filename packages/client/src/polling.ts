/**
 * An Engine.IO connection by engine.io-client: long-polling, and the upgrade to WebSocket. Loaded if WebSocket does not open.
 *
 * It polls by `fetch`, which all runtimes have: browsers, Node, Deno, Bun, workers. engine.io-client's own polling leaves a request
 * open when the connection is given up, rejects without a listener when an answer is cut off, and omits the cookies that load
 * balancers need.
 */
import { Socket as Client, Fetch, WebSocket as WebSocketTransport } from "engine.io-client"
import type { Engine, EngineEvents } from "./web-socket.js"

/** The parts of engine.io-client's transport that are used here; its types hide some of them. */
interface Base {
  opts: { withCredentials?: boolean }
  uri(): string
  onData(data: string): void
  onError(reason: string, description: unknown): void
}

class FetchPolling extends Fetch {
  #polls = new AbortController()

  override doPoll(): void {
    void this.#send({ signal: this.#polls.signal }, (text) => (this as unknown as Base).onData(text))
  }

  override doWrite(body: string, written: () => void): void {
    const headers = { "content-type": "text/plain;charset=UTF-8" }
    void this.#send({ method: "POST", body, headers }, written)
  }

  override onClose(details: never): void {
    super.onClose(details)
    this.#polls.abort()
  }

  async #send(init: RequestInit, done: (text: string) => void): Promise<void> {
    const base = this as unknown as Base
    let text: string
    try {
      const credentials = base.opts.withCredentials ? "include" : "same-origin"
      const response = await fetch(base.uri(), { ...init, credentials })
      if (!response.ok) return base.onError("polling failed", response.status)
      text = await response.text()
    } catch (thrown) {
      return base.onError("polling failed", thrown)
    }
    done(text)
  }
}

export interface PollingOptions {
  path: string
  addTrailingSlash: boolean
  withCredentials: boolean
}

/** Opens a connection that polls. `upgrades`: it moves to WebSocket, where that opens. */
export function openPolling(
  origin: string,
  options: PollingOptions,
  upgrades: boolean,
  events: EngineEvents,
): Engine {
  const client = new Client(origin, {
    ...options,
    transportImplementations: upgrades ? [FetchPolling, WebSocketTransport] : [FetchPolling],
    tryAllTransports: true,
  })
  let isOver = false
  const end = (reason: string) => {
    if (isOver) return
    isOver = true
    client.close()
    events.close(reason)
  }
  client.on("open", () => isOver || events.open())
  client.on("message", (text) => isOver || events.message(text))
  client.on("error", (error) => end(String(error)))
  client.on("close", end)
  return { send: (text) => void client.send(text), close: () => end("forced close") }
}
