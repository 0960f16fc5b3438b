import { useTyping } from "@lamplight/react"
import { words } from "../strings"

/** Who is writing. The strip is always there, so that nothing moves when they begin or stop. */
export function TypingStrip({ id, name }: { id: string; name: string }) {
  const typing = useTyping(id).userIds.length > 0
  return (
    <div className="typing-strip" role="status">
      {typing && (
        <span className="inline-flex items-center gap-2" data-testid="typing">
          <span className="typing-dots" aria-hidden="true">
            <span />
            <span />
            <span />
          </span>
          {words.thread.typing(name)}
        </span>
      )}
    </div>
  )
}
