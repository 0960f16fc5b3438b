import type { ConversationView } from "@lamplight/react"
import { useEffect, useState } from "react"

/**
 * Whether the conversation opens at a message that is still being loaded: until then nothing is shown, so that its end does not
 * flash. A failure ends it as well: the log tells.
 */
export function useArrival({ jumpTo }: Pick<ConversationView, "jumpTo">, target: number | null): boolean {
  const [first] = useState(target)
  const [isArriving, setArriving] = useState(target !== null)
  useEffect(() => {
    if (first === null) return
    const end = () => setArriving(false)
    jumpTo(first).then(end, end)
  }, [first, jumpTo])
  return isArriving
}
