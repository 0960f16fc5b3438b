import type { ConversationInfo, User } from "@lamplight/client"

/** The properties that the parts of the panel share. */
export interface DetailsProps {
  item: ConversationInfo
  self: User
}
