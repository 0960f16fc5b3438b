/** The signed-in user, and the accounts of `AUTH=local`. */
import { LamplightError, toError, Unauthorized } from "./errors.js"
import type { Http } from "./http.js"
import type { Identity } from "./identity.js"
import { type Cell, cell } from "./store.js"
import type { MeState } from "./types.js"
import type { Activity, AuthAnswer, Chosen, Registration, SessionAnswer, User } from "./wire.js"

/** Returns the signed-in user, or 401 without a session. */
export const SESSION = "/api/auth/session"

export interface Account {
  state: Cell<MeState>
  id(): string | null
  /** Sets the user; null signs out. */
  setUser(user: User | null): void
  /**
   * The user of the token or the `userId` option, otherwise of the session. Throws `Unauthorized` if
   * there is no user.
   */
  whoami(): Promise<User>
  /** The session may have changed: `whoami` asks the server the next time. */
  forget(): void
  session(): Promise<User | null>
  signIn(way: "register" | "login", body: object): Promise<User>
  /** `deletion`: the body of the request that deletes the account, instead of signing out. */
  signOut(everywhere?: boolean, deletion?: object): Promise<void>
  update(changes: object): Promise<User>
  setStatus(chosen: Chosen): void
  setActivity(activity: Activity | null): void
}

/** `changed` is called after a sign-in as another user, and after a sign-out. */
export function createAccount(http: Http, identity: Identity, changed: () => void): Account {
  const initial: MeState = {
    status: "unknown",
    user: null,
    chosen: { status: "online" },
    activity: null,
    auth: null,
    registration: "open",
  }
  const state = cell(initial)
  let asked = false
  /**
   * Counts sign-ins and sign-outs, to ignore the answer to a session request that was sent before the last one.
   */
  let turns = 0

  function setUser(user: User | null): void {
    const last = state.get()
    const isOther = last.user?.id !== user?.id
    state.set({
      ...(isOther ? { ...initial, auth: last.auth, registration: last.registration } : last),
      status: user ? "signed-in" : "signed-out",
      user,
    })
    if (isOther) changed()
  }

  /** Older servers do not send `registration`. */
  function setRegistration(registration: Registration | undefined): void {
    if (registration && registration !== state.get().registration) state.set({ ...state.get(), registration })
  }

  /**
   * Returns the session's user, without an error if there is none, because browsers log every 401 to the
   * console.
   */
  async function ask(): Promise<AuthAnswer> {
    try {
      return await http<AuthAnswer>("/api/auth")
    } catch (thrown) {
      if (toError(thrown).code !== "not_found") throw thrown
    }
    // An older server, which a node can be while they are updated one after another.
    try {
      return { auth: "local", ...(await http<SessionAnswer>(SESSION)) }
    } catch (thrown) {
      const { code, registration } = toError(thrown)
      if (code !== "unauthenticated") throw thrown
      return { auth: "local", user: null, ...(registration && { registration }) }
    }
  }

  async function session(): Promise<User | null> {
    const began = turns
    const { auth, user, registration } = await ask()
    if (auth !== state.get().auth) state.set({ ...state.get(), auth })
    if (auth !== "local") {
      const message = `This server has no accounts (AUTH=${auth}).`
      throw new LamplightError({ code: "not_found", message, retryable: false })
    }
    if (began !== turns) return state.get().user
    asked = !!user
    setUser(user)
    setRegistration(registration)
    return user
  }

  return {
    state,
    id: () => state.get().user?.id ?? null,
    setUser,
    async whoami() {
      const known = identity.known()
      if (known) {
        // Without a request, since the name of the last session is better than none.
        if (known.id !== state.get().user?.id) setUser(known)
        return known
      }
      const user = asked ? state.get().user : await session()
      if (!user) throw new Unauthorized()
      return user
    },
    forget() {
      asked = false
    },
    session,
    async signIn(way, body) {
      const { user } = await http<SessionAnswer>(`/api/auth/${way}`, body)
      turns++
      asked = true
      setUser(user)
      return user
    },
    async update(changes) {
      const { user } = await http<SessionAnswer>("/api/account", changes, { method: "PATCH" })
      if (user.id === state.get().user?.id) setUser(user)
      return user
    },
    async signOut(everywhere, deletion) {
      if (deletion) await http("/api/account", deletion, { method: "DELETE" })
      else await http(`/api/auth/logout${everywhere ? "-all" : ""}`, {})
      turns++
      asked = false
      setUser(null)
    },
    setStatus: (chosen) => state.set({ ...state.get(), chosen }),
    setActivity: (activity) => state.set({ ...state.get(), activity }),
  }
}
