/** Finds out why the connection fails. Loads the doctor, which runs the checks, on demand. */

import type { Diagnosis } from "./api.js"
import type { Core } from "./core.js"
import { type ErrorDetails, LamplightError, Unauthorized } from "./errors.js"
import { type Identity, tokenPart } from "./identity.js"
import type { LamplightOptions } from "./options.js"
import { inBackground } from "./store.js"

/** A connection that was never up is explained at its second failed attempt, and again at every tenth. */
const EXPLAIN_EVERY = 10

/** How many clients of this page are in use, by server: more than one is most often a mistake. */
const openClients = new Map<string, number>()

/** Explains failures of the connection from now on. Returns the diagnosis for the application. */
export function createDiagnostics(
  core: Core,
  identity: Identity,
  options: LamplightOptions,
  address: { url: string; path: string; fetch: typeof fetch },
): () => Promise<Diagnosis> {
  const { connection, scope } = core
  const doctor = () => import("./doctor.js")
  const context = () => ({
    ...address,
    core,
    identity,
    gives: { getToken: !!options.getToken, userId: !!options.userId },
    ownSocket: !options.openSocket,
    sockets: openClients.get(scope) ?? 0,
    tokenPart,
    newError: (details: ErrorDetails) => new LamplightError(details),
  })
  let counted = 0

  core.events.on("connection", ({ now: { status, error, stale, attempt } }) => {
    const inUse = connection.retained() ? 1 : 0
    openClients.set(scope, (openClients.get(scope) ?? 0) + inUse - counted)
    counted = inUse
    const isFailing = status === "offline" && !stale && attempt % EXPLAIN_EVERY === 2
    if (error && !(error instanceof Unauthorized) && (status === "refused" || isFailing)) {
      inBackground(
        doctor().then(async ({ explain }) =>
          connection.explain(error, await explain(context(), status, error)),
        ),
      )
    }
  })

  return async () => (await doctor()).diagnose(context())
}
