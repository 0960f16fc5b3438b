import type { User } from "@lamplight/client"
import { useConversations, useUnread } from "@lamplight/react"
import { useEffect } from "react"
import { titleOf } from "../logic/members"
import { documentTitle } from "../logic/title"
import { showOnFavicon } from "./favicon"

/** Keeps the document's title and icon in step: both show the sum of the rows' numbers. */
export function Title({ selected, self }: { selected: string | null; self: User }) {
  const { total } = useUnread()
  const { items } = useConversations()
  const item = selected === null ? null : items.find((one) => one.id === selected)
  const title = documentTitle(item ? titleOf(item.members, self.id) : null, total)
  useEffect(() => {
    document.title = title
    showOnFavicon(total)
  }, [title, total])
  // Leaving (signing out) puts both back.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each person
  useEffect(() => {
    return () => {
      document.title = documentTitle(null, 0)
      showOnFavicon(0)
    }
  }, [self.id])
  return null
}
