import type { User } from "@lamplight/client"
import { useConnection, useMe } from "@lamplight/react"
import { useEffect } from "react"
import { HasAccounts } from "../people/handles"
import { SignInPage } from "../session/SignInPage"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { reason } from "../ui/failure"
import { startPreloading } from "../ui/preload"
import { State } from "../ui/State"
import { Shell } from "./Shell"

/** The page of a signed-in user, or the reason why it cannot be shown. */
export function SignedInApp(props: {
  user: User | null
  mode: "local" | "open" | "token"
  onLeave: (why: "left" | "refused") => void
}) {
  const { user, mode, onLeave } = props
  const me = useMe()
  const connection = useConnection()

  // The session ended, or another tab ended it. "Sign out" in this tab leads here too, a moment later.
  const out = me.status === "signed-out" && mode === "local"
  useEffect(() => {
    if (out) onLeave("refused")
  }, [out, onLeave])

  // Load the parts of the first screen before the later ones.
  const isConnected = connection.status === "connected"
  useEffect(() => {
    if (isConnected) startPreloading()
  }, [isConnected])

  // The server never accepted this token, so no user was signed in. The token form shows that.
  const isRefused = connection.status === "refused"
  const never = isRefused && !connection.stale
  useEffect(() => {
    if (never && mode === "token") onLeave("refused")
  }, [never, mode, onLeave])

  const self = me.user ?? user
  if (never && mode === "token") return <SignInPage lit={false} title={words.product} />
  if (isRefused) {
    return (
      <main className="h-dvh">
        <h1 className="sr-only">{words.product}</h1>
        <State
          kind="denied"
          size="page"
          title={never ? words.refused.never : words.refused.title}
          lead={never ? reason(connection.error) : words.refused.lead}
          action={
            <Button look="primary" onClick={() => onLeave("refused")}>
              {words.refused.action}
            </Button>
          }
        />
      </main>
    )
  }
  if (!self) return <SignInPage lit={false} title={words.product} />
  return (
    <HasAccounts value={mode === "local"}>
      <Shell self={self} mode={mode} onLeave={() => onLeave("left")} />
    </HasAccounts>
  )
}
