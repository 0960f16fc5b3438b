import type { AccountSettings } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useEffect, useState } from "react"
import { words } from "../strings"
import { showFailure } from "../ui/failure"
import { Section, Toggle } from "./parts"

/**
 * What others learn of the user, on every device. The server has it: until it has answered, and where it does not, nothing is shown.
 */
export function Privacy() {
  const client = useLamplight()
  const [now, setNow] = useState<AccountSettings | null>(null)
  const text = words.preferences
  useEffect(() => {
    let isHere = true
    client.accountSettings().then(
      (settings) => isHere && setNow(settings),
      () => {},
    )
    return () => {
      isHere = false
    }
  }, [client])
  if (!now) return null

  /** At once on the screen, and as it was if the server does not take it. */
  function set(changes: Partial<AccountSettings>) {
    const before = now
    setNow((known) => known && { ...known, ...changes })
    client.accountSettings(changes).then(setNow, (thrown: unknown) => {
      setNow(before)
      showFailure(text.privacyFailed, thrown)
    })
  }

  return (
    <Section title={text.privacy}>
      <Toggle
        label={text.lastSeen}
        hint={text.lastSeenHint}
        testId="last-seen"
        isOn={now.lastSeen === "everyone"}
        onChange={(isOn) => set({ lastSeen: isOn ? "everyone" : "nobody" })}
      />
      <Toggle
        label={text.receipts}
        hint={text.receiptsHint}
        testId="receipts"
        isOn={now.receipts}
        onChange={(receipts) => set({ receipts })}
      />
    </Section>
  )
}
