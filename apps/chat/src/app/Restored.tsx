import { useRestored } from "@lamplight/react"
import { words } from "../strings"

/** Tells that the server's data went back in time, and stays until the person has taken note of it. */
export function Restored() {
  const { dismissed, conversationIds, dismiss } = useRestored()
  return (
    // Always there, so that what comes into it is spoken.
    <div role="status">
      {!dismissed && (
        <section className="notice" data-testid="restored" aria-label={words.restored.region}>
          <p>
            {conversationIds ? (
              words.restored.some(conversationIds.length)
            ) : (
              <>
                <strong>{words.restored.title}</strong> {words.restored.lead}
              </>
            )}
          </p>
          <button type="button" onClick={dismiss}>
            {words.restored.dismiss}
          </button>
        </section>
      )}
    </div>
  )
}
