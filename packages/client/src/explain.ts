/**
 * Explains a refusal, or a connection that cannot be made. Part of the doctor's chunk, which is loaded on
 * demand.
 */

import type { Finding } from "./api.js"
import type { Core } from "./core.js"
import type { ErrorDetails, LamplightError } from "./errors.js"
import type { Claims, Identity } from "./identity.js"
import type { ConnectionStatus } from "./types.js"

/** What the doctor examines. */
export interface DoctorContext {
  url: string
  path: string
  core: Core
  identity: Identity
  /** How the application identifies the user. */
  gives: { getToken: boolean; userId: boolean }
  /** Whether the client uses its own socket and not one from the application. */
  ownSocket: boolean
  fetch: typeof fetch
  /** How many sockets this page has open to the same server. */
  sockets: number
  // Passed in, since an import from the main chunk would make a third chunk that every page loads.
  tokenPart(token: string, part: 0 | 1): Claims | null
  newError(details: ErrorDetails): LamplightError
}

export type Find = (code: string, saw: string, expected: string, fix: string) => void

const LIMIT_MS = 8_000

/** The result of a request: an answer, or a redirect. */
export interface Probe {
  status: number
  text: string
  redirected: boolean
}

/** Requests an address. Null if there is no answer, or none that this page may read. */
export async function probe(
  { core, fetch }: DoctorContext,
  url: string,
  init: RequestInit = {},
): Promise<Probe | null> {
  const abort = new AbortController()
  const cancel = core.clock.after(LIMIT_MS, () => abort.abort())
  try {
    const response = await fetch(url, { redirect: "manual", signal: abort.signal, ...init })
    const { status, type } = response
    return {
      status,
      redirected: type === "opaqueredirect" || (status >= 300 && status < 400),
      text: type === "opaque" || type === "opaqueredirect" ? "" : await response.text(),
    }
  } catch {
    return null
  } finally {
    cancel()
  }
}

/** Whether a text has the shape of Lamplight's answers. */
export function isAnswer(text: string): boolean {
  try {
    return typeof JSON.parse(text)?.success === "boolean"
  } catch {
    return false
  }
}

