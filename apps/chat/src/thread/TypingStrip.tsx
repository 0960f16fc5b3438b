import type { FileProgress } from "@lamplight/client"
import { useFileProgress, useTyping } from "@lamplight/react"
import { percent } from "../files/layout"
import { words } from "../strings"

/** Who is typing, and who is sharing a file. The strip keeps its height, so that nothing moves when it changes. */
export function TypingStrip({ id, nameOf }: { id: string; nameOf: (userId: string) => string }) {
  const { userIds } = useTyping(id)
  const shared = useFileProgress(id).at(-1)
  return (
    <div className="typing-strip" role="status">
      {shared && userIds.length === 0 && (
        <>
          <span className="typing-file" data-testid="sharing" data-state={shared.state} aria-hidden="true">
            {sharingText(shared, nameOf(shared.userId), percent(shared.received, shared.size))}
          </span>
          {/* Read aloud when it begins and ends, not at each percent. */}
          <span className="sr-only">{sharingText(shared, nameOf(shared.userId), null)}</span>
        </>
      )}
      {userIds.length > 0 && (
        <span className="inline-flex items-center gap-2" data-testid="typing">
          <span className="typing-dots" aria-hidden="true">
            <span />
            <span />
            <span />
          </span>
          {words.thread.typing(userIds.map(nameOf))}
        </span>
      )}
    </div>
  )
}

function sharingText({ name, state }: FileProgress, who: string, done: number | null): string {
  if (state === "ready") return words.files.shared(who, name)
  if (state === "uploading" || state === "processing") return words.files.sharing(who, name, done)
  return words.files.notShared(who, name)
}
