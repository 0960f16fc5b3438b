/** Identifies the user for each request and socket, and handles a change of user. */
import { type Account, SESSION } from "./account.js"
import type { Core } from "./core.js"
import { LamplightError, toError, Unauthorized } from "./errors.js"
import { encodeId, type Http } from "./http.js"
import type { Identity } from "./identity.js"
import type { OutboxRecord } from "./options.js"
import { inBackground } from "./store.js"
import type { SessionAnswer, User } from "./wire.js"

/** Requests that set or return the user. */
const AUTH_PATHS = /auth($|\/(session|register|login))/

type Headers = Record<string, string>

const anotherUser = () =>
  new LamplightError({ code: "conflict", message: "Another person has signed in.", retryable: false })

export interface Session {
  /** Headers for a request, after `refused` ones. Null: there are no others to try. */
  headers(path: string, refused?: Headers): Promise<Headers | null>
  /** The `auth` of a new socket. Identifies the user as far as possible without a socket. */
  authenticate(): Promise<Headers>
  /** Resolves when the user is known as well as possible before a message is written. */
  settle(): Promise<void>
  /** Resolves when the user is certain to be the one who wrote the record, unless another user is signed in by then. */
  confirm(entry: { record: OutboxRecord }): Promise<void>
  /** The server does not know the user of the socket. Whether another attempt may succeed. */
  unknownCaller(): Promise<boolean>
  signIn(way: "register" | "login", body: object): Promise<User>
  signOut(everywhere?: boolean, deletion?: object): Promise<void>
}

/** `http` uses the headers of this session. `hasToken`: whether the application provides tokens. */
export function createSession(
  core: Core,
  http: Http,
  account: Account,
  identity: Identity,
  hasToken: boolean,
): Session {
  const { connection, events } = core
  /** The token of the socket. */
  let socketToken: string | undefined
  /** Resolves when it is certain that the user is still the same. */
  let verifying: Promise<void> = Promise.resolve()
  let releases = 0

  /** After a refusal nothing is requested, and no token asked for, until `connect()` is called. */
  function checkRefused(): void {
    const { status, error } = connection.state.get()
    if (status === "refused" && error && !identity.cookies) throw error
  }

  async function headers(path: string, refused?: Headers): Promise<Headers | null> {
    const id = account.id()
    checkRefused()
    const given = await identity.headers(refused)
    if (identity.cookies) {
      if (!id || AUTH_PATHS.test(path)) return given
      // The cookie belongs to the browser, and somebody else may have signed in in another tab: the server compares it with this user.
      if (given) return { "x-user-id": encodeId(id) }
      inBackground(recheck(id))
      return null
    }
    if (id && id !== account.id()) throw anotherUser()
    return given && id && hasToken ? { ...given, "x-user-id": encodeId(id) } : given
  }

  async function identify(): Promise<Headers> {
    const auth = await identity.handshake()
    const known = identity.known()
    if (!hasToken) await account.whoami()
    else if (known && !account.id()) account.setUser(known)
    return auth
  }

  /** The cookie may be another user's by now. */
  async function recheck(id: string): Promise<void> {
    const { user } = await http<SessionAnswer>(SESSION)
    if (user.id === id || account.id() !== id) return
    account.forget()
    connection.restart()
  }

  /** The client is retained again: one person may have signed out meanwhile and another in. */
  async function verify(): Promise<void> {
    if (!connection.joined()) return connection.restart()
    const mine = releases
    try {
      await identity.handshake()
    } catch (thrown) {
      // Released again meanwhile: that token was dropped, and the next `retain` requests one.
      if (mine !== releases) return
      const error = toError(thrown)
      if (error.retryable) connection.restart()
      else connection.refuse(error)
    }
  }

  /** Gives the server a fresh token for the open socket. */
  async function renew(): Promise<void> {
    try {
      if (!hasToken) {
        // The session has ended: the server closes the socket, and the next attempt identifies the user again.
        account.forget()
        return
      }
      const socket = connection.socketId()
      const token = await identity.freshToken("expired", socketToken)
      // Another socket by now, opened with that token: the user changed, or the connection was lost.
      if (socket !== connection.socketId()) return
      socketToken = token
      await connection.ask("authenticate", { token })
    } catch (thrown) {
      const error = toError(thrown)
      if (!error.retryable && error.code !== "conflict") connection.refuse(error)
    }
  }

  connection.on("token_expired", () => void renew())
  events.on("token", (isOther) => {
    if (!isOther || !account.id()) return
    account.setUser(identity.known())
    connection.restart()
  })
  events.on("released", () => {
    releases++
    identity.forget()
    // Somebody else may have signed in by the time the client is retained again.
    if (identity.cookies) account.forget()
  })
  events.on("resumed", () => {
    if (hasToken) verifying = verify()
  })
  events.on("connection", ({ now: { error, status } }) => {
    if (error?.code === "unauthenticated" && status === "refused" && identity.cookies) account.setUser(null)
  })
  events.on("tab", ({ type }) => {
    if (type !== "account") return
    account.forget()
    if (!identity.cookies) return
    if (connection.retained()) connection.restart()
    // A sign-in page opens by itself when another tab signs in.
    else inBackground(account.session())
  })

  return {
    headers,
    async authenticate() {
      const auth = await identify()
      socketToken = auth.token
      return auth
    },
    async settle() {
      await verifying
      // Right after the start the mode may not be known yet.
      if (connection.retained() && account.state.get().status === "unknown") await identify().catch(() => {})
    },
    async confirm(entry) {
      if (!entry.record.uncertain) return
      checkRefused()
      // The token that this tab requested after its release may have arrived already.
      await identity.handshake()
      // It was written in another tab, which waits for a token of its own.
      if (entry.record.uncertain) await identity.requestedAfter(Date.parse(entry.record.createdAt))
    },
    async unknownCaller() {
      identity.reject("refused", socketToken)
      account.forget()
      // A new token may be asked for; a session that has ended does not come back.
      return identity.cookies ? (await account.session()) !== null : hasToken
    },
    async signIn(way, body) {
      const user = await account.signIn(way, body)
      core.post({ type: "account" })
      connection.restart()
      return user
    },
    async signOut(everywhere, deletion) {
      await account.signOut(everywhere, deletion)
      core.post({ type: "account" })
      connection.refuse(new Unauthorized("You are signed out."))
    },
  }
}
