import type { ConversationInfo, User } from "@lamplight/client"
import { conversationTitle, nameOf } from "../logic/members"
import type { PresenceIconState } from "../presence/PresenceIcon"
import { Avatar } from "./Avatar"

/** The face of a conversation: the other person, the group's picture, or two of its members. */
export function ConversationAvatar(props: {
  item: ConversationInfo
  selfId: string
  /** The other person as the roster knows them. */
  other?: User | null | undefined
  presence?: PresenceIconState | undefined
  size?: "md" | "lg" | "xl"
}) {
  const { item, selfId, presence, size = "md" } = props
  const other = props.other ?? item.other
  if (other)
    return (
      <Avatar
        id={other.id}
        name={nameOf(other)}
        avatarUrl={other.avatarUrl}
        presence={presence}
        size={size}
      />
    )
  const faces = item.members.filter(({ id }) => id !== selfId).slice(0, 2)
  if (item.avatarUrl || faces.length < 2) {
    const name = conversationTitle(item, selfId) || item.id
    return <Avatar id={item.id} name={name} avatarUrl={item.avatarUrl} size={size} />
  }
  return (
    <span className="avatar avatar-pair" data-size={size} data-testid="group-avatar">
      {faces.map((face) => (
        <Avatar key={face.id} id={face.id} name={nameOf(face)} avatarUrl={face.avatarUrl} size="sm" />
      ))}
    </span>
  )
}
