/**
 * Finds problems of a set-up, as far as a browser can. Loaded on demand. It shows the claims of a token,
 * never the token itself.
 */

import type { Diagnosis, Finding } from "./api.js"
import type { LamplightError } from "./errors.js"
import {
  checkRefusal,
  checkUrl,
  type DoctorContext,
  explain as explainBy,
  type Find,
  isAnswer,
  probe,
} from "./explain.js"
import type { ConnectionStatus } from "./types.js"

const LIMIT_MS = 8_000
const SKEW_MS = 60_000
const DEFAULT_PATH = "/api/socketio"

/** The error with its explanation; null for none. */
export function explain(
  context: DoctorContext,
  status: ConnectionStatus,
  error: LamplightError,
): Promise<LamplightError | null> {
  return explainBy(context, status, error, async (find) => {
    const origin = globalThis.location?.origin ?? "none"
    if (await checkPolling(context, origin, {}, find)) await checkWebSocket(context, {}, find)
  })
}

export async function diagnose(context: DoctorContext): Promise<Diagnosis> {
  const findings: Finding[] = []
  const { core, path } = context
  const origin = globalThis.location?.origin ?? "none"
  const { status, error } = core.connection.state.get()
  const facts: Record<string, string> = {
    server: context.url || origin,
    path,
    origin,
    status,
    error: error ? `${error.code}: ${error.message}${error.saw ? ` (${error.saw})` : ""}` : "none",
    sockets: String(context.sockets),
  }
  const find = (code: string, saw: string, expected: string, fix: string) =>
    findings.push({ code, saw, expected, fix })

  checkToken(context, facts, find)
  if (context.sockets > 1) {
    find(
      "LL-112",
      `${context.sockets} sockets from this page to the same server`,
      "one",
      "Make one client with createLamplight, outside of components, and share it.",
    )
  }
  checkLosses(core.connection.lifetimes(), facts, find)
  if (!checkUrl(context, find) && (await checkPolling(context, origin, facts, find)))
    await checkWebSocket(context, facts, find)
  // A client that was refused, or that cannot connect although nothing else was found, has a problem too.
  const known = error?.code.startsWith("LL-") || findings.length === 0
  if (error && (status === "refused" || (status === "offline" && known))) {
    const refusal = await checkRefusal(context, error)
    if (!findings.some(({ code }) => code === refusal.code)) findings.push(refusal)
  }
  return { ok: findings.length === 0, findings, facts }
}

function checkToken(
  { identity, core, tokenPart }: DoctorContext,
  facts: Record<string, string>,
  find: Find,
): void {
  const token = identity.lastToken()
  if (token === null) return
  const parts = token.split(".").length
  const header = tokenPart(token, 0)
  const claims = tokenPart(token, 1)
  if (parts !== 3 || !header || !claims) {
    find(
      "LL-106",
      parts === 5 ? "a token of five parts: an encrypted one (JWE)" : `an opaque token, of ${parts} part(s)`,
      "a signed token (JWS) of three parts",
      "Let the host application sign a token for Lamplight: sub, name, iat, exp, aud. `lamplight token` mints one for trials.",
    )
    return
  }
  const { alg, kid } = header
  const { iss, aud, exp, iat, nbf } = claims
  facts.token = JSON.stringify({ alg, kid, iss, aud, exp })
  const ahead = Math.max(iat ?? 0, nbf ?? 0) * 1000 - core.clock.now()
  if (ahead > SKEW_MS) {
    find(
      "LL-109",
      `a token from ${Math.round(ahead / 1000)} s in the future`,
      `at most ${SKEW_MS / 1000} s`,
      "Set the clock of the machine that signs the tokens, or of this one.",
    )
  }
}

/** Connections that all end after the same time are cut by a timeout. */
function checkLosses(lifetimes: readonly number[], facts: Record<string, string>, find: Find): void {
  const last = lifetimes.slice(-3)
  facts.lifetimes = lifetimes.map((ms) => `${Math.round(ms / 1000)} s`).join(", ") || "no losses"
  const least = Math.min(...last)
  if (last.length < 3 || least < 10_000 || Math.max(...last) - least > least * 0.1) return
  find(
    "LL-103",
    `the last connections were cut after ${last.map((ms) => Math.round(ms / 1000)).join(", ")} s`,
    "connections that last",
    "Raise the proxy's idle timeout above 75 s (nginx: proxy_read_timeout).",
  )
}

