import { backoff } from "./backoff.js"
import { isTransportFailure, type LamplightError, toError, transportFailure } from "./errors.js"
import { createEmitter, type Emitter, type InternalEvents } from "./events.js"
import { checkAnswer } from "./http.js"
import type { BrowserEnvironment, Clock, SocketLike } from "./options.js"
import { type Cell, cell, same } from "./store.js"
import type { ConnectionState } from "./types.js"
import type { ClientEvents, ServerEvents } from "./wire.js"

/** The parts of the client that the connection uses. */
export interface ConnectionOptions {
  clock: Clock
  random(): number
  environment: BrowserEnvironment
  events: Emitter<InternalEvents>
  /** Identifies the user and creates a socket, not yet connected. `attempt` counts up, so that transports can alternate. */
  openSocket(attempt: number): Promise<SocketLike>
  /** Announces the user on a socket that has just connected. */
  join(): Promise<void>
  /** Fetches missed data. */
  catchUp(isCurrent: () => boolean): Promise<void>
  /** The server does not accept the user. Returns true if something changed and one more attempt may succeed. */
  unknownCaller(): Promise<boolean>
}

/** The connection to the server. */
export interface Connection {
  readonly state: Cell<ConnectionState>
  /** Listens to events of the server, on the current socket and on later ones. Call it before the first connect. */
  on: Emitter<ServerEvents>["on"]
  retain(): () => void
  retained(): boolean
  connect(): void
  close(): void
  /** Closes the socket and connects again, for another user or with another token. */
  restart(): void
  /** Stops without another attempt. */
  refuse(error: LamplightError): void
  /**
   * Shows a better explanation of an error; null for none. It stays until the connection is up or another one
   * is found.
   */
  explain(error: LamplightError, better: LamplightError | null): void
  /** Sends without waiting for an answer; false if there is no socket. */
  emit<K extends keyof ClientEvents>(event: K, payload: ClientEvents[K]): boolean
  /** Sends and waits for the acknowledgement. Throws `offline`, `timeout` or the server's refusal. */
  ask<T>(event: keyof ClientEvents, payload: unknown, limitMs?: number): Promise<T>
  /** The id of the socket, while the user is announced on it. */
  socketId(): string | undefined
  /** Whether the user is announced on a socket. */
  joined(): boolean
  /** Starts a waiting attempt now, and checks that an open connection is alive. */
  wake(): void
  /** How long the last connections lasted, in milliseconds, for the doctor. */
  lifetimes(): readonly number[]
  /** Reports whether HTTP answered while the socket was away. */
  reportHttp(alive: boolean): void
}

/** An unmount that is followed by a mount within this time keeps the socket. */
export const RELEASE_DELAY_MS = 1_000
/** The limit for an acknowledgement. */
export const ACK_LIMIT_MS = 5_000
const HEARTBEAT_MS = 30_000
const CONNECT_LIMIT_MS = 15_000
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 10_000
/** The longest time that a server may ask a client to stay away before it reconnects. */
const LAST_RETURN_MS = 30_000
/** A connection that lasted this long resets the delays. */
const SETTLED_MS = 5_000

const offline = (saw: string) => transportFailure("offline", saw)

