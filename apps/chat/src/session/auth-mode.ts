import { createLamplight, type Lamplight, LamplightError, Unauthorized, type User } from "@lamplight/client"

/** How this server signs users in. */
export type AuthMode =
  | { kind: "local"; client: Lamplight; user: User | null }
  | { kind: "open" }
  | { kind: "token" }
  | { kind: "gone"; error: unknown }

/**
 * Detects the mode, which the server says with who is signed in. An older one does not, as a node may be while they are updated: of
 * those, `AUTH=open` tells anybody how many users are online, and `AUTH=jwt` does not.
 */
export async function detectAuthMode(signal: AbortSignal): Promise<AuthMode> {
  const client = createLamplight()
  try {
    return { kind: "local", client, user: await client.session() }
  } catch (thrown) {
    const { auth } = client.me.get()
    client.close()
    if (!(thrown instanceof LamplightError) || thrown.code !== "not_found")
      return { kind: "gone", error: thrown }
    if (auth) return { kind: auth === "open" ? "open" : "token" }
  }
  try {
    const answer = await fetch("/api/online-users?countOnly=true", {
      signal,
      headers: { accept: "application/json" },
    })
    return answer.ok
      ? { kind: "open" }
      : answer.status === 401
        ? { kind: "token" }
        : { kind: "gone", error: answer.status }
  } catch (error) {
    return { kind: "gone", error }
  }
}

/** The user of an open server. Stored for this tab, so that two tabs can be two users. */
export interface Identity {
  userId: string
  name?: string
}

const IDENTITY = "lamplight:identity"
const TOKEN = "lamplight:token"

function stored(key: string): string | null {
  try {
    return sessionStorage.getItem(key)
  } catch {
    return null
  }
}

function store(key: string, value: string | null): void {
  try {
    if (value === null) sessionStorage.removeItem(key)
    else sessionStorage.setItem(key, value)
  } catch {
    // The value then lasts as long as the page.
  }
}

export function rememberedIdentity(): Identity | null {
  try {
    const value: unknown = JSON.parse(stored(IDENTITY) ?? "null")
    if (value && typeof value === "object" && "userId" in value && typeof value.userId === "string") {
      return value as Identity
    }
  } catch {
    // Something else stored the value: ask again.
  }
  return null
}

export function rememberIdentity(identity: Identity | null): void {
  store(IDENTITY, identity ? JSON.stringify(identity) : null)
}

export function rememberedToken(): string | null {
  return stored(TOKEN)
}

/**
 * A token from the address, for trials; null: it has none. It is removed at once, so that it is not shared with the address. Anybody can
 * make such a link, so the user is asked before it is used.
 */
export function givenToken(): string | null {
  const given = /^#token=(.+)$/.exec(location.hash)?.[1]
  if (!given) return null
  history.replaceState(null, "", "#/")
  try {
    return decodeURIComponent(given)
  } catch {
    // A broken escape sequence.
    return null
  }
}

/** The user named in a token, for display only: only the server can verify it. Null if it cannot be decoded. */
export function nameInToken(token: string): string | null {
  try {
    const part = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")
    const bytes = Uint8Array.from(atob(part), (character) => character.charCodeAt(0))
    const { name, sub } = JSON.parse(new TextDecoder().decode(bytes)) as { name?: unknown; sub?: unknown }
    return [name, sub].find((one): one is string => typeof one === "string" && one !== "") ?? null
  } catch {
    return null
  }
}

export function rememberToken(token: string | null): void {
  store(TOKEN, token)
}

export function openClient(identity: Identity): Lamplight {
  return createLamplight(identity)
}

const tokens = new WeakMap<Lamplight, string>()

/** The token of a client that has one, for requests that the client does not make. */
export const tokenOf = (client: Lamplight): string | undefined => tokens.get(client)

/** A client for one given token. There is no second one, so a refusal is final. */
export function tokenClient(token: string): Lamplight {
  const client = createLamplight({
    getToken: ({ reason }) => {
      if (reason !== "connect") throw new Unauthorized()
      return token
    },
  })
  tokens.set(client, token)
  return client
}
