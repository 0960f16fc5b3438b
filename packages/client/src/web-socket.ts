/**
 * An Engine.IO connection over WebSocket (protocol 4), without binary packets. Nearly all connections are of this kind, so that
 * engine.io-client, which polls too and upgrades, loads only where WebSocket does not open.
 */

/** What becomes of a connection. Nothing follows `close`. */
export interface EngineEvents {
  open(): void
  message(text: string): void
  /** It could not be opened, or it is lost. */
  close(reason: string): void
}

/** A connection of the transport. */
export interface Engine {
  /** Sends a message, once the connection is open. */
  send(text: string): void
  /** Ends the connection after what was sent. */
  close(): void
}

// Types of packets.
const OPEN = "0"
const CLOSE = "1"
const PING = "2"
const PONG = "3"
const MESSAGE = "4"

/** Opens a connection at the address of a socket, without its query. */
export function openWebSocket(address: string, events: EngineEvents): Engine {
  const socket = new WebSocket(`${address.replace(/^http/i, "ws")}?EIO=4&transport=websocket`)
  let timer: ReturnType<typeof setTimeout> | undefined
  let pingDelay = 0
  let isOver = false

  function end(reason: string): void {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    globalThis.removeEventListener?.("offline", lost)
    socket.close()
    events.close(reason)
  }
  const lost = () => end("transport close")

  /** The server sends pings: without one the connection is dead. */
  function expectPing(): void {
    clearTimeout(timer)
    timer = setTimeout(() => end("ping timeout"), pingDelay)
  }

  socket.onmessage = ({ data }) => {
    if (isOver) return
    const text = String(data)
    const content = text.slice(1)
    switch (text[0]) {
      case OPEN:
        try {
          const { pingInterval, pingTimeout } = JSON.parse(content)
          pingDelay = pingInterval + pingTimeout
        } catch {
          return end("parse error")
        }
        expectPing()
        return events.open()
      case CLOSE:
        return lost()
      case PING:
        expectPing()
        return socket.send(PONG)
      case MESSAGE:
        return events.message(content)
    }
  }
  socket.onerror = () => end("transport error")
  socket.onclose = lost
  // A connection to this machine outlives the network.
  if (!/^\w+:\/\/localhost\b/.test(address)) globalThis.addEventListener?.("offline", lost)

  return {
    send(text) {
      // Throws if the connection was closed and its event has not come yet.
      try {
        socket.send(MESSAGE + text)
      } catch {}
    },
    close: () => end("forced close"),
  }
}
