import type { AccountSettings } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useEffect, useState } from "react"
import { words } from "../strings"
import { showFailure } from "../ui/failure"
import { Section, Toggle } from "./parts"

/**
 * The privacy settings, which apply to every device. The server stores them: until it has answered, nothing is shown.
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

  /** Shows a change at once, and reverts it if the server refuses it. */
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
