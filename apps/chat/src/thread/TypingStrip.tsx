import { useTyping } from "@lamplight/react"
import { words } from "../strings"

/** Who is typing. The strip keeps its height, so that nothing moves when it changes. */
export function TypingStrip({ id, nameOf }: { id: string; nameOf: (userId: string) => string }) {
  const { userIds } = useTyping(id)
  return (
    <div className="typing-strip" role="status">
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