/** Checks the form of `url`. Returns whether it is wrong. */
export function checkUrl({ url }: DoctorContext, find: Find): boolean {
  const page = globalThis.location
  const example = "scheme, host and port alone, such as https://chat.example.com"
  const isPlain = /^ws:|^(\/\/)?(localhost|127\.)/i.test(url)
  const cut = /^https?:\/\/[^/?#]+/i.exec(url)?.[0]
  if (!url && !page)
    find(
      "LL-117",
      "no `url`, and no page whose origin could be taken",
      example,
      "Give createLamplight a `url`.",
    )
  else if (cut && cut.length < url.length)
    find("LL-117", `the \`url\` ${url} has a path`, example, `Set \`url\` to ${cut}.`)
  else if (url && !cut)
    find(
      "LL-117",
      `the \`url\` ${url} does not begin with https:// or http://`,
      example,
      `Set \`url\` to ${isPlain ? "http" : "https"}://${url.replace(/^(\w*:?\/\/)/, "")}.`,
    )
  else if (page?.protocol === "https:" && /^http:\/\/(?!localhost|127\.)/i.test(url))
    find(
      "LL-117",
      `the page is served by https, and the \`url\` ${url} is not: browsers block that`,
      "https on both sides",
      "Serve Lamplight by https, and set `url` to that.",
    )
  else return false
  return true
}

/** The server's `AUTH` mode; null if it is unknown. */
async function authOf(context: DoctorContext): Promise<"local" | "jwt" | "open" | null> {
  const answer = await probe(context, `${context.url}/api/auth`)
  if (answer?.status === 200 && isAnswer(answer.text)) return JSON.parse(answer.text).auth
  // An older server.
  const session = await probe(context, `${context.url}/api/auth/session`)
  if (!session || !isAnswer(session.text)) return null
  if (session.status !== 404) return "local"
  const count = await probe(context, `${context.url}/api/online-users?countOnly=true`)
  return count?.status === 200 ? "open" : count?.status === 401 ? "jwt" : null
}

/** Compares the client's options with the server's `AUTH` mode. */
async function checkAuth(context: DoctorContext, find: Find): Promise<void> {
  const { getToken, userId } = context.gives
  const auth = await authOf(context)
  const takes = {
    jwt: "the server takes the tokens of an application (AUTH=jwt)",
    local: "the server has accounts of its own (AUTH=local)",
    open: "the server trusts the `userId` that each client gives (AUTH=open)",
  }
  if (auth === "jwt" && !getToken) {
    const saw = userId ? "a `userId`, and no `getToken`" : "no `getToken`"
    find(
      "LL-116",
      `${takes.jwt}, and the client has ${saw}`,
      "a `getToken`",
      `Give createLamplight a \`getToken\` that fetches a token for the signed-in user${userId ? ", in place of `userId`" : ""}.`,
    )
  } else if (auth === "local" && getToken) {
    find(
      "LL-116",
      `${takes.local}, and the client has a \`getToken\``,
      "no `getToken`: people sign in by `login`",
      "Leave `getToken` out; or start the server with AUTH=jwt, and JWT_SECRET or JWT_JWKS.",
    )
  } else if (auth === "local" && userId) {
    find(
      "LL-116",
      `${takes.local}, and the client has a \`userId\``,
      "no `userId`: people sign in by `login`",
      "Leave `userId` out; or start the server with AUTH=open, for trials.",
    )
  } else if (auth === "open" && !userId && !getToken) {
    find(
      "LL-116",
      `${takes.open}, and the client gives none`,
      "a `userId`",
      "Give createLamplight a `userId`.",
    )
  }
}

/** Advice for errors that carry none of their own: in this chunk, so that not every page loads it. */
const ADVICE: Record<string, { expected: string; fix: string }> = {
  "LL-106": {
    expected: "a token: three parts of letters and digits, with dots between them",
    fix: "Return the token alone from getToken. If nobody is signed in or the route returns a login page, throw Unauthorized.",
  },
  "LL-118": {
    expected: "WebSocket, as browsers and Node 22 or newer have it",
    fix: 'Use Node 22 or newer, allow the transport "polling", or set globalThis.WebSocket before @lamplight/client is loaded.',
  },
  "LL-119": {
    expected: "a token, or Unauthorized thrown if nobody is signed in",
    fix: "Check why the application's token route fails; the client tries again by itself.",
  },
}

/** A server's message about a token has the same parts as a finding, and its own code. */
export function takeApart({ message }: LamplightError): Finding | null {
  const parts = /^(.+?); expected (.+?)\. (.+) \(([\w-]+)\)$/s.exec(message)
  const [, saw, expected, fix, code] = parts ?? []
  return parts ? ({ saw, expected, fix, code } as Finding) : null
}

/** The best explanation of a refusal. */
export async function checkRefusal(context: DoctorContext, error: LamplightError): Promise<Finding> {
  const findings: Finding[] = []
  const find: Find = (code, saw, expected, fix) => findings.push({ code, saw, expected, fix })
  const advice = ADVICE[error.code]
  const finding = takeApart(error)
  if (finding) return finding
  if (error.code === "LL-117") checkUrl(context, find)
  else if (!advice && !error.fix) await checkAuth(context, find)
  return (
    findings[0] ?? {
      code: error.code,
      saw: error.saw ?? error.message,
      expected: error.expected ?? advice?.expected ?? "a connection",
      fix: error.fix ?? advice?.fix ?? "Remove the cause that the message names, then call `connect()`.",
    }
  )
}

/**
 * The error with its explanation: what was observed and expected, and one fix. `look` checks the path to the
 * server. A refusal is also written to the console, once, since this runs with the change to that state. Null
 * if nothing was found.
 */
export async function explain(
  context: DoctorContext,
  status: ConnectionStatus,
  error: LamplightError,
  look: (find: Find) => Promise<unknown>,
): Promise<LamplightError | null> {
  let finding: Finding | undefined
  if (status === "refused") finding = await checkRefusal(context, error)
  else if (ADVICE[error.code]) finding = { ...error, ...ADVICE[error.code] } as unknown as Finding
  else if (!checkUrl(context, (code, saw, expected, fix) => (finding ??= { code, saw, expected, fix })))
    await look((code, saw, expected, fix) => (finding ??= { code, saw, expected, fix }))
  if (!finding || finding.code === "offline") return null
  const { code, saw, expected, fix } = finding
  const isNew = /^LL-/.test(code) && code !== error.code
  const message = isNew ? `${saw[0]?.toUpperCase()}${saw.slice(1)}.` : error.message
  const text = takeApart(error) ? message : `${message} Expected: ${expected}. ${fix} (${code})`
  if (status === "refused" || isNew) console.warn(`Lamplight: ${text}`)
  const { retryable } = error
  return context.newError({ code: isNew ? code : error.code, message, retryable, saw, expected, fix })
}
