import type { User } from "@lamplight/client"
import { useConversations, useUnread } from "@lamplight/react"
import { useEffect } from "react"
import { conversationTitle } from "../logic/members"
import { documentTitle } from "../logic/title"
import { showOnFavicon } from "./favicon"

/** Shows the number of unread messages in the document's title and icon. */
export function Title({ selected, self }: { selected: string | null; self: User }) {
  const { total } = useUnread()
  const { items, archived } = useConversations()
  const item = selected === null ? null : [...items, ...archived].find((one) => one.id === selected)
  const title = documentTitle(item ? conversationTitle(item, self.id) : null, total)
  useEffect(() => {
    document.title = title
    showOnFavicon(total)
  }, [title, total])
  // Signing out resets both.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each person
  useEffect(() => {
    return () => {
      document.title = documentTitle(null, 0)
      showOnFavicon(0)
    }
  }, [self.id])
  return null
}
