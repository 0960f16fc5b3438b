import type { ConversationFile, User } from "@lamplight/client"
import { useConversationFiles, useMessages } from "@lamplight/react"
import { useCallback, useMemo } from "react"
import { nameOf } from "../logic/members"
import { words } from "../strings"
import type { DetailsProps } from "./props"

/** The state of a list of files, and the names of the senders. */
export type SharedList = ReturnType<typeof useConversationFiles>

/** The pictures and videos of a conversation, and its other files. */
export function useSharedFiles({ item, self }: DetailsProps) {
  const media = useConversationFiles(item.id, "media")
  const others = useConversationFiles(item.id, "audio", "document")
  const { users: former } = useMessages(item.id)
  const { members, kind } = item
  const nameOfSender = useCallback(
    (userId: string) => {
      if (userId === self.id) return words.details.you
      const known: User | undefined =
        members.find(({ id }) => id === userId) ??
        former[userId] ??
        media.users[userId] ??
        others.users[userId]
      if (known) return nameOf(known)
      return kind === "group" ? words.thread.unknownMember : userId
    },
    [self.id, members, kind, former, media.users, others.users],
  )
  return useMemo(() => ({ media, others, nameOfSender }), [media, others, nameOfSender])
}

/** The properties of a list's parts. */
export interface SharedPartProps {
  nameOfSender: (userId: string) => string
  /** Shows the message of a file in the conversation. */
  onShow: (file: ConversationFile) => void
}