/** Makes the connection. It is `idle` until it is retained. */
export function createConnection(options: ConnectionOptions): Connection {
  const { clock, environment, events } = options
  const uptime = clock.uptime ?? clock.now
  const state = cell<ConnectionState>({
    status: "idle",
    since: clock.now(),
    downSince: null,
    stale: false,
    nextTryAt: null,
    attempt: 0,
    overHttp: false,
    error: null,
  })
  const serverEvents = createEmitter<ServerEvents>()
  let last = state.get()
  // Subscribes before the application does, so that the client's modules handle each change first.
  state.subscribe(() => {
    const before = last
    last = state.get()
    if (last.status !== before.status || last.overHttp !== before.overHttp)
      events.emit("connection", { now: last, before })
  })
  /** Grows with each attempt and each loss. Results of work that started under an older number are dropped. */
  let cycle = 0
  let holders = 0
  let running = false
  let closed = false
  let everConnected = false
  let connectedAt = 0
  let lifetimes: number[] = []
  let askedAgain = false
  let explained: LamplightError | null = null
  let socket: SocketLike | null = null
  let joined = false
  let lastBeat = 0
  const waiting = new Set<(error: LamplightError) => void>()
  let cancelRetry = () => {}
  let cancelRelease = () => {}
  let cancelBeat = () => {}
  let unwatch = () => {}

  function set(change: Partial<ConnectionState>): void {
    const last = state.get()
    const next = { ...last, ...change }
    const up = next.status === "connected"
    if (next.status !== last.status) next.since = clock.now()
    if (up || next.status === "idle") next.downSince = null
    else next.downSince ??= clock.now()
    next.stale = everConnected && !up
    if (up) next.overHttp = false
    state.set(same(last, next))
  }

  function drop(): void {
    cycle++
    cancelBeat()
    cancelRetry()
    const had = joined
    joined = false
    const old = socket
    socket = null
    old?.disconnect()
    for (const reject of [...waiting]) reject(offline("the socket was lost"))
    if (had) events.emit("disconnected")
  }

  async function attempt(): Promise<void> {
    drop()
    const mine = cycle
    const isCurrent = () => mine === cycle
    set({ status: "connecting", nextTryAt: null, attempt: state.get().attempt + 1 })
    try {
      const made = await options.openSocket(state.get().attempt)
      if (!isCurrent()) return made.disconnect() as undefined
      socket = made
      await opened(made, isCurrent)
      await options.join()
      if (!isCurrent()) return
      joined = true
      beat()
      set({ status: "catching-up" })
      await options.catchUp(isCurrent)
      if (!isCurrent()) return
      everConnected = true
      askedAgain = false
      connectedAt = uptime()
      explained = null
      set({ status: "connected", error: null })
    } catch (thrown) {
      if (isCurrent()) await failed(toError(thrown), isCurrent)
    }
  }

  /** A promise that ends with its result, at its limit, or when the socket is lost. */
  function wait<T>(
    limitMs: number,
    late: () => LamplightError,
    begin: (resolve: (value: T) => void, reject: (error: LamplightError) => void) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const end = () => {
        cancel()
        waiting.delete(fail)
      }
      const fail = (error: LamplightError) => {
        end()
        reject(error)
      }
      const cancel = clock.after(limitMs, () => fail(late()))
      waiting.add(fail)
      begin((value) => {
        end()
        resolve(value)
      }, fail)
    })
  }

  /** Waits for the connect. From then on a loss starts the next attempt. */
  function opened(made: SocketLike, isCurrent: () => boolean): Promise<void> {
    return wait<void>(
      CONNECT_LIMIT_MS,
      () => offline("connecting took too long"),
      (resolve, reject) => {
        let open = false
        made.on("connect", () => {
          open = true
          resolve()
        })
        made.on("connect_error", (error: Error & { data?: unknown }) => reject(refusalIn(error)))
        made.on("disconnect", (reason: string) => {
          if (open && isCurrent()) lost(offline(`the socket was lost: ${reason}`))
        })
        for (const event of serverEvents.names())
          made.on(event, (payload) => isCurrent() && serverEvents.emit(event, payload))
        made.connect()
      },
    )
  }

  async function failed(error: LamplightError, isCurrent: () => boolean): Promise<void> {
    if (error.code === "unauthenticated" || error.code === "forbidden") {
      // Once, since what this client knows of the user may be outdated: an old session, or a token that
      // expired on the way.
      if (!askedAgain) {
        askedAgain = true
        const changed = await options.unknownCaller().catch(() => false)
        if (!isCurrent()) return
        if (changed) return void attempt()
      }
    }
    // Repeating the attempt would not help.
    if (!error.retryable) refuse(error)
    else lost(error)
  }

  function refuse(error: LamplightError): void {
    drop()
    askedAgain = false
    set({ status: "refused", nextTryAt: null, error })
  }

  /** `afterMs`: the server announced the loss and asked for this delay, so there is no error to show. */
  function lost(error: LamplightError, afterMs?: number): void {
    const { status, attempt: tries } = state.get()
    const held = status === "connected" ? uptime() - connectedAt : 0
    if (held) lifetimes = [...lifetimes.slice(-9), held]
    const wasSettled = held >= SETTLED_MS
    const count = wasSettled ? 0 : tries
    // The server announced the loss, so there is no error to show.
    drop()
    const delay =
      afterMs ??
      Math.max(error.retryAfterMs ?? 0, backoff(count, FIRST_RETRY_MS, LAST_RETRY_MS, options.random))
    const failure = isTransportFailure(error) ? (explained ?? error) : error
    const shown = afterMs === undefined ? failure : null
    set({ status: "offline", attempt: count, nextTryAt: clock.now() + delay, error: shown })
    cancelRetry = clock.after(delay, () => void attempt())
  }

  // The server is shutting down and has sent its answers; unanswered messages are sent again to the next server.
  serverEvents.on("reconnect", ({ afterMs }) =>
    lost(offline("it is leaving"), Math.min(Math.max(+afterMs || 0, 0), LAST_RETURN_MS)),
  )

  function beat(): void {
    cancelBeat()
    lastBeat = clock.now()
    cancelBeat = clock.after(HEARTBEAT_MS, () => {
      // A timer that is this late means that the device slept. The socket may be dead without an event.
      if (clock.now() - lastBeat > 2 * HEARTBEAT_MS) wake()
      emit("user_activity", { active: environment.isActive() })
      beat()
    })
  }

  /** The network may be back, or the connection may have died silently. */
  function wake(): void {
    const { status } = state.get()
    if (status === "offline") void attempt()
    if (!joined) return
    const mine = cycle
    ask("user_activity", { active: environment.isActive() }).catch((error: LamplightError) => {
      if (mine === cycle && error.code === "timeout") lost(error)
    })
  }

  function start(): void {
    running = true
    unwatch = environment.watch((what) => {
      if (what === "wake") wake()
      else if (what === "active") emit("user_activity", { active: environment.isActive() })
      events.emit("environment", what)
    })
    void attempt()
  }

  function stop(status: "idle" | "closed"): void {
    running = false
    explained = null
    cancelRelease()
    unwatch()
    drop()
    everConnected = false
    set({ status, nextTryAt: null, attempt: 0, overHttp: false, error: null })
  }

  function emit(event: keyof ClientEvents, payload: unknown): boolean {
    if (!socket?.connected || !joined) return false
    socket.emit(event, payload)
    return true
  }

  function ask<T>(event: keyof ClientEvents, payload: unknown, limitMs = ACK_LIMIT_MS): Promise<T> {
    const now = socket
    // Never buffered by the socket: this client decides what is sent later.
    if (!now?.connected) return Promise.reject(offline("the socket is not connected"))
    return wait<unknown>(
      limitMs,
      () => transportFailure("timeout", `no acknowledgement of ${event} within ${limitMs / 1000} s`),
      (resolve) => now.emit(event, payload, resolve),
    ).then((answer) => checkAnswer<T>(() => answer, `the answer to ${event}`))
  }

  return {
    state,
    on: serverEvents.on,
    retain() {
      let mine = !closed
      if (mine) holders++
      cancelRelease()
      if (mine && !running) start()
      else if (mine && holders === 1) events.emit("resumed")
      return () => {
        if (!mine) return
        mine = false
        if (--holders > 0 || closed) return
        events.emit("released")
        cancelRelease = clock.after(RELEASE_DELAY_MS, () => stop("idle"))
      }
    },
    retained: () => running,
    connect() {
      const { status } = state.get()
      if (running && (status === "offline" || status === "refused")) void attempt()
    },
    close() {
      if (closed) return
      closed = true
      stop("closed")
    },
    restart() {
      if (!running) return
      askedAgain = false
      explained = null
      set({ attempt: 0 })
      void attempt()
    },
    refuse,
    explain(error, better) {
      if (state.get().error !== error) return
      explained = better
      if (better) set({ error: better })
    },
    emit,
    ask,
    socketId: () => (joined && socket?.connected ? socket.id : undefined),
    joined: () => joined && !!socket?.connected,
    wake,
    lifetimes: () => lifetimes,
    reportHttp(alive) {
      const { overHttp, status } = state.get()
      if (alive !== overHttp && (!alive || status === "offline" || status === "connecting"))
        set({ overHttp: alive })
    },
  }
}

/** The reason of a refused connect: Lamplight puts its refusal into `data`. */
function refusalIn(error: Error & { data?: unknown }): LamplightError {
  try {
    checkAnswer(() => error.data, "")
  } catch (thrown) {
    if (toError(thrown).code !== "bad_answer") return toError(thrown)
  }
  return offline(error.message)
}
