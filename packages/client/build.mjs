/**
 * Makes `dist`, a folder that can be published as it is: ESM and CommonJS with source maps, types for both, a bundle for a script tag, and
 * a `package.json` whose exports lead to them. Within the workspace nothing is built: `exports` in the folder's own `package.json` lead to `src`.
 */
import { execFileSync } from "node:child_process"
import { readFile, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { build } from "esbuild"

/** What is bundled in, each under the MIT licence, which asks to be handed on. */
const BUNDLED = ["engine.io-client", "engine.io-parser"]

/**
 * Modules of engine.io-client that the bundle replaces. No page needs WebTransport (the server does not offer it), polling by
 * XMLHttpRequest or engine.io-client's own polling by `fetch` (`src/polling.ts` replaces both), or binary packets; and the others
 * carry code for Node, React Native and browsers that are long gone.
 */
const REPLACED = [
  [/transports.webtransport\.js$/, "export class WT {}"],
  [/transports.polling-xhr(\.node)?\.js$/, "export class XHR {}"],
  [
    /transports.polling-fetch\.js$/,
    'import { Polling } from "./polling.js"; export class Fetch extends Polling {}',
  ],
  [/contrib.base64-arraybuffer\.js$/, "export const decode = () => new ArrayBuffer(0)"],
  [
    /contrib.parseuri\.js$/,
    `export function parse(uri) {
      const { hostname, port, protocol } = new URL(uri)
      return { host: hostname.replace(/[[\\]]/g, ""), port, protocol: protocol.slice(0, -1), query: "" }
    }`,
  ],
  [
    /esm.transport\.js$/,
    `import { Emitter } from "@socket.io/component-emitter"
    import { decodePacket } from "engine.io-parser"
    export class Transport extends Emitter {
      writable = false
      constructor(opts) {
        super()
        this.opts = opts
        this.query = opts.query
        this.socket = opts.socket
      }
      onError(reason) {
        this.emitReserved("error", new Error(reason))
      }
      open() {
        this.readyState = "opening"
        this.doOpen()
      }
      close() {
        if (this.readyState !== "opening" && this.readyState !== "open") return
        this.doClose()
        this.onClose()
      }
      send(packets) {
        if (this.readyState === "open") this.write(packets)
      }
      onOpen() {
        this.readyState = "open"
        this.writable = true
        this.emitReserved("open")
      }
      onData(data) {
        this.onPacket(decodePacket(data))
      }
      onPacket(packet) {
        this.emitReserved("packet", packet)
      }
      onClose(details) {
        this.readyState = "closed"
        this.emitReserved("close", details)
      }
      createUri(scheme, query) {
        const { hostname, port, path } = this.opts
        const host = hostname.includes(":") ? "[" + hostname + "]" : hostname
        return scheme + "://" + host + ":" + port + path + "?" + new URLSearchParams(query)
      }
    }
    export const TransportError = Error`,
  ],
  [
    /transports.websocket\.js$/,
    `import { encodePacket } from "engine.io-parser"
    import { Transport } from "../transport.js"
    export class WS extends Transport {
      get name() {
        return "websocket"
      }
      doOpen() {
        try {
          this.ws = new WebSocket(this.createUri(this.opts.secure ? "wss" : "ws", this.query))
        } catch (error) {
          return this.emitReserved("error", error)
        }
        this.ws.onopen = () => this.onOpen()
        this.ws.onclose = (context) => this.onClose({ context })
        this.ws.onmessage = ({ data }) => this.onData(data)
        this.ws.onerror = (event) => this.onError("websocket error", event)
      }
      write(packets) {
        this.writable = false
        for (const packet of packets)
          encodePacket(packet, true, (data) => {
            // Throws if the WebSocket was closed and its event has not come yet.
            try {
              this.ws.send(data)
            } catch {}
          })
        // In a task of its own: the socket empties its buffer first.
        queueMicrotask(() => {
          this.writable = true
          this.emitReserved("drain")
        })
      }
      doClose() {
        if (!this.ws) return
        this.ws.onerror = () => {}
        this.ws.close()
        this.ws = null
      }
    }`,
  ],
  [
    /esm.util\.js$/,
    `export function installTimerFunctions(target) {
      target.setTimeoutFn = setTimeout.bind(globalThis)
      target.clearTimeoutFn = clearTimeout.bind(globalThis)
    }
    export const byteLength = (text) => new TextEncoder().encode(text).length
    export const randomString = () => Math.random().toString(36).slice(2)`,
  ],
  [
    /esm.globals\.js$/,
    `export const nextTick = (run) => queueMicrotask(run)
    export const globalThisShim = globalThis
    export const defaultBinaryType = "arraybuffer"
    export function createCookieJar() {}`,
  ],
  [
    /contrib.parseqs\.js$/,
    `export const encode = (query) => String(new URLSearchParams(query))
    export const decode = (query) => Object.fromEntries(new URLSearchParams(query))`,
  ],
  [
    // The parser without binary packets.
    /commons\.js$/,
    `const TYPES = ["open", "close", "ping", "pong", "message", "upgrade", "noop"]
    export const protocol = 4
    export const encodePacket = ({ type, data }, _, done) => done(TYPES.indexOf(type) + (data ?? ""))
    export const decodePacket = (data) => {
      if (typeof data !== "string") return { type: "message", data }
      const type = TYPES[data[0]]
      return type ? { type, data: data.slice(1) } : { type: "error", data: "parser error" }
    }`,
  ],
  [
    /transports.polling\.js$/,
    `import { decodePacket, encodePacket } from "engine.io-parser"
    import { Transport } from "../transport.js"
    const SEPARATOR = "\\x1e"
    export class Polling extends Transport {
      get name() {
        return "polling"
      }
      doOpen() {
        this.poll()
      }
      poll() {
        this.polling = true
        this.doPoll()
      }
      /** Ends with the poll and the write that are under way. */
      pause(done) {
        this.readyState = "pausing"
        const look = () => {
          if (this.readyState !== "pausing" || this.polling || !this.writable) return
          this.readyState = "paused"
          done()
        }
        this.on("pollComplete", look)
        this.on("drain", look)
        look()
      }
      onData(text) {
        for (const part of text.split(SEPARATOR)) {
          const packet = decodePacket(part)
          if (this.readyState === "opening" && packet.type === "open") this.onOpen()
          if (packet.type === "close") this.onClose()
          else this.onPacket(packet)
        }
        if (this.readyState === "closed") return
        this.polling = false
        this.emitReserved("pollComplete")
        if (this.readyState === "open") this.poll()
      }
      doClose() {
        const close = () => this.write([{ type: "close" }])
        if (this.readyState === "open") close()
        else this.once("open", close)
      }
      write(packets) {
        this.writable = false
        const parts = packets.map((packet) => encodePacket(packet, false, (part) => part))
        this.doWrite(parts.join(SEPARATOR), () => {
          this.writable = true
          this.emitReserved("drain")
        })
      }
      uri() {
        this.query.t = Math.random().toString(36).slice(2)
        return this.createUri(this.opts.secure ? "https" : "http", this.query)
      }
    }`,
  ],
  [
    /component-emitter.lib.esm.index\.js$/,
    `export class Emitter {
      #listeners = new Map()
      on(event, listener) {
        this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener])
        return this
      }
      once(event, listener) {
        const once = (...args) => {
          this.off(event, once)
          listener.apply(this, args)
        }
        once.listener = listener
        return this.on(event, once)
      }
      off(event, listener) {
        const left = (this.#listeners.get(event) ?? []).filter((one) => one !== listener && one.listener !== listener)
        this.#listeners.set(event, left)
      }
      removeListener(event, listener) {
        this.off(event, listener)
      }
      removeAllListeners(event) {
        if (event) this.#listeners.delete(event)
        else this.#listeners.clear()
      }
      emitReserved(event, ...args) {
        for (const listener of this.#listeners.get(event) ?? []) listener.apply(this, args)
        return this
      }
    }`,
  ],
  [
    // Without options that the client does not use, and without the choice of WebTransport.
    /esm.socket\.js$/,
    `import { Emitter } from "@socket.io/component-emitter"
    import { parse } from "./contrib/parseuri.js"
    import { byteLength } from "./util.js"
    const isLive = ({ readyState }) => readyState !== "closed"
    export class Socket extends Emitter {
      writeBuffer = []
      /** How many of the buffered packets the transport has. */
      sent = 0
      constructor(uri, opts) {
        super()
        const { host, port, protocol: scheme } = parse(uri)
        const secure = scheme === "https"
        this.implementations = [...opts.transportImplementations]
        const path = opts.path + (opts.addTrailingSlash === false ? "" : "/")
        const common = { secure, hostname: host, port: port || (secure ? "443" : "80") }
        this.opts = { ...opts, ...common, path, socket: this }
        if (host !== "localhost") {
          this.offline = () => this.end("transport close")
          globalThis.addEventListener?.("offline", this.offline)
        }
        this.begin()
      }
      make(Implementation) {
        const query = { EIO: 4, transport: Implementation.prototype.name }
        if (this.id) query.sid = this.id
        return new Implementation({ ...this.opts, query })
      }
      begin() {
        this.readyState = "opening"
        const transport = this.make(this.implementations[0])
        transport.open()
        this.use(transport)
      }
      use(transport) {
        this.transport?.removeAllListeners()
        this.transport = transport
        transport
          .on("drain", () => this.drained())
          .on("packet", (packet) => this.received(packet))
          .on("error", (error) => this.failed(error))
          .on("close", () => this.end("transport close"))
      }
      probe(Implementation) {
        const transport = this.make(Implementation)
        let isOver = false
        const finish = () => {
          isOver = true
          this.off("close", give)
        }
        const give = () => {
          if (isOver) return
          finish()
          this.upgrading = false
          transport.removeAllListeners()
          transport.close()
          this.emitReserved("upgradeError")
          this.flush()
        }
        this.once("close", give)
        transport.once("error", give)
        transport.once("close", give)
        transport.once("open", () => {
          transport.send([{ type: "ping", data: "probe" }])
          transport.once("packet", ({ type, data }) => {
            if (isOver) return
            if (type !== "pong" || data !== "probe") return give()
            this.upgrading = true
            this.transport.pause(() => {
              if (isOver || !isLive(this)) return
              finish()
              this.use(transport)
              transport.send([{ type: "upgrade" }])
              this.upgrading = false
              this.emitReserved("upgrade")
              this.flush()
            })
          })
        })
        transport.open()
      }
      received({ type, data }) {
        if (!isLive(this)) return
        if (type === "open") this.opened(JSON.parse(data))
        else if (type === "ping") {
          this.push("pong")
          this.expectPing()
        } else if (type === "error") this.failed(new Error("server error"))
        else if (type === "message") this.emitReserved("message", data)
      }
      opened({ sid, upgrades, pingInterval, pingTimeout, maxPayload }) {
        this.id = sid
        this.transport.query.sid = sid
        this.maxPayload = maxPayload
        this.pingDelay = pingInterval + pingTimeout
        this.readyState = "open"
        this.emitReserved("open")
        this.flush()
        for (const one of this.implementations)
          if (this.readyState === "open" && upgrades.includes(one.prototype.name)) this.probe(one)
        if (isLive(this)) this.expectPing()
      }
      expectPing() {
        clearTimeout(this.timer)
        this.timer = setTimeout(() => this.end("ping timeout"), this.pingDelay)
      }
      drained() {
        this.writeBuffer.splice(0, this.sent)
        this.sent = 0
        if (this.writeBuffer.length) this.flush()
        else this.emitReserved("drain")
      }
      flush() {
        const { transport, writeBuffer } = this
        if (!isLive(this) || !transport.writable || this.upgrading || !writeBuffer.length) return
        const packets = this.fitting()
        transport.send(packets)
        this.sent = packets.length
      }
      /** As many packets as one payload of a poll may have. */
      fitting() {
        const { writeBuffer, maxPayload } = this
        if (!maxPayload || this.transport.name !== "polling") return writeBuffer
        let size = 1
        for (const [at, { data }] of writeBuffer.entries()) {
          size += data ? byteLength(data) : 0
          if (at && size > maxPayload) return writeBuffer.slice(0, at)
          size += 2
        }
        return writeBuffer
      }
      push(type, data) {
        if (this.readyState === "closing" || !isLive(this)) return
        this.writeBuffer.push({ type, data })
        this.flush()
      }
      send(data) {
        this.push("message", data)
      }
      close() {
        if (this.readyState === "closing" || !isLive(this)) return
        this.readyState = "closing"
        const close = () => {
          this.end("forced close")
        }
        // Nothing can be sent while a transport pauses.
        const afterUpgrade = () => {
          if (!this.upgrading) return close()
          this.once("upgrade", close)
          this.once("upgradeError", close)
        }
        if (this.writeBuffer.length) this.once("drain", afterUpgrade)
        else afterUpgrade()
      }
      failed(error) {
        if (this.implementations.length > 1 && this.readyState === "opening") {
          this.implementations.shift()
          return this.begin()
        }
        this.emitReserved("error", error)
        this.end("transport error")
      }
      end(reason) {
        if (!isLive(this)) return
        clearTimeout(this.timer)
        this.transport.removeAllListeners("close")
        this.transport.close()
        this.transport.removeAllListeners()
        if (this.offline) globalThis.removeEventListener?.("offline", this.offline)
        this.readyState = "closed"
        this.id = null
        this.emitReserved("close", reason)
        this.writeBuffer = []
        this.sent = 0
      }
    }`,
  ],
]

/** It has nothing but what `commons.js` is replaced with. */
const PARSER = /engine\.io-parser.build.esm.index\.js$/

/** What replaces the module of this path; undefined: nothing. */
export const replacementOf = (path) =>
  PARSER.test(path)
    ? 'export * from "./commons.js"'
    : REPLACED.find(([name]) =>
        new RegExp(`(engine\\.io-(client|parser).build|@socket\\.io).*${name.source}`).test(path),
      )?.[1]

export const withoutUnused = {
  name: "without-unused",
  setup({ onLoad }) {
    onLoad({ filter: /engine\.io-(client|parser).build|@socket\.io/ }, ({ path }) => {
      const contents = replacementOf(path)
      return contents === undefined ? undefined : { contents, resolveDir: dirname(path) }
    })
  },
}

/**
 * Builds the package in `folder`. `entries` are its files of `src` that can be imported, `external` stays an import, everything else is
 * bundled in; `global` is the name of a bundle for a script tag.
 */
export async function buildPackage(
  folder,
  { entries = ["index"], external = [], bundled = [], global } = {},
) {
  const at = (path) => join(folder, path)
  await rm(at("dist"), { recursive: true, force: true })
  const common = {
    absWorkingDir: folder,
    bundle: true,
    platform: "browser",
    target: "es2022",
    sourcemap: true,
    external,
    plugins: [withoutUnused],
  }
  const entryPoints = entries.map((name) => `src/${name}.ts`)
  await build({ ...common, entryPoints, outdir: "dist", format: "esm", splitting: true })
  await build({ ...common, entryPoints, outdir: "dist/cjs", format: "cjs" })
  if (global) {
    const outfile = "dist/lamplight.min.js"
    const way = { format: "iife", globalName: global, minify: true }
    await build({ ...common, ...way, entryPoints: ["src/index.ts"], outfile })
  }
  const require = createRequire(at("package.json"))
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc")
  const flags = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--declarationMap", "false"]
  for (const outDir of ["dist", "dist/cjs"])
    execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json", ...flags, "--outDir", outDir], {
      cwd: folder,
      stdio: "inherit",
    })
  // Of what type a `.js` and a `.d.ts` are, the nearest `package.json` says.
  await writeFile(at("dist/cjs/package.json"), '{"type":"commonjs"}\n')
  const own = JSON.parse(await readFile(at("package.json"), "utf8"))
  const { private: _private, scripts: _scripts, devDependencies: _dev, ...rest } = own
  const published = { ...rest, ...entryFields(entries, global) }
  await writeFile(at("dist/package.json"), `${JSON.stringify(published, null, 2)}\n`)
  if (bundled.length === 0) return
  const licences = await Promise.all(
    bundled.map(
      async (name) => `${name}\n\n${await readFile(join(packageFolder(require, name), "LICENSE"), "utf8")}`,
    ),
  )
  await writeFile(at("dist/THIRD-PARTY-LICENSES"), licences.join("\n\n"))
}

/** How a package is found by `import`, `require`, TypeScript's resolutions, and tools that know of no `exports`. */
function entryFields(entries, global) {
  const files = (folder, name) => ({ types: `./${folder}${name}.d.ts`, default: `./${folder}${name}.js` })
  const exports = { "./package.json": "./package.json" }
  for (const name of entries) {
    const both = { import: files("", name), require: files("cjs/", name), default: `./${name}.js` }
    exports[name === "index" ? "." : `./${name}`] = both
  }
  const script = global ? { unpkg: "./lamplight.min.js", jsdelivr: "./lamplight.min.js" } : {}
  return { exports, main: "./cjs/index.js", module: "./index.js", types: "./index.d.ts", ...script }
}

/** Where a package lies, which its exports may not tell. */
function packageFolder(require, name) {
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return dirname(require.resolve(join(folder, name, "package.json")))
    } catch {}
  }
  throw new Error(`${name} is not installed.`)
}

if (process.argv[1] === import.meta.filename) {
  await buildPackage(import.meta.dirname, {
    entries: ["index", "svelte", "vue"],
    external: ["vue"],
    bundled: BUNDLED,
    global: "Lamplight",
  })
}
