import { useState, useSyncExternalStore } from "react"
import { words } from "../strings"
import { newerBuild } from "./worker"

/** Says that the server was updated while this page was open. */
export function NewVersion() {
  const isNewer = useSyncExternalStore(newerBuild.subscribe, newerBuild.get)
  const [isLater, setLater] = useState(false)
  return (
    // Always in the document, so that screen readers announce its content.
    <div role="status">
      {isNewer && !isLater && (
        <section className="notice" data-quiet="" data-testid="new-version" aria-label={words.update.region}>
          <p>{words.update.title}</p>
          <span className="notice-actions">
            <button type="button" data-testid="new-version-reload" onClick={() => location.reload()}>
              {words.update.reload}
            </button>
            <button type="button" onClick={() => setLater(true)}>
              {words.update.later}
            </button>
          </span>
        </section>
      )}
    </div>
  )
}
