/**
 * What the parts that load later use of the client: an import would make a bundler cut the client in pieces, which compress worse.
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
