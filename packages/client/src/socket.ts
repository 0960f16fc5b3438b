/**
 * One Socket.IO connection: CONNECT, events, acknowledgements. socket.io-client without reconnecting, buffering, namespaces and
 * binary payloads, which this client does not use: it decides itself what is sent and when. The option `openSocket` replaces it.
 */
import { createEmitter } from "./events.js"
import type { SocketLike, SocketRequest } from "./options.js"
import { type Engine, openWebSocket } from "./web-socket.js"

type Listener = (...args: unknown[]) => void
/** A packet's content: an array for an event and an acknowledgement, else an object. */
type Content = [string, ...unknown[]] & { sid: string; message: string; data: unknown }

/** Type, namespace, acknowledgement id and content of a packet. */
const PACKET = /^(\d)(?:\/[^,]*,)?(\d*)(.*)$/s
const CONNECT = "0"
const DISCONNECT = "1"
const EVENT = "2"
const ACK = "3"
const CONNECT_ERROR = "4"

/** Makes a socket for one connection: it does not reconnect. */
export function openSocket({ url, auth, transports, ...options }: SocketRequest): SocketLike {
  const events = createEmitter<Record<string, unknown>>()
  const acks = new Map<string, Listener>()
  let engine: Engine | null = null
  let id: string | undefined
  let serial = 0
  let isOver = false

  function end(reason: string): void {
    isOver = true
    const was = id !== undefined
    const open = engine
    engine = null
    id = undefined
    acks.clear()
    open?.close()
    if (!open) return
    if (was) events.emit("disconnect", reason)
    else events.emit("connect_error", new Error(reason))
  }

  function take(type: string, ackId: string, content: Content): void {
    switch (type) {
      case CONNECT:
        id = content.sid
        events.emit("connect", undefined)
        break
      case DISCONNECT:
        end("io server disconnect")
        break
      case EVENT:
        events.emit(content[0], content[1])
        break
      case ACK:
        acks.get(ackId)?.(...content)
        acks.delete(ackId)
        break
      case CONNECT_ERROR: {
        const open = engine
        engine = null
        open?.close()
        events.emit("connect_error", Object.assign(new Error(content.message), { data: content.data }))
      }
    }
  }

  function read(packet: unknown): void {
    let parts: RegExpExecArray | null = null
    let content: unknown
    try {
      parts = PACKET.exec(packet as string)
      content = parts?.[3] ? JSON.parse(parts[3]) : undefined
    } catch {
      end("parse error")
    }
    if (engine && parts) take(parts[1] as string, parts[2] as string, content as never)
  }

  /** Opens over the first of these transports, or else over the next one. */
  async function begin([first, ...others]: SocketRequest["transports"]): Promise<void> {
    const origin = url || location.origin
    let isOpen = false
    let mine: Engine | undefined
    // Ignores events of an engine that was replaced.
    const isMine = () => engine === mine
    const handlers = {
      open() {
        isOpen = true
        mine?.send(CONNECT + JSON.stringify(auth))
      },
      message: (packet: string) => isMine() && read(packet),
      close(reason: string) {
        if (!isMine()) return
        if (isOpen || !others.length) return end(reason)
        engine = null
        start(others)
      },
    }
    if (first === "websocket") {
      mine = openWebSocket(origin + options.path + (options.addTrailingSlash === false ? "" : "/"), handlers)
    } else {
      // It upgrades to WebSocket, and loads when it is needed.
      const { openPolling } = await import("./polling.js")
      if (isOver) return
      mine = openPolling(origin, options, others.includes("websocket"), handlers)
    }
    engine = mine
  }

  function start(names: SocketRequest["transports"]): void {
    begin(names).catch((thrown) => {
      if (isOver) return
      // The address is refused at once, or a chunk cannot be loaded.
      if (names.length > 1) start(names.slice(1))
      else events.emit("connect_error", new Error(String(thrown)))
    })
  }

  return {
    get connected() {
      return id !== undefined
    },
    get id() {
      return id
    },
    on: events.on,
    connect() {
      const usable = transports.filter(
        (name) => name === "polling" || (name === "websocket" && typeof WebSocket === "function"),
      )
      if (usable.length) return start(usable)
      const error = "This runtime has no WebSocket."
      const data = { success: false, error, code: "LL-118", retryable: false }
      events.emit("connect_error", Object.assign(new Error(error), { data }))
    },
    emit(event, payload, ack) {
      let ackId = ""
      if (ack) {
        ackId = String(serial++)
        acks.set(ackId, ack as Listener)
      }
      engine?.send(EVENT + ackId + JSON.stringify([event, payload]))
    },
    disconnect() {
      if (id !== undefined) engine?.send(DISCONNECT)
      end("io client disconnect")
    },
  }
}