/** Returns whether the handshake works, so that the WebSocket can be checked. */
async function checkPolling(
  context: DoctorContext,
  origin: string,
  facts: Record<string, string>,
  find: Find,
): Promise<boolean> {
  const { url, path } = context
  const handshake = `${url}${path}?EIO=4&transport=polling`
  const seen = await probe(context, handshake)
  if (!seen) {
    // An answer that the page may not read still proves that the server is there.
    const there = await probe(context, `${url}/healthz`, { mode: "no-cors", redirect: "follow" })
    facts.polling = there ? "answered, but this page may not read it" : "no answer"
    if (there && url) notAllowed(origin, find)
    else if (!there) {
      find(
        "offline",
        "no answer",
        `Lamplight at ${url || origin}`,
        "Start the server, or set the client's `url`.",
      )
    }
    return false
  }
  facts.polling = seen.redirected ? "redirected" : String(seen.status)
  if (seen.redirected) {
    find(
      "LL-105",
      `a redirect at ${path}: something before Lamplight moves the path, or leads to https`,
      "Lamplight's handshake",
      "Let what stands before Lamplight pass this path on as it is (Next.js: a rewrite, without `trailingSlash`); or give the client's `url` Lamplight's own address.",
    )
    return false
  }
  if (seen.status === 403) {
    notAllowed(origin, find)
    return false
  }
  const opened = /^0(\{.*\})/.exec(seen.text)
  if (!opened) {
    // The 404 came from Lamplight itself.
    if (seen.status === 404 && isAnswer(seen.text))
      find(
        "LL-117",
        `Lamplight has no socket at the \`path\` ${path}`,
        "the path that SOCKET_PATH says, /api/socketio unless it is set",
        path === DEFAULT_PATH
          ? "Set the client's `path` to what SOCKET_PATH says at the server."
          : `Leave \`path\` out (then it is ${DEFAULT_PATH}), or set it to what SOCKET_PATH says at the server.`,
      )
    else
      find(
        "bad_answer",
        `${seen.status} ${seen.text.slice(0, 60)}`,
        "Lamplight's handshake",
        "Check `url` and `path`.",
      )
    return false
  }
  const { sid } = JSON.parse(opened[1] as string) as { sid: string }
  const second = `${handshake}&sid=${encodeURIComponent(sid)}`
  // A pong is harmless, and every node that knows the session accepts it. The second body closes the session.
  for (const body of ["3", "1"]) {
    const answer = await probe(context, second, { method: "POST", body })
    // A same-origin GET has no `Origin` header; a POST has one, and so has a WebSocket.
    if (answer?.status === 403) {
      facts.polling = `${facts.polling}, then ${answer.status} to a POST`
      const reply = answer.text.slice(0, 200)
      const isOwn = !url || url === origin
      if (isOwn && reply.includes("LL-104")) wrongHost(origin, find)
      else
        find(
          "bad_answer",
          `403 to a POST: ${reply}`,
          "200",
          "Let what stands before Lamplight pass a POST on.",
        )
      return false
    }
    if (answer?.status === 400 && body === "3") {
      find(
        "LL-101",
        "the session that one request opened is unknown to the next one",
        "both requests at the same node, or nodes that forward to each other",
        "Let the balancer keep a client at one node (sticky sessions), or use WebSocket only.",
      )
      break
    }
  }
  return true
}

function notAllowed(origin: string, find: Find): void {
  find(
    "LL-104",
    `the origin ${origin} is refused`,
    "an allowed origin",
    `Add ${origin} to ALLOWED_ORIGINS on the server (a list with commas).`,
  )
}

/** To the browser the page has Lamplight's origin, and to Lamplight it does not. */
function wrongHost(origin: string, find: Find): void {
  find(
    "LL-104",
    `a GET is answered and a POST from ${origin}, this page's own origin, is refused: a proxy changes the Host`,
    `Host: ${origin.replace(/^\w+:\/\//, "")} at the server`,
    `Let the proxy pass the Host on with its port (nginx: proxy_set_header Host $http_host;), or add ${origin} to ALLOWED_ORIGINS.`,
  )
}

async function checkWebSocket(
  { url, path, core, ownSocket }: DoctorContext,
  facts: Record<string, string>,
  find: Find,
): Promise<void> {
  if (typeof WebSocket === "undefined") {
    facts.websocket = "missing in this runtime"
    if (ownSocket)
      find(
        "LL-118",
        "this runtime has no WebSocket, so that the client polls",
        "WebSocket, as browsers and Node 22 or newer have it",
        "Use Node 22 or newer, or set globalThis.WebSocket before @lamplight/client is loaded.",
      )
    return
  }
  const base = (url || globalThis.location?.origin || "").replace(/^http/, "ws")
  const opened = await new Promise<boolean>((resolve) => {
    const socket = new WebSocket(`${base}${path}?EIO=4&transport=websocket`)
    const end = (did: boolean) => {
      cancel()
      socket.close()
      resolve(did)
    }
    const cancel = core.clock.after(LIMIT_MS, () => end(false))
    socket.onmessage = () => end(true)
    socket.onerror = socket.onclose = () => end(false)
  })
  facts.websocket = opened ? "works" : "does not open"
  if (opened) return
  find(
    "LL-102",
    "long-polling works and WebSocket does not open: a proxy strips the upgrade",
    "101 Switching Protocols",
    'nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";',
  )
}
