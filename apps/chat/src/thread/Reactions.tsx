import type { MessageRow } from "@lamplight/client"
import { number } from "../languages/format"
import { words } from "../strings"
import { useThreadActions } from "./actions"

/** The names shown when the pointer rests on a reaction. */
const NAMED = 8

/** The reactions to a message, each with its count. A click adds the user's own, or takes it back. */
export function Reactions({ row, canReact }: { row: MessageRow; canReact: boolean }) {
  const { react, nameOf } = useThreadActions()
  return (
    <ul className="reactions" aria-label={words.message.reactions}>
      {row.reactions.map(({ emoji, count, mine, userIds }) => {
        const named = userIds.slice(0, NAMED).map(nameOf)
        const rest = count - named.length
        const who = [named.join(", "), ...(rest > 0 ? [words.message.more(rest)] : [])].join(" ")
        return (
          <li key={emoji}>
            <button
              type="button"
              className="reaction"
              data-testid="reaction"
              aria-pressed={mine}
              aria-label={words.message.reaction(emoji, count, mine)}
              title={who}
              disabled={!canReact}
              onClick={() => react(row, emoji)}
            >
              <span aria-hidden="true">{emoji}</span>
              <span aria-hidden="true">{number(count)}</span>
            </button>
          </li>
        )
      })}
    </ul>
  )
}
