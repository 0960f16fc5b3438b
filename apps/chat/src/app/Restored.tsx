import { useRestored } from "@lamplight/react"
import { words } from "../strings"

/** A notice that the server's data went back in time. It stays until the user dismisses it. */
export function Restored() {
  const { dismissed, conversationIds, dismiss } = useRestored()
  return (
    // Always in the document, so that screen readers announce its content.
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
