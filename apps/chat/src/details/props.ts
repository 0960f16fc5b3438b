import type { ConversationInfo, User } from "@lamplight/client"

/** What the parts of the panel need. */
export interface DetailsProps {
  item: ConversationInfo
  self: User
}
