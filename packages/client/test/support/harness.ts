/** A client whose environment the test controls: time, wires that can fail, storage, tabs. */
import { createLamplight } from "../../src/client.js"
// The client loads it when the socket is away, which takes real time unless it is there already.
import "../../src/poll.js"
import type {
  BrowserEnvironment,
  Channel,
  ClientStorage,
  LamplightOptions,
  SocketLike,
  WithLock,
} from "../../src/options.js"
import { memoryStorage } from "../../src/storage.js"
import { TestClock } from "./clock.js"
import { TestFiles } from "./files.js"
import { type Peer, TestServer } from "./server.js"

/** The faults of the wires. */
export interface Wires {
  /** The socket cannot connect. */
  socketDown: boolean
  /** No HTTP request arrives. */
  httpDown: boolean
  /** Events that are handled without their acknowledgement ever arriving. */
  loseAck: Set<string>
  /** Events that never arrive. */
  swallow: Set<string>
  /** HTTP requests whose answer is lost, by `METHOD /path`. */
  loseAnswer: Set<string>
  /** Server events that are lost on their way. */
  loseEvent: Set<string>
  /** Intercepts an event with its acknowledgement, if it returns true. */
  take: (event: string, ack: (answer: unknown) => void) => boolean
  /** HTTP answers wait for this. */
  gate: Promise<void> | null
  /** HTTP requests arrive, and their answers wait for this. */
  late: Promise<void> | null
}

/** One browser: the state that its tabs share. */
export class Browser {
  storage: ClientStorage = memoryStorage()
  tabs = new Set<(message: unknown) => void>()
  #tails = new Map<string, Promise<unknown>>()

  openChannel = (_name: string, receive: (message: unknown) => void): Channel => {
    this.tabs.add(receive)
    return {
      post: (message) => {
        for (const tab of this.tabs) if (tab !== receive) queueMicrotask(() => tab(structuredClone(message)))
      },
      close: () => void this.tabs.delete(receive),
    }
  }

  withLock: WithLock = (name, work, ifAvailable) => {
    const tail = this.#tails.get(name)
    if (tail && ifAvailable) return Promise.resolve(undefined)
    const run = (tail ?? Promise.resolve()).then(work)
    const end: Promise<unknown> = run
      .catch(() => {})
      .then(() => {
        if (this.#tails.get(name) === end) this.#tails.delete(name)
      })
    this.#tails.set(name, end)
    return run
  }
}

export interface World {
  clock: TestClock
  server: TestServer
  files?: TestFiles
}

export function makeWorld(): Required<World> {
  const clock = new TestClock()
  return { clock, server: new TestServer(clock.now), files: new TestFiles() }
}

let serial = 0

/** One tab. */
export function makeTab(world: World, options: LamplightOptions = {}, browser = new Browser()) {
  const { clock, server } = world
  const wires: Wires = {
    socketDown: false,
    httpDown: false,
    loseAck: new Set(),
    swallow: new Set(),
    loseAnswer: new Set(),
    loseEvent: new Set(),
    take: () => false,
    gate: null,
    late: null,
  }
  const sockets: FakeSocket[] = []
  const environment = new TestEnvironment()

  class FakeSocket implements SocketLike {
    connected = false
    id: string | undefined
    #listeners = new Map<string, ((...args: unknown[]) => void)[]>()
    #peer: Peer | null = null
    constructor(readonly token: string | undefined) {}

    on(event: string, listener: (...args: never[]) => void) {
      const list = this.#listeners.get(event) ?? []
      this.#listeners.set(event, [...list, listener as (...args: unknown[]) => void])
    }

    #fire(event: string, ...args: unknown[]) {
      for (const listener of this.#listeners.get(event) ?? []) listener(...args)
    }

    connect() {
      queueMicrotask(() => {
        if (wires.socketDown) return this.#fire("connect_error", new Error("websocket error"))
        this.connected = true
        this.id = `socket-${++serial}`
        this.#peer = {
          id: this.id,
          userId: null,
          token: this.token,
          roster: "none",
          watches: new Set(),
          send: (event, payload) => {
            const copy = structuredClone(payload)
            if (!wires.loseEvent.has(event)) queueMicrotask(() => this.connected && this.#fire(event, copy))
          },
          cut: () => this.#lose("transport close"),
        }
        server.connect(this.#peer)
        this.#fire("connect")
      })
    }

    #lose(reason: string) {
      if (!this.connected) return
      this.connected = false
      if (this.#peer) server.disconnect(this.#peer)
      this.#fire("disconnect", reason)
    }

    cut() {
      this.#lose("transport close")
    }

    emit(event: string, payload: unknown, ack?: (answer: unknown) => void) {
      const peer = this.#peer as Peer
      if (ack && wires.take(event, ack)) return
      const copy = structuredClone(payload) as Record<string, unknown>
      queueMicrotask(() => {
        if (!this.connected || wires.swallow.has(event)) return
        const reply = structuredClone(server.onSocket(peer, event, copy))
        if (!wires.loseAck.has(event)) queueMicrotask(() => this.connected && ack?.(reply))
      })
    }

    disconnect() {
      this.#lose("io client disconnect")
    }
  }

  const fakeFetch = async (input: unknown, init: RequestInit = {}) => {
    await wires.gate
    const path = String(input)
    const method = init.method ?? "GET"
    if (wires.httpDown) throw new TypeError("Failed to fetch")
    const headers = init.headers as Record<string, string>
    if (path.startsWith("/api/files") && world.files) return world.files.answer(method, path, headers, init)
    const body = init.body ? JSON.parse(String(init.body)) : {}
    const { status, reply } = structuredClone(server.onHttp(method, path, body, headers))
    await wires.late
    if (wires.loseAnswer.has(`${method} ${path}`)) throw new TypeError("Failed to fetch")
    return new Response(JSON.stringify(reply), { status })
  }

  const client = createLamplight({
    userId: "me",
    clock,
    random: () => 0.5,
    newId: () => `id-${++serial}`,
    surroundings: environment,
    fetch: fakeFetch as typeof fetch,
    openSocket: ({ auth }) => {
      const socket = new FakeSocket(auth.token)
      sockets.push(socket)
      return socket
    },
    storage: browser.storage,
    openChannel: browser.openChannel,
    withLock: browser.withLock,
    ...options,
  })

  return { client, wires, sockets, environment, browser, cut: () => sockets.at(-1)?.cut() }
}

export type Tab = ReturnType<typeof makeTab>

export class TestEnvironment implements BrowserEnvironment {
  active = true
  visible = true
  online = true
  #listeners = new Set<(what: "wake" | "active" | "hide") => void>()
  isActive = () => this.active
  isVisible = () => this.visible
  isOnline = () => this.online
  watch = (listener: (what: "wake" | "active" | "hide") => void) => {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
  tell(what: "wake" | "active" | "hide") {
    for (const listener of [...this.#listeners]) listener(what)
  }
}
