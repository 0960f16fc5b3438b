/**
 * One Socket.IO connection over engine.io-client: CONNECT, events, acknowledgements. socket.io-client without
 * reconnecting, buffering, namespaces and binary payloads, which this client does not use: it decides itself
 * what is sent and when. This saves 5 KiB a page. The option `openSocket` replaces it.
 */
import { WebSocket as BrowserWebSocket, Socket as Engine, transports as offered } from "engine.io-client"
import { createEmitter } from "./events.js"
import type { SocketLike, SocketRequest } from "./options.js"
import { FetchPolling } from "./polling.js"

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

/**
 * Node before 22 has no WebSocket: a bundle polls there, while engine.io-client from `node_modules` brings
 * its own.
 */
const hasWebSocket = typeof WebSocket !== "undefined" || offered.websocket !== BrowserWebSocket
const IMPLEMENTATIONS = { websocket: offered.websocket, polling: FetchPolling }

/** Makes a socket for one connection: it does not reconnect. */
export function openSocket({ url, auth, transports, ...options }: SocketRequest): SocketLike {
  const events = createEmitter<Record<string, unknown>>()
  const acks = new Map<string, Listener>()
  let engine: Engine | null = null
  let id: string | undefined
  let serial = 0

  function end(reason: string): void {
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

  return {
    get connected() {
      return id !== undefined
    },
    get id() {
      return id
    },
    on: events.on,
    connect() {
      const usable = transports.filter((name) =>
        name === "websocket" ? hasWebSocket : name in IMPLEMENTATIONS,
      )
      if (!usable.length) {
        const error = "This runtime has no WebSocket."
        const data = { success: false, error, code: "LL-118", retryable: false }
        return events.emit("connect_error", Object.assign(new Error(error), { data }))
      }
      const mine = new Engine(url || location.origin, {
        ...options,
        transportImplementations: usable.map((name) => IMPLEMENTATIONS[name]),
        tryAllTransports: true,
      })
      engine = mine
      // Ignores events of an engine that was replaced.
      const isMine = () => engine === mine
      mine.on("open", () => void mine.send(CONNECT + JSON.stringify(auth)))
      mine.on("message", (packet) => isMine() && read(packet))
      mine.on("error", (error) => isMine() && end(String(error)))
      mine.on("close", (reason) => isMine() && end(reason))
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
