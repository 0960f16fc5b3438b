import type { Lamplight, User } from "@lamplight/client"
import { LamplightProvider } from "@lamplight/react"
import { Direction } from "radix-ui"
import { useCallback, useEffect, useState } from "react"
import { forgetChoice } from "../device/choice"
import { forgetDevice } from "../device/worker"
import { dirOf } from "../languages/choice"
import { readCopy, removeCopy, removeCopyOfOthers } from "../offline/copy"
import { forgetOpened } from "../palette/recent"
import { AccountSignIn } from "../session/AccountSignIn"
import {
  type AuthMode,
  detectAuthMode,
  givenToken,
  type Identity,
  openClient,
  rememberedIdentity,
  rememberedToken,
  rememberIdentity,
  rememberToken,
  tokenClient,
} from "../session/auth-mode"
import { ServerUnreachable, SignInPage } from "../session/SignInPage"
import { words } from "../strings"
import { later } from "../ui/later"
import { Toasts } from "../ui/Toasts"
import { useLanguage } from "./language"
import { SignedInApp } from "./SignedInApp"

/** A signed-in session: its client and how the user signed in. */
interface Session {
  client: Lamplight
  /** The user as known before the client has answered. */
  user: User | null
  mode: "local" | "open" | "token"
}

/** While the page does not know yet who signs in, and how. */
function Waiting() {
  return <SignInPage lit={false} title={words.product} />
}

/** Loaded if the server uses this mode. Accounts, the default, are in the first script. */
const OpenSignIn = later(
  async () => ({ default: (await import("../session/OpenSignIn")).OpenSignIn }),
  <Waiting />,
)
const TokenSignIn = later(
  async () => ({ default: (await import("../session/TokenSignIn")).TokenSignIn }),
  <Waiting />,
)

/** Stored by the service worker, so that it is available offline. */
const OfflinePage = later<{ onRetry: (isQuiet: boolean) => void }>(
  () => import("../offline/OfflinePage"),
  null,
  { instead: ({ onRetry }) => <ServerUnreachable onRetry={() => onRetry(false)} /> },
)

/** A server that takes longer than this counts as away if the device has saved data. */
const SLOW_MS = 4_000

/** The delay before the next request to a server that did not answer. */
const ASK_AGAIN_MS = 3_000

export function App() {
  const [authMode, setAuthMode] = useState<AuthMode | null>(null)
  const [session, setSession] = useState<Session | null>(null)
  const [tokenRefused, setTokenRefused] = useState(false)
  /** A token from the address, which the user has not agreed to. */
  const [tokenGiven, setTokenGiven] = useState<string | null>(null)
  /** The user whose session ended without a sign-out: the address is kept for them. */
  const [signedOut, setSignedOut] = useState<string | null>(null)
  const [visit, setVisit] = useState(0)
  const [isSlow, setSlow] = useState(false)
  const language = useLanguage()

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new visit asks again
  useEffect(() => {
    const abort = new AbortController()
    void detectAuthMode(abort.signal).then((found) => {
      // StrictMode, or a quick "try again", sends two requests: only the last answer counts.
      if (abort.signal.aborted) {
        if (found.kind === "local") found.client.close()
        return
      }
      setAuthMode(found)
      if (found.kind === "local") {
        if (found.user) enter(found.client, found.user)
        // The session ended elsewhere while no page was open here: remove its user's data from this device.
        else leaveDevice()
      }
      const identity = found.kind === "open" ? rememberedIdentity() : null
      if (identity) setSession(openSession(identity))
      if (found.kind !== "token") return
      const given = givenToken()
      const token = rememberedToken()
      // After a reload the same token is no news.
      if (given !== null && given !== token) setTokenGiven(given)
      else if (token) setSession({ client: tokenClient(token), user: null, mode: "token" })
    })
    return () => abort.abort()
  }, [visit])

  // The network swallows requests: saved data can be read meanwhile.
  const isAsking = authMode === null && session === null
  useEffect(() => {
    if (!isAsking) return
    let isOver = false
    const show = async () => {
      const copy = await readCopy()
      if (copy && !isOver) setSlow(true)
    }
    const timer = setTimeout(() => void show().catch(() => {}), SLOW_MS)
    return () => {
      isOver = true
      clearTimeout(timer)
      setSlow(false)
    }
  }, [isAsking])

  // A page that was loaded while the server was down asks again by itself, so that unsent messages are sent
  // once it is back.
  useEffect(() => {
    if (authMode?.kind !== "gone") return
    const ask = () => setVisit((n) => n + 1)
    const timer = setTimeout(ask, ASK_AGAIN_MS)
    window.addEventListener("online", ask)
    return () => {
      clearTimeout(timer)
      window.removeEventListener("online", ask)
    }
  }, [authMode])

  function enter(client: Lamplight, user: User) {
    // The conversation in the address was another user's.
    if (signedOut !== null && signedOut !== user.id) history.replaceState(null, "", "#/")
    setSignedOut(null)
    void removeCopyOfOthers(user.id).catch(() => {})
    setSession({ client, user, mode: "local" })
  }

  /**
   * Ends the session and shows the sign-in page, with a new client: nothing of one user stays in memory for
   * the next.
   */
  const leave = useCallback(
    (why: "left" | "refused") => {
      session?.client.close()
      leaveDevice()
      rememberIdentity(null)
      if (session?.mode === "token") {
        rememberToken(null)
        setTokenRefused(why === "refused")
      }
      if (why === "left") {
        forgetChoice()
        history.replaceState(null, "", "#/")
      }
      setSession(null)
      if (session?.mode === "local") {
        setSignedOut(why === "refused" ? (session.user?.id ?? null) : null)
        setAuthMode(null)
        setVisit((n) => n + 1)
      }
    },
    [session],
  )

  return (
    <Direction.Provider dir={dirOf(language)}>
      {session ? (
        <LamplightProvider client={session.client}>
          <SignedInApp key={language} user={session.user} mode={session.mode} onLeave={leave} />
        </LamplightProvider>
      ) : authMode?.kind === "gone" || (authMode === null && isSlow) ? (
        <OfflinePage
          onRetry={(isQuiet) => {
            if (!isQuiet) setAuthMode(null)
            setVisit((n) => n + 1)
          }}
        />
      ) : authMode === null ? (
        <Waiting />
      ) : authMode.kind === "local" ? (
        <AccountSignIn
          client={authMode.client}
          signedOut={signedOut !== null}
          onSignedIn={(user) => enter(authMode.client, user)}
        />
      ) : authMode.kind === "open" ? (
        <OpenSignIn
          onSignedIn={(identity) => {
            rememberIdentity(identity)
            setSession(openSession(identity))
          }}
        />
      ) : (
        <TokenSignIn
          refused={tokenRefused}
          given={tokenGiven}
          onToken={(token) => {
            rememberToken(token)
            setTokenRefused(false)
            setTokenGiven(null)
            setSession({ client: tokenClient(token), user: null, mode: "token" })
          }}
          onDecline={() => {
            // The user stays signed in.
            const token = rememberedToken()
            setTokenGiven(null)
            if (token) setSession({ client: tokenClient(token), user: null, mode: "token" })
          }}
        />
      )}
      <Toasts />
    </Direction.Provider>
  )
}

/** Removes a user's saved data from this device and ends their notifications. */
function leaveDevice(): void {
  void forgetDevice()
  removeCopy()
  forgetOpened()
}

function openSession(identity: Identity): Session {
  const user = { id: identity.userId, name: identity.name ?? identity.userId, avatarUrl: null }
  return { client: openClient(identity), user, mode: "open" }
}
