/**
 * The parts of the client that lazily loaded modules use: an import would make a bundler split the client into chunks that compress worse.
 */
import { delayAfter } from "./backoff.js"
import { refusal } from "./content.js"
import { createDatabase } from "./database.js"
import { isTransportFailure, LamplightError, toError } from "./errors.js"
import { query } from "./http.js"
import { same, single, view } from "./store.js"

export const tools = {
  createDatabase,
  delayAfter,
  isTransportFailure,
  query,
  refusal,
  same,
  single,
  toError,
  view,
  LamplightError,
}
export type ClientTools = typeof tools
