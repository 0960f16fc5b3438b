import type { LamplightOptions } from "./options.js"
import type { Lamplight } from "./types.js"

/**
 * Makes a client. Nothing is connected until it is retained, so it may be made while rendering on a server.
 */
export function createLamplight(_options: LamplightOptions = {}): Lamplight {
  throw new Error("Not built yet.")
}
