import { LamplightError, toError } from "./errors.js"
import { checkAnswer } from "./http.js"
import type { Clock, SocketLike, Surroundings } from "./options.js"
import { type Cell, cell } from "./store.js"
import type { ConnectionState } from "./types.js"
import type { ClientEvents, ServerEvents } from "./wire.js"

/** What the connection needs from the rest of the client. */
export interface ConnectionParts {
  clock: Clock
  random(): number
  surroundings: Surroundings
  /** Finds out who is calling and makes a socket, not yet connected. `turn` counts tries, so that transports can change places. */
  dial(turn: number): Promise<SocketLike>
  /** Announces the user on a socket that has just connected. */
  join(): Promise<void>
  /** Fetches what was missed. */
  catchUp(isCurrent: () => boolean): Promise<void>
  /** Something the server said. */
  receive<K extends keyof ServerEvents>(event: K, payload: ServerEvents[K]): void
  /** The server does not know the caller. True: something changed, try once more. */
  unknownCaller(): Promise<boolean>
  /** A socket was there and is gone. */
  down(): void
  /** The person may have come back or gone. */
  activity(): void
  /** The page may be about to go. */
  hide(): void
}

/** The line to the server. */
export interface Connection {
  readonly state: Cell<ConnectionState>
  retain(): () => void
  retained(): boolean
  connect(): void
  close(): void
  /** Leaves the socket and starts over, as another user or with another token. */
  restart(): void
  /** Stops without a next try. */
  refuse(error: LamplightError): void
  /** Sends without waiting; false if there is no line. */
  emit<K extends keyof ClientEvents>(event: K, payload: ClientEvents[K]): boolean
  /** Sends and waits for the acknowledgement. Throws `offline`, `timeout`, or what the server refuses with. */
  ask<T>(event: keyof ClientEvents, payload: unknown, limitMs?: number): Promise<T>
  /** The id of the socket, while the user is announced on it. */
  socketId(): string | undefined
  /** Whether the user is announced on a socket. */
  joined(): boolean
  /** Tries now if it waits, and makes sure that the line is alive if it seems to be. */
  wake(): void
  /** HTTP answered, or did not, while the socket was away. */
  sawHttp(alive: boolean): void
}

/** An unmount followed by a mount keeps the socket. */
export const RELEASE_DELAY_MS = 1_000
/** An acknowledgement is waited for this long. */
export const ACK_LIMIT_MS = 5_000
const HEARTBEAT_MS = 30_000
const CONNECT_LIMIT_MS = 15_000
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 10_000
/** A connection that held this long was a good one: the delays start small again. */
const SETTLED_MS = 5_000

const EVENTS: (keyof ServerEvents)[] = [
  "online_users",
  "user_online",
  "user_updated",
  "user_offline",
  "presence_changes",
  "new_private_message",
  "typing",
  "receipt",
  "conversation_updated",
  "token_expired",
  "error_message",
]

const offline = (saw: string) =>
  new LamplightError({
    code: "offline",
    message: "There is no connection to the server.",
    retryable: true,
    saw,
  })

/** Errors after which trying again by itself is of no use. */
const isFinal = (error: LamplightError) =>
  ["unauthenticated", "forbidden", "LL-106", "LL-107"].includes(error.code)

