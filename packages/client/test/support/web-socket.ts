/** Node before 22 has no WebSocket, which browsers have: engine.io-client's own dependency stands in for it. */
import { createRequire } from "node:module"

/** Finds what engine.io-client depends on. */
export const engineRequire = createRequire(createRequire(import.meta.url).resolve("engine.io-client"))
globalThis.WebSocket ??= engineRequire("ws").WebSocket
