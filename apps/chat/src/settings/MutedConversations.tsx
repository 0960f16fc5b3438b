import { useConversations, useLamplight } from "@lamplight/react"
import { mutedUntil } from "../conversations/muted"
import { setConversation } from "../conversations/settings"
import { conversationTitle } from "../logic/members"
import { words } from "../strings"
import { Button } from "../ui/Button"
import { ConversationAvatar } from "../ui/ConversationAvatar"

/** Muted conversations, or those that notify of mentions only, each with a button to undo that. */
export function MutedConversations({ selfId }: { selfId: string }) {
  const client = useLamplight()
  const { items, archived } = useConversations()
  const muted = [...items, ...archived].filter((item) => item.muted)
  const text = words.preferences
  return (
    <div className="set-muted" data-testid="muted-conversations">
      <h4 className="menu-label">{text.byConversation}</h4>
      <p className="menu-note">{muted.length > 0 ? text.mutedHint : text.noneMuted}</p>
      {muted.length > 0 && (
        <ul>
          {muted.map((item) => {
            const name = conversationTitle(item, selfId) || item.id
            return (
              <li key={item.id} className="set-conversation">
                <ConversationAvatar item={item} selfId={selfId} />
                <span className="min-w-0 flex-1">
                  <span className="block truncate font-semibold" dir="auto">
                    {name}
                  </span>
                  <span className="menu-hint block">
                    {mutedUntil(item) ?? (item.other ? words.settings.muted : text.mentionsOnly)}
                  </span>
                </span>
                <Button
                  look="line"
                  aria-label={text.unmuteNamed(name)}
                  onClick={() => void setConversation(client, item.id, { mutedUntil: null })}
                >
                  {words.settings.unmute}
                </Button>
              </li>
            )
          })}
        </ul>
      )}
    </div>
  )
}