/** Makes the line. It is `idle` until retained. */
export function createConnection(parts: ConnectionParts): Connection {
  const { clock, surroundings } = parts
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
  /** Grows with every try and every loss: what was begun under an older number is dropped. */
  let cycle = 0
  let holders = 0
  let running = false
  let closed = false
  let everConnected = false
  let connectedAt = 0
  let askedAgain = false
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
    state.set(next)
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
    if (had) parts.down()
  }

  async function attempt(): Promise<void> {
    drop()
    const mine = cycle
    const isCurrent = () => mine === cycle
    set({ status: "connecting", nextTryAt: null, attempt: state.get().attempt + 1 })
    try {
      const made = await parts.dial(state.get().attempt)
      if (!isCurrent()) return made.disconnect() as undefined
      socket = made
      await opened(made, isCurrent)
      await parts.join()
      if (!isCurrent()) return
      joined = true
      beat()
      set({ status: "catching-up" })
      await parts.catchUp(isCurrent)
      if (!isCurrent()) return
      everConnected = true
      askedAgain = false
      connectedAt = clock.now()
      set({ status: "connected", error: null })
    } catch (thrown) {
      if (isCurrent()) await failed(toError(thrown), isCurrent)
    }
  }

  /** Waits for the connect; from then on a loss starts the next try. */
  function opened(made: SocketLike, isCurrent: () => boolean): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      let open = false
      const end = () => {
        cancel()
        waiting.delete(fail)
      }
      const fail = (error: LamplightError) => {
        end()
        reject(error)
      }
      const cancel = clock.after(CONNECT_LIMIT_MS, () => fail(offline("connecting took too long")))
      waiting.add(fail)
      made.on("connect", () => {
        open = true
        end()
        resolve()
      })
      made.on("connect_error", (error: Error & { data?: unknown }) => fail(refusalIn(error)))
      made.on("disconnect", (reason: string) => {
        if (open && isCurrent()) lost(offline(`the socket was lost: ${reason}`))
      })
      for (const event of EVENTS) {
        made.on(event, (payload) => {
          if (isCurrent()) parts.receive(event, payload)
        })
      }
      made.connect()
    })
  }

  async function failed(error: LamplightError, isCurrent: () => boolean): Promise<void> {
    if (error.code === "unauthenticated" || error.code === "forbidden") {
      // Once: what this client knows of the caller may be old (a session of before, a token that ran out on the way).
      if (!askedAgain) {
        askedAgain = true
        const changed = await parts.unknownCaller().catch(() => false)
        if (!isCurrent()) return
        if (changed) return void attempt()
      }
    }
    if (isFinal(error)) refuse(error)
    else lost(error)
  }

  function refuse(error: LamplightError): void {
    drop()
    askedAgain = false
    set({ status: "refused", nextTryAt: null, error })
  }

  function lost(error: LamplightError): void {
    const { status, attempt: tries } = state.get()
    const wasSettled = status === "connected" && clock.now() - connectedAt >= SETTLED_MS
    const count = wasSettled ? 0 : tries
    drop()
    const most = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(count, 10))
    const delay = Math.max(error.retryAfterMs ?? 0, most * (0.5 + parts.random() / 2))
    set({ status: "offline", attempt: count, nextTryAt: clock.now() + delay, error })
    cancelRetry = clock.after(delay, () => void attempt())
  }

  function beat(): void {
    cancelBeat()
    lastBeat = clock.now()
    cancelBeat = clock.after(HEARTBEAT_MS, () => {
      // A timer that is very late means that the device slept: the socket may be dead without anybody having noticed.
      if (clock.now() - lastBeat > 2 * HEARTBEAT_MS) wake()
      emit("user_activity", { active: surroundings.isActive() })
      beat()
    })
  }

  /** Something may have changed for the better, or the line may have died in the meantime. */
  function wake(): void {
    const { status } = state.get()
    if (status === "offline") void attempt()
    if (!joined) return
    const mine = cycle
    ask("user_activity", { active: surroundings.isActive() }).catch((error: LamplightError) => {
      if (mine === cycle && error.code === "timeout") lost(error)
    })
  }

  function start(): void {
    running = true
    unwatch = surroundings.watch((what) => {
      if (what === "wake") wake()
      else if (what === "hide") parts.hide()
      else {
        parts.activity()
        emit("user_activity", { active: surroundings.isActive() })
      }
    })
    void attempt()
  }

  function stop(status: "idle" | "closed"): void {
    running = false
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
    return new Promise<T>((resolve, reject) => {
      // Never into socket.io's own buffer: what is sent later is decided here.
      if (!socket?.connected) return reject(offline("the socket is not connected"))
      const end = () => {
        cancel()
        waiting.delete(fail)
      }
      const fail = (error: LamplightError) => {
        end()
        reject(error)
      }
      const cancel = clock.after(limitMs, () =>
        fail(
          new LamplightError({
            code: "timeout",
            message: "The server took too long to answer.",
            retryable: true,
            saw: `no acknowledgement of ${event} within ${limitMs / 1000} s`,
          }),
        ),
      )
      waiting.add(fail)
      socket.emit(event, payload, (answer: unknown) => {
        end()
        try {
          resolve(checkAnswer<T>(answer, `${event}: ${JSON.stringify(answer)}`))
        } catch (refusal) {
          reject(refusal)
        }
      })
    })
  }

  return {
    state,
    retain() {
      let mine = !closed
      if (mine) holders++
      cancelRelease()
      if (mine && !running) start()
      return () => {
        if (!mine) return
        mine = false
        if (--holders > 0 || closed) return
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
      set({ attempt: 0 })
      void attempt()
    },
    refuse,
    emit,
    ask,
    socketId: () => (joined && socket?.connected ? socket.id : undefined),
    joined: () => joined && !!socket?.connected,
    wake,
    sawHttp(alive) {
      const { overHttp, status } = state.get()
      if (alive !== overHttp && (!alive || status === "offline" || status === "connecting"))
        set({ overHttp: alive })
    },
  }
}

/** What a refused connect says: Lamplight puts its refusal into `data`. */
function refusalIn(error: Error & { data?: unknown }): LamplightError {
  try {
    checkAnswer(error.data, error.message)
  } catch (thrown) {
    if (thrown instanceof LamplightError && thrown.code !== "bad_answer") return thrown
  }
  return offline(error.message)
}
