import type { MessageRow } from "@lamplight/client"
import { words } from "../strings"
import { useThreadActions } from "./actions"

/** The beginning of the message that this one answers. A click leads to it. */
export function Quote({ quote }: { quote: NonNullable<MessageRow["replyTo"]> }) {
  const { jump, nameOf, excerptOf } = useThreadActions()
  const excerpt = excerptOf(quote)
  const name = nameOf(quote.senderId)
  return (
    <button
      type="button"
      className="quote"
      data-testid="quote"
      aria-label={`${words.message.quoteOf(name)}: ${excerpt || words.message.deleted}`}
      onClick={() => jump(quote.seq)}
    >
      <span className="quote-name" dir="auto">
        {name}
      </span>
      <span className="quote-text" dir="auto" data-deleted={excerpt ? undefined : ""}>
        {excerpt || words.message.deleted}
      </span>
    </button>
  )
}
