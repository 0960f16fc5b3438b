import type { Lamplight } from "@lamplight/client"
import { words } from "../strings"
import { showFailure } from "../ui/failure"
import { tokenOf } from "./auth-mode"

/** How the user signed in. */
export type SignInMode = "local" | "open" | "token"

/**
 * Ends the session and this device's subscription to notifications. Changes nothing if the server cannot be reached.
 */
export async function signOut(props: {
  client: Lamplight
  selfId: string
  mode: SignInMode
  onLeave: () => void
}): Promise<void> {
  const { client, selfId, mode, onLeave } = props
  const person = { userId: selfId, token: tokenOf(client), hasCookie: mode === "local" }
  // Before the session ends: without it nothing more may be loaded.
  const push = await import("../device/push").catch(() => null)
  if (mode === "local") {
    try {
      await client.logout()
    } catch (thrown) {
      showFailure(words.errors.signOut, thrown)
      return
    }
  }
  void push?.leaveDevice(person).catch(() => {})
  onLeave()
}
