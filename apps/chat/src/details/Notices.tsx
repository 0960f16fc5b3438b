import type { ConversationInfo } from "@lamplight/client"
import { useLamplight } from "@lamplight/react"
import { useEffect, useId } from "react"
import { mutedUntil } from "../conversations/muted"
import { FOREVER, setConversation } from "../conversations/settings"
import { words } from "../strings"

/** Which messages of a conversation notify the user: all, or in a group those that mention them, or none. */
export function Notices({ item }: { item: ConversationInfo }) {
  const client = useLamplight()
  const id = useId()
  const text = words.preferences
  // The connection may be lost before the user chooses an option.
  useEffect(() => void client.conversation(item.id).setSettings({}), [client, item.id])
  const choices = [
    { muted: false, label: text.allMessages },
    { muted: true, label: item.other ? text.noMessages : text.mentionsOnly },
  ]
  return (
    <section className="details-section" aria-labelledby={id} data-testid="conversation-notices">
      <h3 className="rows-title" id={id}>
        {text.notices}
      </h3>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset has a border of its own and no use here */}
      <div className="theme-choices" data-columns="2" role="group" aria-labelledby={id}>
        {choices.map(({ muted, label }) => (
          <button
            key={label}
            type="button"
            className="theme-choice"
            data-testid={muted ? "notices-less" : "notices-all"}
            aria-pressed={item.muted === muted}
            onClick={() => {
              if (item.muted !== muted)
                void setConversation(client, item.id, { mutedUntil: muted ? FOREVER : null })
            }}
          >
            {label}
          </button>
        ))}
      </div>
      <p className="menu-note" role="status">
        {item.muted ? (mutedUntil(item) ?? (item.other ? text.noneHint : text.mentionsHint)) : text.allHint}
      </p>
    </section>
  )
}
