// A minimal Socket.IO client that implements the protocol by hand, so that it can violate it.
import WebSocket from "ws"

export class Peer {
  #asked = new Map()
  #next = 0
  /** Received bytes and frames. */
  bytes = 0
  frames = []
  isOpen = true

  /** @returns {Promise<Peer>} connected to the namespace, if it has a token */
  static open(url, { token, address, connect = true } = {}) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${url.replace("http", "ws")}/api/socketio/?EIO=4&transport=websocket`, {
        localAddress: address,
        perMessageDeflate: false,
      })
      const peer = new Peer(socket)
      socket.on("error", reject)
      socket.on("close", () => {
        peer.isOpen = false
        for (const answer of peer.#asked.values()) answer(null)
        reject(new Error("closed"))
      })
      socket.on("message", (data) => {
        const text = String(data)
        peer.bytes += text.length
        if (text[0] === "0") {
          if (!connect) return resolve(peer)
          socket.send(`40${token ? JSON.stringify({ token }) : ""}`)
        } else if (text[0] === "2") socket.send("3")
        else if (text.startsWith("40")) resolve(peer)
        else if (text.startsWith("44")) reject(new Error(text))
        else peer.#take(text)
      })
    })
  }

  constructor(socket) {
    this.socket = socket
  }

  #take(text) {
    const ack = /^43(\d+)/.exec(text)
    if (!ack) {
      this.frames.push({ at: performance.now(), bytes: text.length, text: text.slice(0, 200) })
      return
    }
    const id = Number(ack[1])
    this.#asked.get(id)?.(JSON.parse(text.slice(ack[0].length))[0])
    this.#asked.delete(id)
  }

  /** Emits and returns the acknowledgement, `null` if the connection closed. */
  ask(name, payload) {
    return this.askRaw(name, JSON.stringify(payload))
  }

  /** As {@link ask}, with the payload as JSON text. */
  askRaw(name, json) {
    const id = this.#next++
    return new Promise((resolve) => {
      if (!this.isOpen) return resolve(null)
      this.#asked.set(id, resolve)
      this.socket.send(`42${id}["${name}",${json ?? null}]`)
    })
  }

  close() {
    this.socket.terminate()
  }
}
